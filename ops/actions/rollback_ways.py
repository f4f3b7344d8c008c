"""Is there a way back in place, and what would it lose?

Undoing revisions is taken where it brings back the schema and every value; what was written into tables and columns
that the undone revisions made is lost by it, and is kept in a backup first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ops.errors import OpsError, RevisionConflict
from ops.model.change import Change
from ops.model.database import TableSummary
from ops.model.migration_plan import Loss, downgrade_loses, planned_steps
from ops.model.revision import History
from ops.ports import Migrator


@dataclass(frozen=True, slots=True)
class InPlace:
    """The way back over revisions."""

    steps: tuple[str, ...]
    """To undo, newest first; to apply, oldest first."""
    target: str
    """The revision to reach; `base` for none."""
    certain: tuple[str, ...] = ()
    """What it could not bring back: with any of these it is no way."""
    written_since: tuple[str, ...] = ()
    """What it drops that was written since."""


def way_down(change: Change, current: Sequence[str], migrator: Migrator, tables: Sequence[TableSummary]) -> InPlace:
    """How the revisions of a migrate would be undone from where the database is.

    Raises: RevisionConflict, where the database is at no revision that this migrate passed.
    """
    target = change.from_revisions[0] if change.from_revisions else "base"
    if len(change.from_revisions) > 1:
        return InPlace((), target, certain=("the migrate began at several revisions",))
    try:
        outlook = migrator.outlook(change.from_revisions)
    except OpsError as exc:
        return InPlace((), target, certain=(f"the schema history cannot be read: {exc.message}",))
    undo = _still_applied(change, current, outlook.history)
    pending = [item for item in outlook.history.revisions if item.id in undo]
    steps = planned_steps(outlook, pending)
    losses = downgrade_loses(steps, migrator.downgrade_sql(undo)) if undo else ()
    return InPlace(
        steps=tuple(reversed(undo)),
        target=target,
        certain=tuple(loss.text for loss in losses if loss.kind != "written-since"),
        written_since=tuple(
            _with_rows(loss, tables) for loss in losses if loss.kind == "written-since" and not _is_empty(loss, tables)
        ),
    )


def way_up(change: Change, current: Sequence[str], migrator: Migrator) -> InPlace:
    """How revisions that a rollback undid would be applied again. Raises: RevisionConflict."""
    if tuple(current) != change.to_revisions:
        raise _elsewhere(current, change.to_revisions, change)
    history = migrator.history()
    wanted = history.with_ancestors(change.from_revisions)
    steps = tuple(item.id for item in history.pending(current) if item.id in wanted)
    return InPlace(steps, change.from_revisions[0] if change.from_revisions else "base")


def _still_applied(change: Change, current: Sequence[str], history: History) -> tuple[str, ...]:
    """The migrate's revisions that the database still has: an interrupted rollback may have undone some."""
    reached = history.with_ancestors(change.to_revisions)
    now = history.with_ancestors(current)
    began = history.with_ancestors(change.from_revisions)
    if any(history.find(name) is None for name in current) or not began <= now <= reached:
        raise _elsewhere(current, change.to_revisions, change)
    return tuple(item.id for item in history.revisions if item.id in now - began)


def _elsewhere(current: Sequence[str], expected: Sequence[str], change: Change) -> RevisionConflict:
    return RevisionConflict(
        f"the database is at {', '.join(current) or 'no revision'}, the journal says {', '.join(expected) or 'none'}",
        cause=f"something else than inv changed its schema after the {change.kind} of {change.id}",
        hint="inv history; then inv restore --at a time before it",
    )


def _with_rows(loss: Loss, tables: Sequence[TableSummary]) -> str:
    """The loss, with how many rows it touches where its table is known."""
    found = _touched(loss, tables)
    return f"{loss.text} ({found[0].row_count} rows)" if found else loss.text


def _is_empty(loss: Loss, tables: Sequence[TableSummary]) -> bool:
    """Whether the table that goes holds no row. Columns of a table with rows are taken to hold something."""
    return bool(loss.table) and all(table.row_count == 0 for table in _touched(loss, tables))


def _touched(loss: Loss, tables: Sequence[TableSummary]) -> list[TableSummary]:
    name = loss.table if "." in loss.table else f"public.{loss.table}"
    return [table for table in tables if loss.table and table.name in {name, loss.table}]
