"""Do the derivations of a job's runs say what a person would say who looked at them?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.model.job import Job, backoff, is_last_attempt, next_run
from ops.model.run_history import (
    History,
    Notice,
    Run,
    calendar_days,
    consecutive_failures,
    delivery_problem,
    is_silent,
    last_success,
    notice_for,
    success_age,
    tell_silence,
    untold,
)
from ops.model.schedule import parse_rule
from ops.model.scheduler_status import Heartbeat, status_json, status_of

START = datetime(2026, 1, 1, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def run(day: int, state: str = "ok", attempt: int = 1, **more) -> Run:
    due_at = START + day * DAY
    at = due_at + timedelta(minutes=attempt - 1)
    end = None if state == "running" else at + timedelta(seconds=8)
    return Run("backup", due_at, at, state, end, attempt, **more)  # type: ignore[arg-type]


def final(day: int) -> Run:
    return run(day, "failed", is_last_attempt=True)


def test_the_last_success_and_its_age_look_past_failures_and_never_go_negative():
    runs = (run(0), run(1), run(2, "failed"))

    assert last_success(runs) == run(1)
    assert success_age(runs, START + 2 * DAY) == DAY - timedelta(seconds=8)
    assert success_age(runs, START) == timedelta()
    assert success_age((run(0, "failed"),), START) is None


def test_attempts_of_one_due_time_are_one_failure_and_a_stop_is_none():
    runs = [
        run(0),
        run(1, "failed"),
        run(1, "failed", 2),
        run(2, "interrupted"),
        run(3, "interrupted", is_stopped=True),
    ]

    assert consecutive_failures(runs) == 2
    assert consecutive_failures([*runs, run(4)]) == 0


@pytest.mark.parametrize(
    ("ended", "before", "told"),
    [
        (run(1), [run(0)], None),
        (run(0), [], None),
        (run(1, "failed"), [run(0)], None),
        (final(1), [run(0)], "failure"),
        (final(2), [final(1)], "failure"),
        (run(2), [run(0), final(1)], "recovery"),
        (run(3), [final(1), run(2)], None),
        (run(1, attempt=2), [run(0), run(1, "failed")], None),
        (run(3, attempt=2), [final(1), run(2, "interrupted", is_stopped=True), run(3, "failed")], "recovery"),
    ],
)
def test_a_failure_is_told_when_it_is_final_and_a_recovery_once(ended, before, told):
    assert notice_for(ended, before) == told


def test_silence_is_an_age_above_the_limit_counted_from_the_beginning_before_the_first_success():
    assert not is_silent(START, START, START + 26 * HOUR, 26 * HOUR)
    assert is_silent(START, START, START + 27 * HOUR, 26 * HOUR)
    assert is_silent(None, START, START + 27 * HOUR, 26 * HOUR)
    assert not is_silent(None, START, START + 400 * DAY, None)


def test_a_silence_is_told_again_after_a_day_and_soon_where_telling_failed():
    told = History(notices=(Notice("silence", "backup", START, is_delivered=True),))
    failed = History(notices=(Notice("silence", "backup", START, is_delivered=False, problem="no"),))

    assert not tell_silence(told, "backup", START + 23 * HOUR)
    assert tell_silence(told, "backup", START + 24 * HOUR)
    assert tell_silence(told, "drill", START + HOUR)
    assert not tell_silence(failed, "backup", START + timedelta(minutes=14))
    assert tell_silence(failed, "backup", START + timedelta(minutes=15))


def test_what_could_not_be_told_stays_a_problem_until_something_of_its_kind_is_delivered():
    bad = Notice("failure", "backup", START, is_delivered=False, problem="no answer")
    ping = Notice("ping", "backup", START + HOUR, is_delivered=True)
    good = Notice("summary", "", START + HOUR, is_delivered=True)

    assert delivery_problem(History(notices=(bad,))) == bad
    assert delivery_problem(History(notices=(bad, ping))) == bad
    assert delivery_problem(History(notices=(bad, good))) is None
    bad_ping = replace(ping, is_delivered=False, problem="no route")
    assert delivery_problem(History(notices=(bad_ping, good, replace(ping, job="drill")))) == bad_ping
    assert delivery_problem(History(notices=(bad_ping, ping))) is None
    assert untold(History(notices=(bad,)), "backup", START + HOUR) == bad
    assert untold(History(notices=(bad,)), "backup", START) is None


def test_a_calendar_has_a_cell_for_each_day_and_says_how_it_went():
    runs = [run(0), final(1), run(2, "failed"), run(2, attempt=2), run(3, is_catch_up=True), run(4, "running")]

    days = calendar_days(runs, "UTC", date(2026, 1, 6), days=6)

    assert [day.state for day in days] == ["ok", "failed", "retried", "late", "none", "none"]
    assert [day.day.day for day in days] == [1, 2, 3, 4, 5, 6]


def test_a_run_belongs_to_the_local_day_of_its_due_time():
    late_in_berlin = replace(run(0), due_at=datetime(2026, 1, 1, 23, 30, tzinfo=UTC))

    assert [day.state for day in calendar_days([late_in_berlin], "Europe/Berlin", date(2026, 1, 2), 2)] == [
        "none",
        "ok",
    ]


JOB = Job("backup", parse_rule("daily 02:00"), dict, retries=2, backoff_s=60)


def test_pauses_between_attempts_double_up_to_an_hour():
    assert [backoff(JOB, failures).total_seconds() for failures in (1, 2, 3, 7, 2000)] == [60, 120, 240, 3600, 3600]


def test_an_attempt_is_the_last_without_a_retry_left_or_with_the_next_due_time_before_it():
    minutely = Job("backup", parse_rule("every 1 minute"), dict, backoff_s=90)
    runs = [run(0, "failed")]

    assert not is_last_attempt(JOB, runs, START, START)
    assert is_last_attempt(JOB, [run(0, "failed", number) for number in (1, 2, 3)], START, START)
    assert is_last_attempt(minutely, runs, START, START)


states = st.sampled_from(["ok", "failed", "interrupted"])


@given(
    outcomes=st.lists(states, max_size=6),
    stopped=st.booleans(),
    later=st.timedeltas(timedelta(), timedelta(days=40)),
)
def test_there_is_always_a_next_run_and_never_one_of_a_due_time_that_succeeded(outcomes, stopped, later):
    runs = tuple(run(day, state, is_stopped=stopped and state == "interrupted") for day, state in enumerate(outcomes))
    history = History({"backup": START - HOUR}, runs)
    now = START + max(len(outcomes) - 1, 0) * DAY + timedelta(minutes=5) + later

    coming = next_run(JOB, history, now)

    assert coming is not None
    assert coming.due_at not in {one.due_at for one in runs if one.state == "ok"}
    assert coming.start_at <= now + DAY
    if outcomes and outcomes[-1] != "ok" and later < 12 * HOUR:
        assert (coming.due_at, coming.attempt) == (runs[-1].due_at, 2)


def test_nothing_is_owed_for_the_time_before_a_job_was_known():
    coming = next_run(JOB, History({"backup": START + HOUR}), START + 2 * HOUR)

    assert coming is not None
    assert (coming.due_at, coming.is_catch_up) == (START + DAY, False)


def status(history: History, now: datetime, *, is_held: bool = True, beat: Heartbeat | None = None, **more):
    job = replace(JOB, max_age_s=26 * 3600)
    return status_of(
        (job,), history, stack="comic-pile", zone="UTC", now=now, monotonic_s=1000.0, is_held=is_held,
        heartbeat=beat or Heartbeat(now, 995.0, 1), **more,
    )  # fmt: skip


def test_a_fresh_backup_and_a_beating_loop_are_healthy():
    found = status(History({"backup": START}, (run(0),)), START + HOUR)

    assert (found.state, found.is_alive, found.problems, found.warnings) == ("ok", True, (), ())
    assert found.jobs[0].next_at == START + DAY


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"is_held": False}, "the scheduler is not running"),
        ({"beat": Heartbeat(START, 700.0, 1)}, "the scheduler's loop stands still since 5 min"),
        ({"beat": Heartbeat(START, 5000.0, 1)}, "the scheduler's loop stands still"),
    ],
)
def test_a_loop_that_does_not_come_round_is_a_problem(more, told):
    found = status(History({"backup": START}, (run(0),)), START + HOUR, **more)

    assert found.state == "failing"
    assert found.problems == (told,)


def test_an_old_backup_is_a_problem_and_a_backup_by_hand_cures_it():
    history, now = History({"backup": START}, (run(0),)), START + 30 * HOUR

    old = status(history, now)
    cured = status(history, now, elsewhere={"backup": START + 29 * HOUR})

    assert old.problems == ("the newest successful backup is 1 d 5 h old, allowed are 1 d 2 h",)
    assert cured.state == "ok"
    assert cured.jobs[0].age_s == 3600


def test_a_failed_run_and_a_broken_notifier_are_warnings():
    bad = Notice("failure", "backup", START + DAY, is_delivered=False, problem="no answer")
    history = History({"backup": START}, (run(0), final(1)), notices=(bad,))

    found = status(history, START + DAY + HOUR)

    assert found.state == "degraded"
    assert found.warnings == ("backup failed once", "the failure of backup could not be told: no answer")
    assert status_json(found)["jobs"][0]["consecutive_failures"] == 1


def test_a_job_known_since_a_wrong_future_is_due_in_the_real_time():
    coming = next_run(JOB, History({"backup": START + 2000 * DAY}), START + HOUR)

    assert coming is not None
    assert coming.due_at == START + DAY


def test_a_run_that_we_stopped_is_repeated_at_once_and_one_that_was_killed_after_a_pause():
    now = START + timedelta(seconds=10)
    stopped = next_run(JOB, History({"backup": START - HOUR}, (run(0, "interrupted", is_stopped=True),)), now)
    killed = next_run(JOB, History({"backup": START - HOUR}, (run(0, "interrupted"),)), now)

    assert stopped is not None
    assert killed is not None
    assert stopped.start_at == now
    assert killed.start_at == START + timedelta(seconds=68)


def test_a_newer_due_time_takes_the_place_of_a_retry_that_was_never_made():
    coming = next_run(JOB, History({"backup": START - HOUR}, (run(0, "failed"),)), START + DAY)

    assert coming is not None
    assert (coming.due_at, coming.attempt) == (START + DAY, 1)
