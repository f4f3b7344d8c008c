"""Which change would a rollback undo, and on which way?

A rollback has one meaning: back to the state before the last migrate, restore, transfer, deploy or rollback. The
journal says what was done; the server's own copies say what is there to go back to, and where the two disagree the
server is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ops.model.change import Change, ChangeKind, RecoveryPoint
from ops.model.database import DatabaseCopy, TableSummary
from ops.model.manifest import Manifest
from ops.model.restore_plan import RestorePlan

Way = Literal["swap", "downgrade", "upgrade", "restore"]
UNDOABLE: frozenset[ChangeKind] = frozenset({"migrate", "restore", "transfer", "rollback", "deploy"})
RESTORE_BYTES_PER_S = 25_000_000
COPY_BYTES_PER_S = 200_000_000


@dataclass(frozen=True, slots=True)
class TableDifference:
    """One table whose content now is not that of the state to go back to. None rows: it is not there."""

    name: str
    rows_now: int | None
    rows_then: int | None


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """Everything a rollback will do."""

    change_id: str
    database: str
    undoes: str
    undone_kind: ChangeKind
    undone_at: datetime
    undone_by: str
    way: Way
    because: str
    recovery: RecoveryPoint | None
    """What it goes back to; None where revisions are undone or applied in place."""
    revisions_now: tuple[str, ...]
    revisions_after: tuple[str, ...]
    steps: tuple[str, ...]
    """Revisions to undo, newest first, or to apply."""
    estimate_s: float
    set_aside: tuple[TableDifference, ...]
    """What differs between now and then: all that was written since is among it."""
    loses: tuple[str, ...]
    """What undoing revisions drops; it is in the backup that is kept."""
    keeps: RecoveryPoint | None
    """What it replaces, kept: a database's name, or a backup whose id is only known once it is taken (name "")."""
    kept_until: datetime | None
    restore: RestorePlan | None = None
    """How the recovery point's backup will be restored."""
    warnings: tuple[str, ...] = ()


def last_change(
    changes: Sequence[Change], copies: Sequence[DatabaseCopy], backups: Sequence[Manifest], live: str
) -> Change | None:
    """The change that a rollback of `live` would undo; None where there is none.

    Args:
        changes: the journal, oldest first, with an end for each change.
        copies: what lies beside the live database.
        backups: the catalog; asked only where neither journal nor server know of any change.
        live: the database's name.
    """
    ended = [change for change in changes if change.database == live and _had_an_effect(change)]
    known = {change.id for change in changes if change.kind in UNDOABLE}
    unknown = [
        _told_by(copy)
        for copy in copies
        if copy.role == "recovery-point" and copy.live == live and copy.change_id not in known
    ]
    found = max([*ended, *unknown], key=lambda change: change.id, default=None)
    return found or _told_by_backups(backups, live)


def _had_an_effect(change: Change) -> bool:
    """Whether the change is of a kind to undo, touched the live database and was not undone by its own failure."""
    if change.kind not in UNDOABLE or change.state == "started":
        return False
    if change.details.get("target", change.database) != change.database:
        return False
    if change.state == "failed":
        return change.kind == "migrate" and bool(change.details.get("applied") or change.details.get("is_unknown"))
    return True


def _told_by(copy: DatabaseCopy) -> Change:
    """A change that our journal does not have: another host made it, or the journal was lost."""
    kinds: dict[str, ChangeKind] = {kind: kind for kind in UNDOABLE}
    return Change(
        id=copy.change_id,
        kind=kinds.get(copy.change, "other"),
        state="finished",
        at=copy.created_at,
        by="unknown (not in this journal)",
        database=copy.live,
        recovery=RecoveryPoint("database", copy.name),
    )


def _told_by_backups(backups: Iterable[Manifest], live: str) -> Change | None:
    before = [item for item in backups if item.reason.startswith("before-")]
    newest = max(before, key=lambda manifest: manifest.started_at, default=None)
    if newest is None:
        return None
    kinds: dict[str, ChangeKind] = {f"before-{kind}": kind for kind in UNDOABLE}
    return Change(
        id=newest.id,
        kind=kinds.get(newest.reason, "other"),
        state="finished",
        at=newest.started_at,
        by="unknown (there is no journal)",
        database=live,
        from_revisions=newest.revisions,
        recovery=RecoveryPoint("backup", newest.id),
        details={"is_told_by_backup": True},
    )


def differences(now: Iterable[TableSummary], then: Iterable[TableSummary]) -> tuple[TableDifference, ...]:
    """The tables whose content differs, by name."""
    here, there = ({table.name: table for table in tables} for tables in (now, then))
    return tuple(
        TableDifference(
            name,
            here[name].row_count if name in here else None,
            there[name].row_count if name in there else None,
        )
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    )


def estimate_s(way: Way, size_bytes: int, *, is_copied: bool = False) -> float:
    """About how long a way takes; at least as fast as was seen on two cores.

    Args:
        way: which.
        size_bytes: of the database.
        is_copied: whether a swap copies all pages (SQLite).
    """
    if way == "restore":
        return round(10.0 + size_bytes / RESTORE_BYTES_PER_S, 1)
    if way == "swap":
        return round(1.0 + (size_bytes / COPY_BYTES_PER_S if is_copied else 0.0), 1)
    return 5.0
