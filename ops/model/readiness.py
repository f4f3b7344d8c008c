"""When is a stack fit for the night? One rule a function: numbers in, one finding out.

`critical` means that data could be lost or the service is down; `warning` that somebody should look tomorrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ops.model.compose.project import Stack
from ops.model.database import DatabaseCopy
from ops.model.engine import ServiceStatus
from ops.model.finding import Finding, Level
from ops.model.manifest import DatabaseIdentity, Manifest
from ops.model.pending import stamp_command
from ops.model.retention import is_future, is_good
from ops.model.revision import History
from ops.model.size import human_size
from ops.model.stats import DatabaseStats

BACKUP_WARNING = timedelta(hours=26)
BACKUP_CRITICAL = timedelta(hours=50)
DRILL_WARNING = timedelta(days=8)
WRAPAROUND_WARNING = 1_000_000_000
WRAPAROUND_CRITICAL = 1_800_000_000
HEARTBEAT_WARNING_S = 120.0
COPIES_FACTOR = 3
COPIES_NAMED = 10
ROOM_FACTOR = 1.2
"""How much room is asked beyond the estimate."""


def judge_services(stack: Stack, statuses: Mapping[str, ServiceStatus], left_out: Mapping[str, str]) -> Finding:
    """Every service that runs on this engine is up and not unhealthy."""
    bad = []
    for name in stack.services:
        if name in left_out:
            continue
        status = statuses.get(name, ServiceStatus(name))
        is_done = status.state == "exited" and status.exit_code == 0 and stack.services[name].restart in {None, "no"}
        if status.state != "running" and not is_done:
            bad.append(f"{name} is {status.state}")
        elif status.health in {"unhealthy", "starting"}:
            bad.append(f"{name} is {status.health}")
    if bad:
        return Finding("services", "critical", ", ".join(bad), "inv up; inv logs")
    return Finding("services", "ok", f"{len(stack.services) - len(left_out)} services are up")


def judge_revision(current: Sequence[str], history: History, tables: Sequence[str] = ()) -> Finding:
    """The database is at the one head.

    Args:
        current: what the version table holds.
        history: what the scripts hold.
        tables: the database's tables without the version table; needed only where `current` is empty.
    """
    if len(history.heads) != 1:
        heads = ", ".join(history.heads) or "none"
        return Finding("revision", "critical", f"the history has not one head but: {heads}", "inv history")
    if tuple(current) == history.heads:
        return Finding("revision", "ok", f"at the head, {history.heads[0]}")
    known = {revision.id for revision in history.revisions}
    stranger = [revision for revision in current if revision not in known]
    if stranger:
        return Finding("revision", "critical", f"at {stranger[0]}, which the history does not know", "inv history")
    if tables and not current:
        named = ", ".join(tables[:5]) + (" ..." if len(tables) > 5 else "")
        return Finding(
            "revision",
            "warning",
            f"no revision, but tables that Alembic did not make (create_all, a dump): {named}",
            "inv migrate refuses until a person has found which revision they equal, then: "
            f"{stamp_command('ID')} (the head is {history.heads[0]})",
        )
    return Finding(
        "revision", "warning", f"at {', '.join(current) or 'nothing'}, head is {history.heads[0]}", "inv migrate"
    )


def judge_backup(manifests: Sequence[Manifest], now: datetime, database: DatabaseIdentity | None = None) -> Finding:
    """The newest good backup is young enough; its age is the recovery point objective as it is now.

    Args:
        manifests: the catalog, newest first.
        now: aware.
        database: which one they are all of, if of one.
    """
    past = [one for one in manifests if not is_future(one, now)]
    newest = next((one for one in past if is_good(one)), None)
    passed_over = [one for one in past if newest is None or one.started_at > newest.started_at]
    said = "".join(f"; {one.id} is newer and not good: {_why_not_good(one)}" for one in passed_over[:1])
    if newest is None:
        whose = f" of {database}" if database else " at all"
        return Finding("backup", "critical", f"there is no good backup{whose}{said}", "inv backup")
    age = now - newest.started_at
    level: Level = "ok" if age <= BACKUP_WARNING else "warning" if age <= BACKUP_CRITICAL else "critical"
    message = f"newest is {newest.id}: {age / timedelta(hours=1):.1f} h would be lost now{said}"
    if passed_over and level == "ok":
        return Finding("backup", "warning", message, "inv backups; inv verify --all")
    return Finding("backup", level, message, "" if level == "ok" else "inv backup; inv scheduler --status")


def _why_not_good(manifest: Manifest) -> str:
    return manifest.suspicious[0] if manifest.suspicious else "it was never verified"


def judge_drill(manifests: Sequence[Manifest], now: datetime) -> Finding:
    """Some backup was restored elsewhere lately."""
    drills = [manifest.drill.at for manifest in manifests if manifest.drill]
    if not drills:
        return Finding("drill", "warning", "no backup was ever restored for proof", "inv verify --drill")
    age = now - max(drills)
    level: Level = "ok" if age <= DRILL_WARNING else "warning"
    return Finding(
        "drill",
        level,
        f"last one {age / timedelta(days=1):.1f} days ago",
        "" if level == "ok" else "inv verify --drill",
    )


def judge_room(what: str, free_bytes: int | None, needed_bytes: int, *, hint: str) -> Finding:
    """There is room for what comes next; `hint` says how to make some on that disk."""
    if free_bytes is None:
        return Finding(what, "warning", "the free space cannot be told", "look at the disk yourself: df -h")
    numbers = f"{human_size(free_bytes)} free, about {human_size(needed_bytes * ROOM_FACTOR)} needed"
    if free_bytes < needed_bytes * ROOM_FACTOR:
        return Finding(what, "critical", numbers, hint)
    return Finding(what, "ok", numbers)


def judge_copies(copies: Sequence[DatabaseCopy], now: datetime) -> Finding:
    """No scratch database was left behind, and no recovery point or `--as` copy is past its time."""
    scratch = [copy.name for copy in copies if copy.role == "scratch"]
    expired = [copy.name for copy in copies if copy.expires_at is not None and copy.expires_at < now]
    if scratch or expired:
        left = ", ".join([*scratch, *expired])
        return Finding(
            "leftovers", "warning", f"left behind: {left}", "the next backup or restore removes them: inv backup"
        )
    kept = [
        copy.name + (f" until {copy.expires_at:%Y-%m-%d %H:%M} UTC" if copy.expires_at else " until somebody drops it")
        for copy in copies
    ]
    return Finding("leftovers", "ok", f"none; kept: {', '.join(kept)}" if kept else "none")


def judge_kept_copies(copies: Sequence[DatabaseCopy], live_bytes: int, free_bytes: int | None) -> Finding:
    """What restores and others kept beside the live database takes no more room than is good.

    Args:
        copies: what lies beside it, oldest first.
        live_bytes: the live database's size.
        free_bytes: room on the same disk; None where it cannot be told.
    """
    kept = [copy for copy in copies if copy.role != "scratch"]
    total = sum(copy.size_bytes for copy in kept)
    said = f"{len(kept)} kept beside the live database: {human_size(total)}"
    reasons = []
    if total > COPIES_FACTOR * live_bytes:
        reasons.append(f"the live one has {human_size(live_bytes)}")
    if free_bytes is not None and total > free_bytes:
        reasons.append(f"{human_size(free_bytes)} are free")
    if not kept or not reasons:
        return Finding("copies", "ok", said if kept else "none")
    named = [
        f"{copy.name} ({human_size(copy.size_bytes)}, "
        + (f"until {copy.expires_at:%Y-%m-%d %H:%M} UTC)" if copy.expires_at else "until somebody drops it)")
        for copy in kept
    ]
    more = f" and {len(named) - COPIES_NAMED} more" if len(named) > COPIES_NAMED else ""
    return Finding(
        "copies",
        "warning",
        f"{said}, {' and '.join(reasons)}: {', '.join(named[:COPIES_NAMED])}{more}",
        "inv prune --copies --dry-run, then: inv prune --copies",
    )


def judge_catalog(broken: Sequence[str]) -> Finding:
    """Everything in the backup folder is a whole backup."""
    if broken:
        return Finding("catalog", "warning", "; ".join(broken[:5]), "look at the folder; inv verify --all")
    return Finding("catalog", "ok", "every file belongs to a backup")


def judge_swap(blockers: Sequence[str]) -> Finding:
    """A restore could swap databases right now."""
    if blockers:
        return Finding("swap", "warning", "; ".join(blockers), "a restore will be refused until they are gone")
    return Finding("swap", "ok", "nothing would keep a restore from swapping")


def judge_stats(stats: DatabaseStats) -> tuple[Finding, ...]:
    """Wraparound, long transactions and collations."""
    age = stats.transaction_age
    level: Level = "critical" if age > WRAPAROUND_CRITICAL else "warning" if age > WRAPAROUND_WARNING else "ok"
    findings = [
        Finding("wraparound", level, f"{age:,} transactions since the oldest", "" if level == "ok" else "VACUUM FREEZE")
    ]
    longest = max(stats.long_transactions, key=lambda one: one.age_s, default=None)
    findings.append(
        Finding("transactions", "ok", "none is open for long")
        if longest is None
        else Finding(
            "transactions",
            "warning",
            f"pid {longest.pid} ({longest.application or longest.user}), {longest.age_s:.0f} s old: {longest.query}",
            f"inv shell -- -c 'SELECT pg_terminate_backend({longest.pid})'",
        )
    )
    if stats.collation_mismatches:
        said = ", ".join(stats.collation_mismatches)
        findings.append(
            Finding(
                "collation", "critical", f"sort order changed under {said}", "REINDEX, then REFRESH COLLATION VERSION"
            )
        )
    else:
        findings.append(Finding("collation", "ok", "versions agree"))
    return tuple(findings)


def judge_scheduler(heartbeat_age_s: float | None) -> Finding:
    """The scheduler's loop came round a moment ago; the age is None where none ever ran with this state folder."""
    if heartbeat_age_s is None:
        return Finding("scheduler", "warning", "none runs here: nobody takes the nightly backup", "inv scheduler")
    if heartbeat_age_s > HEARTBEAT_WARNING_S:
        return Finding(
            "scheduler", "critical", f"silent for {heartbeat_age_s:.0f} s", "inv scheduler; inv scheduler --status"
        )
    return Finding("scheduler", "ok", f"alive {heartbeat_age_s:.0f} s ago")
