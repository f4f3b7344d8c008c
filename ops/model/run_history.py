"""What have a job's runs come to: when did it last succeed, how often has it failed, who has to be told?

A run is written when it starts and again when it ends, so one without an end was cut off. Attempts of one due time
share its `due_at`. A run by hand (`--once`) never counts as the scheduled one, but its success does count as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal
from zoneinfo import ZoneInfo

RunState = Literal["running", "ok", "failed", "interrupted"]
NoticeKind = Literal["failure", "recovery", "silence", "summary", "ping"]
DayState = Literal["ok", "late", "retried", "failed", "none"]
REPEAT_AFTER = timedelta(hours=24)
"""A silence that lasts is told again after so long."""
RETRY_AFTER = timedelta(minutes=15)
"""What could not be told is tried again after so long."""
_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt of a job. Times are aware UTC; `fields` are JSON-able facts with units in their names."""

    job: str
    due_at: datetime
    started_at: datetime
    state: RunState = "running"
    finished_at: datetime | None = None
    attempt: int = 1
    is_catch_up: bool = False
    is_manual: bool = False
    """Asked for by hand with `--once`."""
    is_stopped: bool = False
    """We ended it ourselves (SIGTERM): it costs none of the retries."""
    is_last_attempt: bool = False
    """It failed and no retry is left: only now is anybody told."""
    message: str = ""
    fields: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)

    @property
    def duration_s(self) -> float | None:
        """How long it took, by the monotonic clock where that was noted; None while it runs."""
        if isinstance(noted := self.fields.get("duration_s"), int | float):
            return float(noted)
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None


@dataclass(frozen=True, slots=True)
class Notice:
    """One attempt to tell somebody: delivered, or what went wrong."""

    kind: NoticeKind
    job: str
    at: datetime
    is_delivered: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """All that the scheduler remembers."""

    first_seen: Mapping[str, datetime] = field(default_factory=lambda: _EMPTY)
    """Job -> since when it is in the schedule; nothing before that is owed."""
    runs: tuple[Run, ...] = ()
    """Oldest first, the last 90 days and more."""
    totals: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: _EMPTY)
    """Job -> state -> how many attempts ever ended so; never goes down."""
    notices: tuple[Notice, ...] = ()
    """Oldest first, the newest few hundred."""

    def of(self, job: str) -> tuple[Run, ...]:
        """The job's runs, oldest first."""
        return tuple(run for run in self.runs if run.job == job)


@dataclass(frozen=True, slots=True)
class Day:
    """One cell of a calendar."""

    day: date
    state: DayState
    runs: tuple[Run, ...] = ()


def last_success(runs: Iterable[Run]) -> Run | None:
    """The successful run that started last, by hand or not."""
    return max((run for run in runs if run.state == "ok"), key=lambda run: run.started_at, default=None)


def success_age(runs: Iterable[Run], now: datetime) -> timedelta | None:
    """How long ago the newest success ended, never negative; None without one."""
    newest = last_success(runs)
    if newest is None or newest.finished_at is None:
        return None
    return max(now - newest.finished_at, timedelta())


def consecutive_failures(runs: Sequence[Run]) -> int:
    """How many due times in a row ended without a success, up to now; attempts of one due time count once."""
    failed: set[datetime] = set()
    for run in reversed(runs):
        if run.state == "ok":
            break
        if run.state in {"failed", "interrupted"} and not run.is_stopped:
            failed.add(run.due_at)
    return len(failed)


def spent_attempts(runs: Iterable[Run], due_at: datetime) -> int:
    """How many attempts of this due time failed or were killed; those that we stopped ourselves do not count."""
    ended = [run for run in runs if run.due_at == due_at and not run.is_manual and not run.is_stopped]
    return sum(run.state in {"failed", "interrupted"} for run in ended)


def notice_for(run: Run, before: Sequence[Run]) -> Literal["failure", "recovery"] | None:
    """What a run that just ended gives reason to tell; `before` are the job's earlier runs, oldest first.

    A failure is told when no retry is left, for every due time anew; a recovery once, at the first success after it.
    """
    if run.state in {"failed", "interrupted"}:
        return "failure" if run.is_last_attempt else None
    for earlier in reversed(before):
        if earlier.state == "ok":
            return None
        if earlier.is_last_attempt:
            return "recovery" if run.state == "ok" else None
    return None


def is_silent(newest_success: datetime | None, since: datetime, now: datetime, max_age: timedelta | None) -> bool:
    """Whether the newest success (or, before the first one, the job itself) is older than it may be."""
    return max_age is not None and now - (newest_success or since) > max_age


def tell_silence(history: History, job: str, now: datetime) -> bool:
    """Whether a silence that holds now has to be told: a day after the last telling, soon after a failed one."""
    told = [notice for notice in history.notices if notice.job == job and notice.kind == "silence" and notice.at <= now]
    return all(now - notice.at >= (REPEAT_AFTER if notice.is_delivered else RETRY_AFTER) for notice in told)


def untold(history: History, job: str, now: datetime) -> Notice | None:
    """The job's newest failure or recovery, where telling it went wrong and it is time to try again."""
    told = [n for n in history.notices if n.job == job and n.kind in {"failure", "recovery"}]
    return told[-1] if told and not told[-1].is_delivered and now - told[-1].at >= RETRY_AFTER else None


def delivery_problem(history: History) -> Notice | None:
    """The newest failed telling that nothing proved cured: a delivery since, of a ping by the same job's switch."""
    for index, notice in reversed(list(enumerate(history.notices))):
        later = (n for n in history.notices[index + 1 :] if n.is_delivered)
        if not notice.is_delivered and not any(_same_way(notice, other) for other in later):
            return notice
    return None


def kept_notices(notices: Sequence[Notice], count: int) -> tuple[Notice, ...]:
    """The newest ones, and in any case the newest of each kind and job: what was told must not be told again."""
    newest = {(notice.kind, notice.job, notice.is_delivered): index for index, notice in enumerate(notices)}
    first = len(notices) - count
    return tuple(n for index, n in enumerate(notices) if index >= first or index in newest.values())


def _same_way(notice: Notice, other: Notice) -> bool:
    if notice.kind == "ping":
        return other.kind == "ping" and other.job == notice.job
    return other.kind != "ping"


def calendar_days(runs: Iterable[Run], zone: str, today: date, days: int = 90) -> tuple[Day, ...]:
    """The last days, oldest first, today last; a run belongs to the local day of its due time.

    A day is `ok`, `late` (only by a catch-up), `retried` (only after failures), `failed`, or `none` (nothing ended).
    """
    by_day: dict[date, list[Run]] = {}
    for run in runs:
        by_day.setdefault(run.due_at.astimezone(ZoneInfo(zone)).date(), []).append(run)
    first = today - timedelta(days=days - 1)
    return tuple(
        Day(day, _day_state(by_day.get(day, [])), tuple(by_day.get(day, [])))
        for day in (first + timedelta(days=number) for number in range(days))
    )


def _day_state(runs: Sequence[Run]) -> DayState:
    ended = [run for run in runs if run.state != "running"]
    good = [run for run in ended if run.state == "ok"]
    if not ended:
        return "none"
    last_of_due = {run.due_at: run for run in ended}
    if any(run.state != "ok" and not run.is_stopped for run in last_of_due.values()) or not good:
        return "failed"
    if any(run.attempt > 1 for run in good):
        return "retried"
    return "late" if any(run.is_catch_up for run in good) else "ok"
