"""Is every printed line told once, in order, by whom - and does reading always end?"""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from ops.errors import UnknownService

from .conftest import Bench, docker, wait_for

pytestmark = pytest.mark.docker

PRINTER = """
  app:
    image: python:3.13-slim
    init: true
    stop_grace_period: 1s
    command: ["sh", "-c", "SCRIPT"]
"""


def printing(bench: Bench, script: str, more: str = ""):
    stack = bench.write(PRINTER.replace("SCRIPT", script) + more)
    bench.up(stack)
    return stack


def ended(bench: Bench, stack, service: str = "app") -> None:
    wait_for(lambda: bench.status(stack, service).state == "exited", "the service to end")


def test_lines_have_their_stream_their_service_and_their_time(bench: Bench) -> None:
    before = datetime.now(UTC)
    stack = printing(bench, "echo one; sleep 0.1; echo two >&2; sleep 0.1; printf three")
    ended(bench, stack)

    lines = list(bench.engine.logs(stack, []))

    assert [(line.service, line.text, line.is_error) for line in lines] == [
        ("app", "one", False),
        ("app", "two", True),
        ("app", "three", False),
    ]
    assert all(line.at and before <= line.at <= datetime.now(UTC) for line in lines)


def test_tail_and_since_choose(bench: Bench) -> None:
    stack = printing(bench, "for i in 1 2 3 4 5; do echo $$i; sleep 0.05; done")
    ended(bench, stack)
    lines = list(bench.engine.logs(stack, ["app"]))

    tail = [line.text for line in bench.engine.logs(stack, ["app"], tail=2)]
    since = [line.text for line in bench.engine.logs(stack, ["app"], since=lines[3].at)]

    assert tail == ["4", "5"]
    assert since == ["4", "5"]


def test_a_line_longer_than_the_engines_own_limit_is_one_line(bench: Bench) -> None:
    stack = printing(bench, "head -c 100000 /dev/zero | tr '\\\\0' x; echo; echo short")
    ended(bench, stack)

    assert [line.text for line in bench.engine.logs(stack, ["app"])] == ["x" * 100000, "short"]


def test_lines_of_several_services_come_in_the_order_of_time(bench: Bench) -> None:
    other = PRINTER.replace("app:", "other:").replace("SCRIPT", "sleep 0.25; echo b; sleep 0.5; echo d")
    stack = printing(bench, "echo a; sleep 0.75; echo c; sleep 0.5; echo e", other)
    ended(bench, stack)
    ended(bench, stack, "other")

    lines = list(bench.engine.logs(stack, []))

    assert sorted(line.text for line in lines) == ["a", "b", "c", "d", "e"]
    assert [line.at for line in lines] == sorted(line.at for line in lines if line.at)


def test_following_a_stopped_service_tells_the_past_and_ends(bench: Bench) -> None:
    stack = printing(bench, "echo done")
    ended(bench, stack)

    assert [line.text for line in bench.engine.logs(stack, [], follow=True)] == ["done"]


def test_following_one_that_was_never_started_ends(bench: Bench) -> None:
    stack = printing(bench, "sleep 600")
    docker("rm", "-f", bench.status(stack).container_name)
    docker(
        "create", "--name", f"{bench.project}-app-1", "--label", f"com.docker.compose.project={bench.project}",
        "--label", "com.docker.compose.service=app", "--label", "com.docker.compose.oneoff=False", "python:3.13-slim",
    )  # fmt: skip

    assert list(bench.engine.logs(stack, [], follow=True)) == []


def test_following_tells_what_comes_and_ends_with_the_service(bench: Bench) -> None:
    stack = printing(bench, "echo first; sleep 600")
    following = bench.engine.logs(stack, [], follow=True)
    first = next(following)

    docker(
        "exec", bench.status(stack).container_name, "sh", "-c", "echo second >/proc/7/fd/1 || echo second >/proc/1/fd/1"
    )
    second = next(following)
    docker("stop", "--time", "1", bench.status(stack).container_name)
    rest = list(following)

    assert (first.text, second.text, rest) == ("first", "second", [])


def test_following_goes_on_over_a_restart_and_tells_no_line_twice(bench: Bench) -> None:
    stack = printing(bench, "echo up; sleep 600")
    following = bench.engine.logs(stack, [], follow=True)
    lines = [next(following)]

    docker("restart", "--time", "1", bench.status(stack).container_name)
    lines.append(next(following))
    following.close()

    assert [line.text for line in lines] == ["up", "up"]
    assert lines[0].at != lines[1].at


def test_closing_a_follower_that_waits_ends_its_threads(bench: Bench) -> None:
    stack = printing(bench, "echo up; sleep 600")
    following = bench.engine.logs(stack, [], follow=True)
    next(following)

    following.close()

    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "follow logs"], "the readers to end", 10)


def test_a_service_with_a_terminal_has_logs_too(bench: Bench) -> None:
    stack = printing(bench, "echo one; echo two", "    tty: true\n")
    ended(bench, stack)

    assert [line.text for line in bench.engine.logs(stack, [])] == ["one", "two"]


def test_an_unknown_service_is_named(bench: Bench) -> None:
    with pytest.raises(UnknownService, match="nonesuch"):
        list(bench.engine.logs(bench.write(), ["nonesuch"]))
