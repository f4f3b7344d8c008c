"""When is a service ready, worth waiting for, or failed?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.model.compose.project import Dependency, Service, Stack
from ops.model.engine import ServiceStatus
from ops.model.health import Failed, Ready, Sighting, Verdict, Waiting, judge, one_shots

START = datetime(2026, 1, 1, tzinfo=UTC)


def seen(at_s: float, **status: object) -> Sighting:
    values: dict[str, object] = {"state": "running", "started_at": START, **status}
    return Sighting(100.0 + at_s, START + timedelta(seconds=at_s), ServiceStatus("app", **values))


def verdict_of(*history: Sighting, **options: object) -> type[Verdict]:
    return type(judge(history, **options))


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ({"health": "healthy"}, Ready),
        ({"health": "starting"}, Waiting),
        ({"health": "unhealthy"}, Failed),
        ({"health": "none"}, Waiting),
        ({"state": "created"}, Waiting),
        ({"state": "paused"}, Waiting),
        ({"state": "restarting"}, Failed),
        ({"state": "absent"}, Failed),
        ({"state": "dead"}, Failed),
        ({"state": "exited", "exit_code": 3}, Failed),
        ({"state": "exited", "exit_code": 0}, Failed),
        ({"state": "exited", "exit_code": None}, Failed),
        ({"health": "healthy", "restart_count": 1}, Failed),
    ],
)
def test_one_look_at_a_service_that_was_just_started(status, verdict):
    assert verdict_of(seen(0.5, **status)) is verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ({"state": "exited", "exit_code": 0}, Ready),
        ({"state": "exited", "exit_code": 5}, Failed),
        ({"state": "dead", "exit_code": 0}, Failed),
        ({"health": "healthy"}, Waiting),
        ({"state": "restarting"}, Failed),
    ],
)
def test_a_service_whose_completion_is_awaited(status, verdict):
    assert verdict_of(seen(0.5, **status), is_one_shot=True) is verdict


def test_without_a_health_check_it_must_run_unchanged_for_a_while():
    assert verdict_of(seen(0.0), seen(2.9)) is Waiting
    assert verdict_of(seen(0.0), seen(3.0)) is Ready


def test_a_service_that_has_run_for_long_is_ready_at_the_first_look():
    assert verdict_of(seen(3600.0)) is Ready


def test_an_engine_without_start_times_is_judged_by_what_we_saw_ourselves():
    assert verdict_of(seen(0.0, started_at=None), seen(2.0, started_at=None)) is Waiting
    assert verdict_of(seen(0.0, started_at=None), seen(3.5, started_at=None)) is Ready


def test_an_engine_whose_clock_is_ahead_is_judged_by_what_we_saw_ourselves():
    ahead = START + timedelta(hours=1)

    assert verdict_of(seen(0.0, started_at=ahead), seen(1.0, started_at=ahead)) is Waiting
    assert verdict_of(seen(0.0, started_at=ahead), seen(3.0, started_at=ahead)) is Ready


def test_another_start_begins_the_while_anew():
    again = START + timedelta(seconds=2)

    assert verdict_of(seen(0.0), seen(2.5, started_at=again), seen(4.0, started_at=again)) is Waiting


def test_a_restart_from_before_the_wait_is_no_crash():
    assert verdict_of(seen(3600.0, restart_count=2), restarts_before=2) is Ready
    assert verdict_of(seen(3600.0, restart_count=3), restarts_before=2) is Failed


def test_a_failure_says_what_happened():
    assert judge([seen(0.0, state="exited", exit_code=3)]) == Failed("ended with exit code 3")
    assert judge([seen(0.0, state="restarting", restart_count=2, exit_code=3)]) == Failed(
        "keeps ending: restarted 2 times, last with exit code 3"
    )


@given(period_s=st.floats(0.1, 2.9), looks=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=40))
def test_a_crash_loop_shorter_than_the_while_is_never_ready(period_s, looks):
    history: list[Sighting] = []
    at_s = 0.0
    for pause_s in looks:
        at_s += pause_s
        round_number = int(at_s // period_s)
        history.append(seen(at_s, started_at=START + timedelta(seconds=round_number * period_s)))

        assert not isinstance(judge(history), Ready)


def test_one_shots_are_those_whose_completion_somebody_waits_for():
    stack = Stack(
        "s",
        Path("/"),
        (),
        {
            "migrate": Service("migrate"),
            "db": Service("db"),
            "app": Service(
                "app",
                depends_on=(
                    Dependency("migrate", "service_completed_successfully"),
                    Dependency("db", "service_healthy"),
                ),
            ),
        },
    )

    assert one_shots(stack) == {"migrate"}
