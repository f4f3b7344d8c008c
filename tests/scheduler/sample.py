"""A scheduler's ninety days, as a small team would have them: for looking at the page and for its tests."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from ops.model.database import DatabaseFacts
from ops.model.job import Job
from ops.model.manifest import Drill, Manifest
from ops.model.run_history import History, Notice, Run
from ops.model.schedule import last_due, parse_rule
from ops.model.scheduler_status import Heartbeat, SchedulerStatus, status_of

NOW = datetime(2026, 11, 22, 13, 5, tzinfo=UTC)
ZONE = "Europe/Berlin"


def nothing() -> dict[str, object]:
    return {}


def jobs() -> tuple[Job, ...]:
    return (
        Job("backup", parse_rule("daily 02:00", ZONE), nothing, max_age_s=26 * 3600),
        Job("prune", parse_rule("after backup", ZONE), nothing),
        Job("drill", parse_rule("weekly sunday 04:00", ZONE), nothing, max_age_s=9 * 86400),
        Job("check", parse_rule("every 6 hours", ZONE), nothing),
    )


def history(*, is_failing: bool = False) -> History:
    runs = [run for number in range(88, -1, -1) for run in _day(number)]
    if is_failing:
        runs = [run for run in runs if run.job != "backup" or NOW - run.due_at > timedelta(days=2)]
        for days in (1, 0):
            at = last_due(jobs()[0].rule, NOW - timedelta(days=days))
            message = "the database refused us (FATAL: password authentication failed)"
            for attempt in (1, 2, 3):
                facts = {"state": "failed", "attempt": attempt, "is_last_attempt": attempt == 3, "message": message}
                runs.append(_ended("backup", at, 1.2, timedelta(minutes=attempt * 2 - 2), **facts))
    notices = (Notice("failure", "backup", NOW, is_delivered=False, problem="json: no answer"),) if is_failing else ()
    totals = {"backup": {"ok": 87, "failed": 4, "interrupted": 1}}
    first_seen = {job.name: NOW - timedelta(days=88) for job in jobs()}
    return History(first_seen, tuple(sorted(runs, key=lambda run: run.started_at)), totals, notices)


def _ended(job: str, due_at: datetime, took_s: float, late: timedelta = timedelta(), **more: object) -> Run:
    fields = {"duration_s": took_s, **more.pop("fields", {})}  # type: ignore[dict-item]
    started_at = due_at + late
    values = {"state": "ok", "fields": fields, **more}
    return Run(job, due_at, started_at, finished_at=started_at + timedelta(seconds=took_s), **values)  # type: ignore[arg-type]


def _day(number: int) -> list[Run]:
    at = last_due(jobs()[0].rule, NOW - timedelta(days=number))
    size = int(31e6 + (88 - number) * 140_000 + 900_000 * math.sin(number))
    took = 6.5 + (88 - number) * 0.022 + 0.8 * abs(math.sin(number * 1.7))
    fields = {"size_bytes": size}
    checks = [at.replace(hour=0) + timedelta(hours=hours) for hours in (0, 6, 12, 18)]
    found = [_ended("check", due_at, 0.7) for due_at in checks if due_at < NOW]
    if number in {61, 60}:
        return [_ended("backup", at, 2.0, state="failed", is_last_attempt=True, message="disk full")]
    if number == 33:
        found.append(_ended("backup", at, 3.0, state="failed", message="lock timeout"))
        found.append(_ended("backup", at, took, timedelta(minutes=2), attempt=2, fields=fields))
    elif number in {17, 45}:
        found.append(_ended("backup", at, took, timedelta(hours=6), is_catch_up=True, fields=fields))
    else:
        found.append(_ended("backup", at, took, fields=fields))
    found.append(_ended("prune", at + timedelta(seconds=took), 0.3))
    if at.weekday() == 6:
        found.append(_ended("drill", at + timedelta(hours=2), 41.0))
    return found


def backups() -> tuple[Manifest, ...]:
    facts = DatabaseFacts("postgresql", "comicpile", "17.11", 17, "74", 120_000_000)
    found = []
    for number in range(14):
        at = last_due(jobs()[0].rule, NOW - timedelta(days=number))
        drilled = Drill(at + timedelta(hours=2), 41.0, "17.11", "scheduler") if at.weekday() == 6 else None
        size = int(31e6 + (88 - number) * 140_000)
        found.append(
            Manifest(
                f"{at:%Y%m%dT%H%M%SZ}", "comic-pile", "production", "scheduled", "a.dump", "custom", "zstd", size,
                "ab" * 32, size, "ab" * 32, facts, (), ("0002",), "17.11", at, at + timedelta(seconds=8), "pg_restore",
                pinned=number == 5, verified_at=at + timedelta(minutes=1), drill=drilled, offsite=("s3",),
            )
        )  # fmt: skip
    return tuple(found)


def status(*, is_failing: bool = False, is_empty: bool = False) -> SchedulerStatus:
    beat = Heartbeat(NOW - timedelta(seconds=3), 1000.0, 42)
    past = History({job.name: NOW for job in jobs()}) if is_empty else history(is_failing=is_failing)
    return status_of(
        jobs(), past, stack="comic-pile", zone=ZONE, now=NOW, monotonic_s=1003.0, heartbeat=beat,
        backups=() if is_empty else backups(),
    )  # fmt: skip
