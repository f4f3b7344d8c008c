"""Do `/health`, `/metrics` and the page say the same, and nothing more than they should?"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import httpx2 as httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ops.adapters.metrics import exposition
from ops.adapters.status_page.render import page
from ops.adapters.status_server import StatusServer
from ops.errors import ManifestInvalid, PortTaken
from tests.scheduler import sample
from tests.scheduler.processes import wait_for


@contextlib.contextmanager
def serving(snapshot) -> Iterator[tuple[StatusServer, str]]:
    server = StatusServer(snapshot, port=0)
    server.start()
    try:
        yield server, f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()


def test_health_is_200_while_all_is_well_and_says_so():
    with serving(sample.status) as (_, address):
        answer = httpx.get(f"{address}/health")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "problems": [], "warnings": []}


def test_health_is_503_with_the_reasons_where_the_last_backup_is_too_old():
    with serving(lambda: sample.status(is_failing=True)) as (_, address):
        answer = httpx.get(f"{address}/health")

    assert answer.status_code == 503
    assert answer.json() == {
        "status": "failing",
        "problems": ["the newest successful backup is 2 d 12 h old, allowed are 1 d 2 h"],
        "warnings": ["backup failed 2 times in a row", "the failure of backup could not be told: json: no answer"],
    }


def test_a_state_that_cannot_be_read_is_unhealthy_and_a_bug_of_ours_is_an_error():
    def unreadable():
        raise ManifestInvalid("the scheduler's state cannot be read")

    with serving(unreadable) as (_, address):
        answer = httpx.get(f"{address}/health")
    with serving(lambda: 1 / 0) as (_, address):
        bug = httpx.get(f"{address}/health")

    assert (answer.status_code, answer.json()["problems"]) == (503, ["the scheduler's state cannot be read"])
    assert bug.status_code == 500
    assert "Traceback" not in bug.text


@pytest.mark.parametrize("path", ["/", "/health", "/metrics", "/status.json"])
def test_every_page_answers_head_with_the_same_length_and_forbids_everything_foreign(path):
    with serving(sample.status) as (_, address):
        got, head = httpx.get(address + path), httpx.head(address + path)

    assert head.status_code == got.status_code == 200
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.content == b""
    assert "default-src 'none'" in got.headers["content-security-policy"]
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["server"].strip() == "ops"


def test_nothing_can_be_changed_and_nothing_else_is_there():
    with serving(sample.status) as (_, address):
        posted = httpx.post(f"{address}/health", content=b"x")
        missing = httpx.get(f"{address}/../etc/passwd")

    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
    assert missing.status_code == 404


def test_it_listens_on_loopback_only():
    with serving(sample.status) as (server, _):
        table = Path("/proc/net/tcp").read_text().splitlines()

    listeners = [line.split()[1] for line in table]

    assert f"0100007F:{server.port:04X}" in listeners
    assert f"00000000:{server.port:04X}" not in listeners


def test_a_client_that_sends_nothing_keeps_nobody_else_waiting():
    with serving(sample.status) as (server, address), socket.create_connection(("127.0.0.1", server.port)):
        assert httpx.get(f"{address}/health").status_code == 200


def test_a_taken_port_is_told_with_the_port():
    with serving(sample.status) as (server, _), pytest.raises(PortTaken) as refused:
        StatusServer(sample.status, port=server.port).start()

    assert f"127.0.0.1:{server.port}" in refused.value.message


def test_a_process_that_was_killed_is_started_again_on_the_same_port():
    with serving(sample.status) as (server, address):
        port = server.port
        assert not server.revive()
        os.kill(server._process.pid, signal.SIGKILL)
        wait_for(lambda: not server.is_alive())

        assert server.revive()
        assert server.port == port
        assert httpx.get(f"{address}/health").status_code == 200


def families(status) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        sample_.name: {
            **{
                tuple(other.labels.values()): other.value
                for family in text_string_to_metric_families(exposition(status).decode())
                for other in family.samples
                if other.name == sample_.name
            }
        }
        for found in text_string_to_metric_families(exposition(status).decode())
        for sample_ in found.samples
    }


def test_a_drill_of_another_database_is_none_of_the_live_one():
    status = sample.status()
    own = status.backups[0].identity

    assert replace(status, live=own).last_drill_at == status.last_drill_at is not None
    moved = replace(status, live=own._replace(kind="sqlite"))
    assert (moved.last_drill_at, moved.last_verified_at) == (None, None)


def test_metrics_tell_of_each_job_what_the_page_tells():
    status = sample.status()

    found = families(status)

    backup = status.jobs[0]
    assert found["ops_job_last_success_timestamp_seconds"]["backup",] == backup.succeeded_at.timestamp()
    assert found["ops_job_last_success_age_seconds"]["backup",] == backup.age_s
    assert found["ops_job_size_bytes"]["backup",] == backup.last_success.fields["size_bytes"]
    assert found["ops_job_duration_seconds"]["backup",] == backup.last_success.duration_s
    assert found["ops_job_next_run_timestamp_seconds"]["backup",] == backup.next_at.timestamp()
    assert found["ops_job_consecutive_failures"]["backup",] == 0
    assert found["ops_job_runs_total"]["backup", "ok"] == 87
    assert found["ops_job_runs_total"]["backup", "failed"] == 4
    assert found["ops_backup_last_verified_timestamp_seconds"][()] == status.last_verified_at.timestamp()
    assert found["ops_backup_last_drill_timestamp_seconds"][()] == status.last_drill_at.timestamp()
    assert found["ops_backups"][()] == 14
    assert (
        found["ops_notifier_working"][()] == found["ops_scheduler_alive"][()] == found["ops_scheduler_healthy"][()] == 1
    )


def test_metrics_turn_with_health_and_leave_out_what_is_not_known():
    failing, empty = families(sample.status(is_failing=True)), families(sample.status(is_empty=True))

    assert failing["ops_scheduler_healthy"][()] == failing["ops_notifier_working"][()] == 0
    assert failing["ops_job_too_old"]["backup",] == 1
    assert failing["ops_job_consecutive_failures"]["backup",] == 2
    assert "ops_job_last_success_age_seconds" not in empty
    assert "ops_backup_last_drill_timestamp_seconds" not in empty


class Outline(HTMLParser):
    """Refuses what is not well nested, and gathers what a page refers to."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.attributes |= {name for name, _ in attrs}
        self.references += [value or "" for name, value in attrs if name in {"href", "src"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", [{}, {"is_failing": True}, {"is_empty": True}])
def test_the_page_is_well_formed_self_contained_and_without_scripts(kind):
    outline = Outline()

    outline.feed(page(sample.status(**kind)))

    assert outline.open == []
    assert all(
        ref.startswith(("data:image/svg+xml,", "/health", "/metrics", "/status.json")) for ref in outline.references
    )
    assert not {name for name in outline.attributes if name.startswith("on")} | outline.attributes & {"style"}


def test_whatever_a_message_holds_it_is_shown_as_text():
    status = sample.status()
    evil = '<script>alert("x")</script>'
    first = status.jobs[0]
    run = replace(first.runs[-1], message=evil, started_at=sample.NOW)
    job = replace(first, name=evil, rule=evil, runs=(*first.runs, run))
    manifest = replace(status.backups[0], id=evil, revisions=(evil,))

    shown = page(replace(status, stack=evil, jobs=(job,), backups=(manifest,), problems=(evil,), warnings=(evil,)))

    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") >= 8
