"""How does `inv check` gather what the rules of `model/readiness.py` judge?

Read-only. A part that cannot be read is a finding of its own; the rest is still judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from ops.actions.archive_size import MAKE_ROOM, estimated_size_bytes
from ops.errors import OpsError, Refused
from ops.model import readiness
from ops.model.compose.project import Stack
from ops.model.finding import Finding
from ops.model.manifest import DatabaseIdentity, of_database
from ops.model.stats import DatabaseStats
from ops.ports import Archives, Clock, Database, Engine, Migrator

Check = Callable[[], Finding | Sequence[Finding]]


def check_stack(
    *,
    engine: Engine,
    stack: Stack,
    database: Callable[[], Database],
    archives: Archives,
    live: DatabaseIdentity | None = None,
    migrator: Callable[[], Migrator | None],
    read_stats: Callable[[], DatabaseStats],
    heartbeat_age_s: Callable[[], float | None],
    certificates: Callable[[], Sequence[Finding]],
    clock: Clock,
    further: Mapping[str, Check] = MappingProxyType({}),
) -> tuple[Finding, ...]:
    """Judge the whole stack.

    Args:
        database, migrator: open them (migrator: None where the project has no schema history); called for each
            part, so that a database that is down spoils only its own findings.
        live: which database that is; backups of another one do not count. None: all count.
        read_stats: the live database's numbers.
        heartbeat_age_s: seconds since the scheduler's loop last came round.
        certificates: what there is to say of the proxy's TLS certificates.
        clock: dates everything, and measures how long each look takes.
        further: more to look at, after all else.
    """
    now = clock.now()
    checks: dict[str, Check] = {
        "engine": lambda: _engine(engine),
        "services": lambda: _services(engine, stack),
        **({"programs": lambda: _programs(database())} if engine.name == "url" else {}),
        "revision": lambda: _revision(database(), migrator(), read_stats),
        "backup": lambda: readiness.judge_backup(of_database(archives.manifests(), live), now, live),
        "drill": lambda: readiness.judge_drill(of_database(archives.manifests(), live), now),
        "catalog": lambda: readiness.judge_catalog(archives.broken()),
        **_room_checks(archives, database),
        "scheduler": lambda: readiness.judge_scheduler(heartbeat_age_s()),
        "certificate": certificates,
        "leftovers": lambda: readiness.judge_copies(database().copies(), now),
        "copies": lambda: _kept_copies(database()),
        "swap": lambda: readiness.judge_swap(database().swap_blockers()),
        "database": lambda: readiness.judge_stats(read_stats()),
        **further,
    }
    return _all_of(checks, clock)


def check_room(*, archives: Archives, database: Callable[[], Database], clock: Clock) -> tuple[Finding, ...]:
    """Judge only whether the disks have room for the next backup and for a restore."""
    return _all_of(_room_checks(archives, database), clock)


def _room_checks(archives: Archives, database: Callable[[], Database]) -> dict[str, Check]:
    return {
        "room for a backup": lambda: _backup_room(archives, database()),
        "room for a restore": lambda: _restore_room(database()),
    }


def _all_of(checks: Mapping[str, Check], clock: Clock) -> tuple[Finding, ...]:
    return tuple(finding for name, check in checks.items() for finding in _timed(name, check, clock))


def _timed(name: str, check: Check, clock: Clock) -> Sequence[Finding]:
    began = clock.monotonic()
    findings = _judged(name, check)
    took_s = round(clock.monotonic() - began, 3)
    return [replace(one, duration_s=0.0 if place else took_s) for place, one in enumerate(findings)]


def _judged(name: str, check: Check) -> Sequence[Finding]:
    try:
        answer = check()
    except OpsError as error:
        cause = f": {error.cause}" if error.cause else ""
        return (Finding(name, "critical", f"{error.message}{cause}", error.hint or ""),)
    return (answer,) if isinstance(answer, Finding) else answer


def _engine(engine: Engine) -> Finding:
    info = engine.info()
    return Finding("engine", "ok", f"{info.name} {info.version} at {info.endpoint}")


def _services(engine: Engine, stack: Stack) -> Sequence[Finding] | Finding:
    try:
        state = engine.observe(stack)
    except Refused as refused:  # the url engine has no services
        return Finding("services", "ok", f"not looked at: {refused.cause}" if refused.cause else refused.message)
    return readiness.judge_services(stack, state.services, engine.left_out(stack))


def _backup_room(archives: Archives, database: Database) -> Finding:
    needed = estimated_size_bytes(database.facts(), archives.manifests())
    return readiness.judge_room("room for a backup", archives.free_space_bytes(), needed, hint=MAKE_ROOM)


def _restore_room(database: Database) -> Finding:
    needed, hint = database.facts().size_bytes, "inv prune --copies, or a larger disk for the database"
    return readiness.judge_room("room for a restore", database.free_space_bytes(), needed, hint=hint)


def _kept_copies(database: Database) -> Finding:
    copies = database.copies()
    if not copies:
        return readiness.judge_kept_copies((), 0, None)
    return readiness.judge_kept_copies(copies, database.facts().size_bytes, database.free_space_bytes())


def _programs(database: Database) -> Finding:
    offers = database.offers()
    return Finding("programs", "ok", f"there are some for {offers.kind} {offers.server_version}")


def tables_without_version(database: Database, stats: DatabaseStats) -> tuple[str, ...]:
    """The tables of a database that are none of Alembic's own, sorted."""
    own = database.version_tables()
    return tuple(sorted(table.name for table in stats.tables if table.name not in own))


def _revision(database: Database, migrator: Migrator | None, read_stats: Callable[[], DatabaseStats]) -> Finding:
    if migrator is None:
        return Finding("revision", "ok", "the project has no schema history")
    current = database.revisions()
    tables: tuple[str, ...] = ()
    if not current:
        tables = tables_without_version(database, read_stats())
        current = migrator.current() if tables else ()  # env.py may keep its version table elsewhere
    return readiness.judge_revision(current, migrator.history(), tables)
