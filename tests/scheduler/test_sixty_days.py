"""Does the scheduler do what it promises over months: changes of the clocks, downtime, restarts, kills, jumps?

The real loop, the real rules and the real state on disk; only time, workers and notifier are in memory.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ops.actions.notify import Herald
from ops.actions.run_jobs import JobLoop
from ops.adapters.schedule_state import ScheduleState
from ops.errors import DumpFailed
from ops.model.job import Job
from ops.model.schedule import parse_rule
from tests.fakes.clock import FakeClock
from tests.fakes.notifier import FakeNotifier, FakeSwitch
from tests.fakes.reporter import RecordingReporter
from tests.fakes.workers import FakeWorkers

DAY = timedelta(days=1)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


class Machine:
    """A host whose scheduler can be started, stopped and killed; its disk stays."""

    def __init__(self, folder: Path, jobs: tuple[Job, ...], now: datetime, *, summary: str = "") -> None:
        self.folder = folder
        self.jobs = jobs
        self.clock = FakeClock(now)
        self.workers = FakeWorkers(self.clock)
        self.notifier = FakeNotifier()
        self.switch = FakeSwitch()
        self.report = RecordingReporter()
        self.summary = parse_rule(summary) if summary else None
        self.loop: JobLoop | None = None
        self.state = ScheduleState(folder)

    def start(self) -> None:
        self.state = ScheduleState(self.folder)
        herald = Herald(
            "comic-pile", state=self.state, clock=self.clock, report=self.report, notifier=self.notifier,
            switches={"backup": self.switch}, summary=self.summary,
        )  # fmt: skip
        self.loop = JobLoop(
            self.jobs, clock=self.clock, state=self.state, workers=self.workers, report=self.report, herald=herald
        )
        self.loop.begin()

    def stop(self) -> None:
        assert self.loop is not None
        self.loop.stop(7.0)
        self.loop = None

    def kill(self) -> None:
        """SIGKILL: nothing is written, and the kernel lets go of the locks."""
        for descriptor in self.state._held.values():
            __import__("os").close(descriptor)
        self.state._held.clear()
        self.loop = None

    def live(self, until: datetime, step_s: float = 60.0) -> None:
        while self.clock.now() < until:
            if self.loop is not None:
                self.loop.watch()
                self.loop.tick()
            self.clock.sleep(step_s)

    def starts(self, job: str = "backup") -> list[datetime]:
        return [at for name, at in self.workers.started if name == job]

    def runs(self, job: str = "backup"):
        return [run for run in ScheduleState(self.folder).history().runs if run.job == job]


def good(size: int = 5) -> dict[str, object]:
    return {"size_bytes": size}


def backup_job(zone: str = "UTC", rule: str = "daily 02:00", run=good, **more) -> Job:
    return Job("backup", parse_rule(rule, zone), run, **more)


@pytest.mark.parametrize(
    ("zone", "rule", "start"),
    [
        ("Europe/Berlin", "daily 02:30", utc(2025, 3, 1)),
        ("Europe/Berlin", "daily 02:30", utc(2025, 9, 28)),
        ("Australia/Lord_Howe", "daily 02:15", utc(2025, 9, 10)),
        ("Australia/Lord_Howe", "daily 01:45", utc(2025, 3, 10)),
        ("America/Sao_Paulo", "daily 00:00", utc(2018, 10, 10)),
    ],
)
def test_sixty_days_with_a_change_of_the_clocks_hold_sixty_backups_one_a_day(tmp_path, zone, rule, start):
    machine = Machine(tmp_path, (backup_job(zone, rule),), start)
    machine.start()

    machine.live(start + 60 * DAY, step_s=600)

    days = [at.astimezone(ZoneInfo(zone)).date() for at in machine.starts()]
    assert len(days) == len(set(days)) == 60
    assert (max(days) - min(days)).days == 59
    assert all(run.state == "ok" and run.started_at - run.due_at < timedelta(minutes=10) for run in machine.runs())


def test_sixty_days_with_downtime_and_restarts_at_odd_hours_miss_no_day_that_was_partly_up(tmp_path):
    start = utc(2025, 3, 1, 12)
    machine = Machine(tmp_path, (backup_job("Europe/Berlin", "daily 02:30"),), start)
    was_up: list[tuple[datetime, datetime]] = []
    for day in range(60):
        began = machine.clock.now()
        machine.start()
        machine.live(start + day * DAY + timedelta(hours=9 + day % 5), step_s=600)
        machine.stop()
        was_up.append((began, machine.clock.now()))
        machine.live(start + day * DAY + timedelta(hours=11 if day % 3 == 0 else 18), step_s=600)
    machine.start()
    machine.live(start + 60 * DAY + timedelta(hours=1), step_s=600)

    runs = machine.runs()
    due_while_down = [run for run in runs if not any(began <= run.due_at < ended for began, ended in was_up)]
    assert len({run.due_at for run in runs}) == len(runs) == 60
    assert 20 < len(due_while_down) < 50, "both kinds of day happen"
    assert [run for run in runs if run.is_catch_up] == due_while_down


def test_a_week_of_downtime_gives_one_catch_up_marked_so(tmp_path):
    machine = Machine(tmp_path, (backup_job(),), utc(2026, 1, 1))
    machine.start()
    machine.live(utc(2026, 1, 3))
    machine.stop()
    machine.clock.sleep(7 * 86400)

    machine.start()
    machine.live(utc(2026, 1, 10, 1))

    assert [run.is_catch_up for run in machine.runs()] == [False, False, True]
    assert machine.runs()[-1].due_at == utc(2026, 1, 9, 2)
    assert "one catch-up for 7 missed runs" in machine.report.notes[0]


def test_no_catch_up_where_a_backup_by_hand_is_newer(tmp_path):
    by_hand = utc(2026, 1, 5, 9)
    machine = Machine(tmp_path, (backup_job(succeeded_at=lambda: by_hand),), utc(2026, 1, 1))
    machine.start()
    machine.live(utc(2026, 1, 2))
    machine.stop()
    machine.clock.sleep(3.5 * 86400)

    for _ in range(3):
        machine.start()
        machine.live(machine.clock.now() + timedelta(hours=3))
        machine.stop()
    machine.start()
    machine.live(utc(2026, 1, 6, 3))

    assert [run.due_at for run in machine.runs()] == [utc(2026, 1, 1, 2), utc(2026, 1, 6, 2)]
    assert len(machine.report.notes) == 4, "told once for each start, not at each tick"


def test_ten_restarts_within_the_hour_of_the_backup_give_one_backup(tmp_path):
    machine = Machine(tmp_path, (backup_job(),), utc(2026, 1, 1))
    for restart in range(10):
        machine.start()
        machine.live(utc(2026, 1, 1, 1, 45) + restart * timedelta(minutes=6), step_s=10)
        machine.stop()

    assert [run.state for run in machine.runs()] == ["ok"]


def test_restarts_in_the_midst_of_a_backup_cost_no_retry_and_end_with_one_success(tmp_path):
    machine = Machine(tmp_path, (backup_job(retries=1),), utc(2026, 1, 1, 1, 59))
    machine.workers.takes_s = 600
    for restart in range(10):
        machine.start()
        machine.live(utc(2026, 1, 1, 2, 3) + restart * timedelta(minutes=3), step_s=10)
        machine.stop()
    machine.start()
    machine.live(utc(2026, 1, 1, 5), step_s=10)

    states = [(run.state, run.is_stopped) for run in machine.runs()]
    assert states == [("interrupted", True)] * 10 + [("ok", False)]
    assert {run.due_at for run in machine.runs()} == {utc(2026, 1, 1, 2)}
    assert machine.notifier.sent == []


def test_a_backup_that_kills_its_host_each_time_is_given_up_and_told(tmp_path):
    machine = Machine(tmp_path, (backup_job(retries=2),), utc(2026, 1, 1, 1, 59))
    machine.workers.takes_s = 600
    for restart in range(10):
        machine.start()
        machine.live(utc(2026, 1, 1, 2, 5) + restart * timedelta(minutes=5), step_s=10)
        machine.kill()
    machine.start()

    assert [run.state for run in machine.runs()] == ["interrupted"] * 3
    assert machine.runs()[-1].message == "its process was killed"
    assert machine.notifier.kinds() == ["failure"]


def test_a_job_that_fails_is_tried_again_with_growing_pauses_and_told_once_a_day(tmp_path):
    def fail() -> dict[str, object]:
        raise DumpFailed("the dump did not finish")

    machine = Machine(tmp_path, (backup_job(run=fail, retries=3, backoff_s=60),), utc(2026, 1, 1))
    machine.workers.takes_s = 0
    machine.start()

    machine.live(utc(2026, 1, 4), step_s=10)

    first_night = machine.starts()[:4]
    pauses = [(second - first).total_seconds() for first, second in pairwise(first_night)]
    assert len(machine.starts()) == 12
    assert pauses == [pytest.approx(pause, abs=25) for pause in (60, 120, 240)]
    assert machine.notifier.kinds() == ["failure"] * 3
    assert "the dump did not finish" in machine.notifier.sent[0][2]
    assert "3 scheduled runs in a row" in machine.notifier.sent[2][2]
    assert machine.switch.pings == [*["start"] * 4, "fail"] * 3


def test_thirty_days_of_failures_are_told_every_day_and_the_recovery_once(tmp_path):
    broken = [True]

    def run() -> dict[str, object]:
        if broken[0]:
            raise DumpFailed("no space left")
        return good()

    machine = Machine(tmp_path, (backup_job(run=run, max_age_s=26 * 3600),), utc(2026, 1, 1))
    machine.start()
    machine.live(utc(2026, 1, 31), step_s=300)
    broken[0] = False
    machine.live(utc(2026, 2, 3), step_s=300)

    assert Counter(machine.notifier.kinds())["failure"] == 30
    assert 28 <= Counter(machine.notifier.kinds())["silence"] <= 30
    assert machine.notifier.kinds()[-1] == "recovery"
    assert Counter(machine.notifier.kinds())["recovery"] == 1


def test_a_failing_job_of_every_minute_is_told_although_its_retries_never_come(tmp_path):
    def fail() -> dict[str, object]:
        raise DumpFailed("no")

    machine = Machine(tmp_path, (backup_job(rule="every 1 minute", run=fail, backoff_s=300),), utc(2026, 1, 1))
    machine.start()

    machine.live(utc(2026, 1, 1, 0, 10), step_s=10)

    assert "failure" in machine.notifier.kinds()


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(minutes=-20), timedelta(hours=-14)])
def test_a_clock_set_back_after_the_backup_gives_no_double(tmp_path, jump):
    machine = Machine(tmp_path, (backup_job(),), utc(2026, 1, 5))
    machine.start()
    machine.live(utc(2026, 1, 5, 2, 10))

    machine.clock.jump(jump)
    machine.live(utc(2026, 1, 6, 3))

    assert [run.due_at for run in machine.runs()] == [utc(2026, 1, 5, 2), utc(2026, 1, 6, 2)]


def test_a_clock_far_ahead_and_set_right_again_neither_stops_nor_doubles_the_backups(tmp_path):
    machine = Machine(tmp_path, (backup_job(),), utc(2026, 1, 5, 12))
    machine.start()
    machine.clock.jump(365 * DAY)
    machine.live(machine.clock.now() + timedelta(hours=3))
    machine.clock.jump(-365 * DAY)

    machine.live(utc(2026, 1, 9), step_s=60)

    due = [run.due_at for run in machine.runs() if run.due_at.year == 2026 and run.due_at.month == 1]
    assert due == [utc(2026, 1, 6, 2), utc(2026, 1, 7, 2), utc(2026, 1, 8, 2)]


def test_a_first_boot_with_a_wrong_clock_does_not_hold_the_schedule_back(tmp_path):
    machine = Machine(tmp_path, (backup_job(),), utc(2031, 1, 1))
    machine.start()
    machine.clock.jump(utc(2026, 1, 1) - utc(2031, 1, 1))

    machine.live(utc(2026, 1, 3))

    assert len(machine.starts()) == 2


def test_a_clock_set_forward_over_the_hour_gives_one_late_run(tmp_path):
    machine = Machine(tmp_path, (backup_job(),), utc(2026, 1, 5, 1))
    machine.start()
    machine.live(utc(2026, 1, 5, 1, 30))

    machine.clock.jump(timedelta(hours=2))
    machine.live(utc(2026, 1, 5, 12))

    assert [(run.due_at, run.is_catch_up) for run in machine.runs()] == [(utc(2026, 1, 5, 2), True)]


def test_prune_follows_each_backup_that_succeeded_and_none_that_failed(tmp_path):
    outcomes = iter([True, False, True])

    def run() -> dict[str, object]:
        if not next(outcomes):
            raise DumpFailed("no")
        return good()

    jobs = (backup_job(run=run, retries=0), Job("prune", parse_rule("after backup"), dict))
    machine = Machine(tmp_path, jobs, utc(2026, 1, 1))
    machine.start()

    machine.live(utc(2026, 1, 4))

    assert [at.date().day for at in machine.starts("prune")] == [1, 3]


def test_two_jobs_due_at_once_run_one_after_the_other_in_their_order(tmp_path):
    jobs = (backup_job(), Job("check", parse_rule("daily 02:00"), dict))
    machine = Machine(tmp_path, jobs, utc(2026, 1, 1))
    machine.workers.takes_s = 120
    machine.start()

    machine.live(utc(2026, 1, 1, 3), step_s=10)

    (first, began), (second, then) = machine.workers.started
    assert (first, second) == ("backup", "check")
    assert then - began >= timedelta(seconds=120)


def test_a_run_that_takes_too_long_is_ended_and_has_failed(tmp_path):
    machine = Machine(tmp_path, (backup_job(deadline_s=3600, retries=0),), utc(2026, 1, 1))
    machine.workers.takes_s = 1e9
    machine.start()

    machine.live(utc(2026, 1, 1, 4))

    assert [run.state for run in machine.runs()] == ["failed"]
    assert "deadline of 3600 s" in machine.runs()[0].message
    assert machine.notifier.kinds() == ["failure"]


def test_jitter_delays_the_start_but_neither_the_day_nor_the_mark(tmp_path):
    machine = Machine(tmp_path, (backup_job(jitter_s=1800),), utc(2026, 1, 1))
    machine.start()

    machine.live(utc(2026, 1, 11))

    delays = [run.started_at - run.due_at for run in machine.runs()]
    assert len(delays) == 10
    assert len(set(delays)) > 3
    assert max(delays) <= timedelta(minutes=31)
    assert not any(run.is_catch_up for run in machine.runs())


def test_a_summary_comes_once_a_day_through_restarts(tmp_path):
    machine = Machine(tmp_path, (backup_job(),), utc(2026, 1, 1), summary="daily 08:00")
    for day in range(1, 6):
        machine.start()
        machine.live(utc(2026, 1, day, 8, 30))
        machine.stop()
        machine.start()
        machine.live(utc(2026, 1, day, 23))
        machine.stop()

    assert machine.notifier.kinds() == ["summary"] * 5
    assert "backup: 1 ok, 0 not ok" in machine.notifier.sent[0][2]


@pytest.mark.parametrize("problem", [DumpFailed("no answer"), RuntimeError("a bug in it")])
def test_a_broken_notifier_fails_no_backup_and_does_not_go_unnoticed(tmp_path, problem):
    outcomes = iter([False, True, True])

    def run() -> dict[str, object]:
        if not next(outcomes):
            raise DumpFailed("disk full")
        return good()

    machine = Machine(tmp_path, (backup_job(run=run, retries=0),), utc(2026, 1, 1))
    machine.notifier.problem = problem
    machine.switch.problem = "no route"
    machine.start()
    machine.live(utc(2026, 1, 2, 1))

    notices = machine.state.history().notices
    assert {notice.kind for notice in notices if not notice.is_delivered} == {"failure", "ping"}
    assert any("could not be told" in warning for warning in machine.report.warnings)

    machine.notifier.problem = None
    machine.live(utc(2026, 1, 2, 1, 30))
    machine.live(utc(2026, 1, 3, 12))

    assert machine.notifier.kinds() == ["failure", "recovery"]
    assert [run.state for run in machine.runs()] == ["failed", "ok", "ok"]


def test_a_silence_that_cannot_be_told_is_tried_again_every_quarter_of_an_hour(tmp_path):
    def fail() -> dict[str, object]:
        raise DumpFailed("no")

    machine = Machine(tmp_path, (backup_job(run=fail, retries=0, max_age_s=3600),), utc(2026, 1, 1, 3))
    machine.notifier.problem = DumpFailed("no answer")
    machine.start()

    machine.live(utc(2026, 1, 1, 6))

    silences = [notice.at for notice in machine.state.history().notices if notice.kind == "silence"]
    assert len(silences) == 8
    assert {second - first for first, second in pairwise(silences)} == {timedelta(minutes=15)}


def test_a_job_of_every_minute_with_a_switch_does_not_make_the_summary_come_again(tmp_path):
    machine = Machine(tmp_path, (backup_job(rule="every 1 minute"),), utc(2026, 1, 1, 7, 55), summary="daily 08:00")
    machine.start()

    machine.live(utc(2026, 1, 1, 10), step_s=30)

    assert len(machine.switch.pings) > 220
    assert machine.notifier.kinds() == ["summary"]
