"""Which revisions are there, and where does the database stand?"""

from __future__ import annotations

from dataclasses import dataclass

from ops.actions.migrate import read_current
from ops.model.revision import History
from ops.ports import Database, Migrator


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """The history seen from one database; a conflict is shown, never raised."""

    history: History
    current: tuple[str, ...]
    pending: tuple[str, ...]
    """Revisions that the database lacks, in the order to apply them."""
    unknown: tuple[str, ...]
    """Revisions of the database that the scripts do not have."""
    has_tables_without_revision: bool


def show_history(*, database: Database, migrator: Migrator) -> HistoryReport:
    """Read both sides; changes nothing. Raises: RevisionConflict (unreadable scripts), DatabaseRefused."""
    history = migrator.history()
    current, tables = read_current(database, migrator)
    return HistoryReport(
        history=history,
        current=current,
        pending=tuple(item.id for item in history.pending(current)),
        unknown=tuple(name for name in current if history.find(name) is None),
        has_tables_without_revision=bool(tables and not current),
    )
