"""What is a job of the scheduler, and which run of it comes next?

A job is a name, a rule and a callable. `next_run` is the whole policy in one pure function: due times, catch-up,
retries with back-off, jitter, and what a restart or a jump of the clock may not lead to (a double run, or none).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

from ops.model.run_history import History, Run, last_success, spent_attempts
from ops.model.schedule import DueRun, Rule, due_run, jitter, last_due, next_due

_BACKOFF_LIMIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Job:
    """One entry of the schedule.

    `run` is called in a process of its own, forked from the scheduler: it opens its own connections, gets SIGTERM
    (raised as `SystemExit`, so that `finally` and `with` unwind) when it has to stop, and returns JSON-able fields;
    `size_bytes` among them is drawn and measured. It fails by raising.
    """

    name: str
    rule: Rule
    run: Callable[[], Mapping[str, object]]
    retries: int = 2
    """Further attempts of the same due time after a failure."""
    backoff_s: float = 60.0
    """Before the first retry; doubles for each further one, up to an hour."""
    jitter_s: float = 0.0
    """Start up to so many seconds late, always the same for one due time."""
    deadline_s: float | None = None
    """End a run that takes longer; it has failed then."""
    max_age_s: float | None = None
    """An older newest success makes `/health` red and is told as silence."""
    succeeded_at: Callable[[], datetime | None] | None = None
    """The newest success by whomever, from the catalog say; asked only when a catch-up is due, and by `/health`."""


@dataclass(frozen=True, slots=True)
class NextRun:
    """The run that a job wants next; it may start once `start_at` has come."""

    due_at: datetime
    start_at: datetime
    attempt: int = 1
    is_catch_up: bool = False
    missed: int = 0


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a run ended: `interrupted` where it was stopped or killed."""

    state: Literal["ok", "failed", "interrupted"]
    message: str = ""
    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def next_run(
    job: Job, history: History, now: datetime, *, covered: datetime | None = None, seed: str = ""
) -> NextRun | None:
    """The run that comes next.

    Args:
        job: of the schedule.
        history: everything that ran so far.
        now: aware.
        covered: a due time that somebody else's success made needless.
        seed: makes the jitter of two stacks differ.

    Returns:
        None only for an `after` job whose turn has not come.
    """
    # A run of the future is one of a time when the clock was ahead: it counts again once its time has come.
    runs = [run for run in history.of(job.name) if not run.is_manual and run.due_at <= now]
    last = max(runs, key=lambda run: (run.due_at, run.attempt), default=None)
    since = min(history.first_seen.get(job.name, now), now)
    handled = max(filter(None, (last.due_at if last else since, covered)))
    due = _due(job, history, handled, now, seed)
    if due is None and last is not None and (retry := _retry(job, history, runs, last, now)) is not None:
        return retry
    if due is not None:
        return NextRun(due.due_at, due.due_at + _delay(job, due.due_at, seed), 1, due.is_catch_up, due.missed)
    if job.rule.kind == "after":
        return None
    coming = next_due(job.rule, max(handled, now))
    return NextRun(coming, coming + _delay(job, coming, seed))


def has_retry_left(job: Job, runs: Sequence[Run], due_at: datetime) -> bool:
    """Whether a due time whose attempts all failed so far is tried again."""
    return spent_attempts(runs, due_at) <= job.retries


def is_last_attempt(job: Job, runs: Sequence[Run], due_at: datetime, ended_at: datetime) -> bool:
    """Whether a failure at `ended_at` is final: no retry left, or the next due time comes before it."""
    if not has_retry_left(job, runs, due_at):
        return True
    if job.rule.kind == "after":
        return False
    return ended_at + backoff(job, spent_attempts(runs, due_at)) >= next_due(job.rule, due_at)


def backoff(job: Job, failures: int) -> timedelta:
    """How long to wait after that many failures of one due time."""
    return min(timedelta(seconds=job.backoff_s * 2.0 ** min(max(failures, 1) - 1, 30)), _BACKOFF_LIMIT)


def _due(job: Job, history: History, handled: datetime, now: datetime, seed: str) -> DueRun | None:
    if job.rule.kind == "after":
        leader = last_success(run for run in history.of(job.rule.job) if run.started_at <= now)
        at = leader.finished_at if leader else None
        return DueRun(at, is_catch_up=False) if at is not None and handled < at <= now else None
    newest = last_success(run for run in history.of(job.name) if run.started_at <= now)
    delay = _delay(job, last_due(job.rule, now), seed)
    return due_run(job.rule, handled, now, newest_success=newest.started_at if newest else None, delay=delay)


def _retry(job: Job, history: History, runs: Sequence[Run], last: Run, now: datetime) -> NextRun | None:
    if last.state not in {"failed", "interrupted"} or not has_retry_left(job, runs, last.due_at):
        return None
    ended_at = last.finished_at or last.started_at
    newest = last_success(run for run in history.of(job.name) if run.started_at <= now)
    if newest is not None and newest.started_at >= last.started_at:
        return None
    wait = timedelta() if last.is_stopped or ended_at > now else backoff(job, spent_attempts(runs, last.due_at))
    return NextRun(last.due_at, ended_at + wait if wait else now, last.attempt + 1, last.is_catch_up)


def _delay(job: Job, due_at: datetime, seed: str) -> timedelta:
    return jitter(f"{seed}/{job.name}", due_at, timedelta(seconds=job.jitter_s))
