"""Does a message arrive over real HTTP, and does a failure name the service but never its secret?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ops.adapters.notifier_apprise import AppriseNotifier
from ops.adapters.ping import HttpSwitch
from ops.errors import ConfigurationError, Degraded
from ops.model.secret import Secret
from tests.scheduler.http_listener import Listener, listening

# Apprise 2.2 loads a module of Python's own that is deprecated in 3.11 and 3.12; may go with Python 3.13.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
TOKEN = "canary-token"


def json_url(listener: Listener, path: str = TOKEN) -> Secret:
    return Secret(f"json://127.0.0.1:{listener.port}/{path}")


def test_a_message_arrives_with_title_body_and_kind():
    with listening() as listener:
        AppriseNotifier([json_url(listener)]).send("comic-pile: backup failed", "disk full", "failure")

    (request,) = listener.requests
    document = json.loads(request.body)
    assert request.path == f"/{TOKEN}"
    assert (document["title"], document["message"], document["type"]) == (
        "comic-pile: backup failed",
        "disk full",
        "failure",
    )


def test_every_service_is_tried_and_the_failure_names_schemes_only():
    with listening() as good, listening(status=500) as bad:
        notifier = AppriseNotifier([json_url(bad), json_url(good)])
        with pytest.raises(Degraded) as failed:
            notifier.send("title", "body", "summary")

    assert len(good.requests) == 1
    assert failed.value.message == "1 of 2 notification services did not take a message"
    assert failed.value.cause == "no good answer from json"
    assert TOKEN not in f"{failed.value.message}{failed.value.cause}{failed.value.hint}"


def test_a_service_that_is_not_there_is_a_failure():
    with listening() as listener:
        url = json_url(listener)

    with pytest.raises(Degraded):
        AppriseNotifier([url]).send("title", "body", "failure")


@pytest.mark.parametrize("url", ["nosuchservice://canary-token", "canary-token", ""])
def test_a_url_that_is_not_understood_is_refused_without_showing_it(url):
    with pytest.raises(ConfigurationError) as refused:
        AppriseNotifier([Secret(url)])

    assert "URL 1" in refused.value.message
    assert TOKEN not in f"{refused.value.message}{refused.value.cause}{refused.value.hint}"


def test_urls_without_apprise_name_the_extra_to_install():
    program = (
        "import sys; sys.modules['apprise'] = None\n"
        "from ops.adapters.notifier_apprise import AppriseNotifier\n"
        "from ops.errors import ConfigurationError\n"
        "from ops.model.secret import Secret\n"
        "try: AppriseNotifier([Secret('json://x')])\n"
        "except ConfigurationError as exc: print(exc.exit_code, exc.hint)\n"
    )

    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )

    assert answer.stdout == "2 pip install 'ops-runner[notify]'\n"


def test_a_dead_mans_switch_gets_start_success_and_fail_with_the_reason():
    with listening() as listener:
        switch = HttpSwitch(Secret(f"http://127.0.0.1:{listener.port}/ping/{TOKEN}?x=1"))
        switch.ping("start")
        switch.ping("success")
        switch.ping("fail", "disk full")

    assert [request.path for request in listener.requests] == [
        f"/ping/{TOKEN}/start?x=1", f"/ping/{TOKEN}?x=1", f"/ping/{TOKEN}/fail?x=1",
    ]  # fmt: skip
    assert listener.requests[2].body == b"disk full"


def test_a_ping_that_fails_is_tried_again():
    pauses: list[float] = []
    with listening(status=503, then=200) as listener:
        HttpSwitch(Secret(f"http://127.0.0.1:{listener.port}/"), sleep=pauses.append).ping("success")

    assert len(listener.requests) == 2
    assert pauses == [0.5]


@pytest.mark.parametrize("status", [404, 500])
def test_a_ping_that_keeps_failing_names_the_host_and_the_answer_but_not_the_key(status):
    with listening(status=status) as listener, pytest.raises(Degraded) as failed:
        HttpSwitch(Secret(f"http://127.0.0.1:{listener.port}/{TOKEN}"), sleep=lambda _: None).ping("success")

    assert failed.value.message == "the dead man's switch on 127.0.0.1 did not take `success`"
    assert failed.value.cause == f"it answered {status}"


def test_a_switch_that_is_not_there_or_answers_nonsense_is_a_failure():
    with listening() as listener:
        port = listener.port
    with pytest.raises(Degraded):
        HttpSwitch(Secret(f"http://127.0.0.1:{port}/{TOKEN}"), sleep=lambda _: None).ping("success")

    with listening(is_rude=True) as rude, pytest.raises(Degraded):
        HttpSwitch(Secret(f"http://127.0.0.1:{rude.port}/{TOKEN}"), sleep=lambda _: None).ping("success")


def test_a_switch_that_never_answers_is_given_up_after_its_timeout():
    with listening(is_mute=True) as mute, pytest.raises(Degraded) as failed:
        HttpSwitch(Secret(f"http://127.0.0.1:{mute.port}/"), timeout_s=0.2, attempts=1).ping("start")

    assert "timed out" in (failed.value.cause or "")


@pytest.mark.parametrize("url", ["ftp://host/canary-token", "canary-token", "http://", "file:///etc/passwd"])
def test_a_switch_takes_only_http_urls(url):
    with pytest.raises(ConfigurationError) as refused:
        HttpSwitch(Secret(url))

    assert TOKEN not in f"{refused.value.message}{refused.value.cause}{refused.value.hint}"
