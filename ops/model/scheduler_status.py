"""How is the scheduler: is its loop alive, is every job fresh, what comes next?

One value that `/health`, `/metrics`, the status page and `inv scheduler --status` all show, so that they cannot
disagree. `problems` make it unhealthy (503); `warnings` must be seen but leave it healthy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal
from zoneinfo import ZoneInfo

from ops.model.in_words import in_words
from ops.model.job import Job, next_run
from ops.model.manifest import DatabaseIdentity, Manifest, of_database
from ops.model.run_history import (
    Day,
    History,
    Notice,
    Run,
    calendar_days,
    consecutive_failures,
    delivery_problem,
    is_silent,
    last_success,
)
from ops.model.schedule import describe

STALL_AFTER_S = 120.0
"""The loop comes round every second or so; telling somebody may hold it up for a quarter of a minute."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """When the loop last came round, by the wall clock and by the machine's monotonic one."""

    at: datetime
    monotonic_s: float
    pid: int


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job now. `succeeded_at` counts successes by others too (`inv backup` by hand)."""

    name: str
    rule: str
    next_at: datetime | None
    running_since: datetime | None
    last_run: Run | None
    last_success: Run | None
    succeeded_at: datetime | None
    age_s: float | None
    max_age_s: float | None
    is_too_old: bool
    consecutive_failures: int
    totals: Mapping[str, int]
    days: tuple[Day, ...]
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class SchedulerStatus:
    """The whole scheduler now."""

    stack: str
    zone: str
    now: datetime
    is_alive: bool
    heartbeat_age_s: float | None
    jobs: tuple[JobStatus, ...]
    backups: tuple[Manifest, ...] = ()
    """Newest first, of all databases."""
    live: DatabaseIdentity | None = None
    """Which of them the live one is; None: any."""
    notifier_problem: Notice | None = None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def state(self) -> Literal["ok", "degraded", "failing"]:
        """`failing` is what `/health` answers 503 for."""
        return "failing" if self.problems else "degraded" if self.warnings else "ok"

    @property
    def last_verified_at(self) -> datetime | None:
        """When a backup of the live database was last read back and compared."""
        return max((m.verified_at for m in of_database(self.backups, self.live) if m.verified_at), default=None)

    @property
    def last_drill_at(self) -> datetime | None:
        """When a backup of the live database was last restored into a throwaway server and found equal."""
        return max((m.drill.at for m in of_database(self.backups, self.live) if m.drill), default=None)


def status_of(
    jobs: Sequence[Job],
    history: History,
    *,
    stack: str,
    zone: str,
    now: datetime,
    monotonic_s: float,
    heartbeat: Heartbeat | None,
    is_held: bool = True,
    elsewhere: Mapping[str, datetime] = MappingProxyType({}),
    backups: Iterable[Manifest] = (),
    live: DatabaseIdentity | None = None,
    trouble: Sequence[str] = (),
    faults: Sequence[str] = (),
    seed: str = "",
) -> SchedulerStatus:
    """Put together what is known.

    Args:
        is_held: whether a process holds the scheduler's lock.
        monotonic_s: the same clock as the heartbeat's.
        elsewhere: job -> newest success by others (what `Job.succeeded_at` said).
        trouble: what could not be found out, one sentence each; becomes warnings.
        faults: why no backup could be made now, one sentence each; become problems.
    """
    age_s = None if heartbeat is None else monotonic_s - heartbeat.monotonic_s
    is_alive = is_held and age_s is not None and 0 <= age_s <= STALL_AFTER_S
    statuses = tuple(_job_status(job, history, zone, now, seed=seed, elsewhere=elsewhere.get(job.name)) for job in jobs)
    problem = delivery_problem(history)
    return SchedulerStatus(
        stack, zone, now, is_alive, age_s, statuses, tuple(backups), live, problem,
        problems=(*_problems(is_alive=is_alive, is_held=is_held, age_s=age_s, jobs=statuses), *faults),
        warnings=(*_warnings(statuses, problem), *trouble),
    )  # fmt: skip


def status_json(status: SchedulerStatus) -> dict[str, Any]:
    """The stable JSON of `inv scheduler --status --json`."""
    return {
        "stack": status.stack,
        "state": status.state,
        "at": status.now.isoformat(),
        "is_alive": status.is_alive,
        "heartbeat_age_s": status.heartbeat_age_s,
        "problems": list(status.problems),
        "warnings": list(status.warnings),
        "last_verified_at": _iso(status.last_verified_at),
        "last_drill_at": _iso(status.last_drill_at),
        "jobs": [_job_json(job) for job in status.jobs],
    }


def _job_status(
    job: Job, history: History, zone: str, now: datetime, *, seed: str, elsewhere: datetime | None
) -> JobStatus:
    runs = history.of(job.name)
    newest = last_success(run for run in runs if run.started_at <= now)
    succeeded_at = max(filter(None, (newest.finished_at if newest else None, elsewhere)), default=None)
    max_age = None if job.max_age_s is None else timedelta(seconds=job.max_age_s)
    coming = next_run(job, history, now, seed=seed)
    return JobStatus(
        job.name,
        describe(job.rule),
        next_at=max(coming.start_at, now) if coming else None,
        running_since=next((run.started_at for run in reversed(runs) if run.state == "running"), None),
        last_run=next((run for run in reversed(runs) if run.state != "running"), None),
        last_success=newest,
        succeeded_at=succeeded_at,
        age_s=max((now - succeeded_at).total_seconds(), 0.0) if succeeded_at else None,
        max_age_s=job.max_age_s,
        is_too_old=is_silent(succeeded_at, min(history.first_seen.get(job.name, now), now), now, max_age),
        consecutive_failures=consecutive_failures(runs),
        totals=history.totals.get(job.name, {}),
        days=calendar_days(runs, zone, now.astimezone(ZoneInfo(zone)).date()),
        runs=runs,
    )


def _problems(*, is_alive: bool, is_held: bool, age_s: float | None, jobs: Iterable[JobStatus]) -> Iterable[str]:
    if not is_held:
        yield "the scheduler is not running"
    elif not is_alive:
        yield "the scheduler's loop stands still" + (f" since {in_words(age_s)}" if age_s and age_s > 0 else "")
    for job in jobs:
        if job.is_too_old and job.max_age_s is not None:
            newest = f"{in_words(job.age_s)} old" if job.age_s is not None else "missing"
            yield f"the newest successful {job.name} is {newest}, allowed are {in_words(job.max_age_s)}"


def _warnings(jobs: Iterable[JobStatus], problem: Notice | None) -> Iterable[str]:
    for job in jobs:
        if job.consecutive_failures:
            times = "once" if job.consecutive_failures == 1 else f"{job.consecutive_failures} times in a row"
            yield f"{job.name} failed {times}"
    if problem is not None:
        about = f" of {problem.job}" if problem.job else ""
        yield f"the {problem.kind}{about} could not be told: {problem.problem}"


def _job_json(job: JobStatus) -> dict[str, Any]:
    last = job.last_run
    return {
        "name": job.name,
        "rule": job.rule,
        "next_at": _iso(job.next_at),
        "running_since": _iso(job.running_since),
        "last_state": last.state if last else None,
        "last_started_at": _iso(last.started_at if last else None),
        "last_message": last.message if last else "",
        "last_duration_s": last.duration_s if last else None,
        "last_is_catch_up": last.is_catch_up if last else False,
        "last_success_at": _iso(job.succeeded_at),
        "age_s": job.age_s,
        "max_age_s": job.max_age_s,
        "is_too_old": job.is_too_old,
        "consecutive_failures": job.consecutive_failures,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
