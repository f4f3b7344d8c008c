"""Is a database without a health check waited for until it takes sessions?"""

from __future__ import annotations

import pytest

from ops.actions.wait_for_database import wait_for_database
from ops.errors import DatabaseRefused, EngineUnreachable, ServiceUnhealthy, UnknownService
from tests.fakes.clock import FakeClock


def test_it_is_asked_until_it_answers() -> None:
    clock = FakeClock()
    asked_at = []

    def ask() -> None:
        asked_at.append(clock.monotonic())
        if len(asked_at) < 4:
            raise EngineUnreachable("nobody answers")

    wait_for_database(ask, service="db", clock=clock, timeout_s=60)

    assert len(asked_at) == 4
    assert asked_at[0] < asked_at[1] < asked_at[2] < asked_at[3]


def test_one_that_never_answers_fails_at_the_deadline_with_its_last_words() -> None:
    clock = FakeClock()
    began = clock.monotonic()

    def ask() -> None:
        raise EngineUnreachable("nobody answers", cause="connection refused")

    with pytest.raises(ServiceUnhealthy) as failure:
        wait_for_database(ask, service="db", clock=clock, timeout_s=60)

    assert "db was started, but took no session within 60 s" in str(failure.value)
    assert failure.value.cause == "connection refused"
    assert 60 <= clock.monotonic() - began < 62


def test_one_whose_container_ended_meanwhile_is_not_ready() -> None:
    def ask() -> None:
        raise UnknownService("db is not running")

    with pytest.raises(ServiceUnhealthy) as failure:
        wait_for_database(ask, service="db", clock=FakeClock(), timeout_s=60)

    assert failure.value.cause == "db is not running"


def test_what_was_waited_before_counts_and_one_question_is_asked_all_the_same() -> None:
    clock = FakeClock()
    began, asked_at = clock.monotonic(), []

    def ask() -> None:
        asked_at.append(clock.monotonic())
        raise EngineUnreachable("nobody answers")

    with pytest.raises(ServiceUnhealthy, match="within 60 s"):
        wait_for_database(ask, service="db", clock=clock, timeout_s=60, began_s=began - 59)
    assert clock.monotonic() - began < 2
    asked_at.clear()
    with pytest.raises(ServiceUnhealthy):
        wait_for_database(ask, service="db", clock=clock, timeout_s=60, began_s=began - 300)

    assert len(asked_at) == 1


def test_a_refusal_is_an_answer() -> None:
    def ask() -> None:
        raise DatabaseRefused("no")

    wait_for_database(ask, service="db", clock=FakeClock(), timeout_s=60)
