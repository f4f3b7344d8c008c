"""Which schema revisions are there, which are pending, and can each be undone?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NO_SQL: Mapping[str, StepSql] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Revision:
    """One Alembic revision."""

    id: str
    down_revisions: tuple[str, ...]
    message: str
    path: str
    has_downgrade: bool
    """False where `downgrade()` is missing, empty, or raises; True where `upgrade()` does nothing (a merge)."""
    depends_on: tuple[str, ...] = ()
    """Revisions of other branches that must be applied before, though they are not its parents."""


@dataclass(frozen=True, slots=True)
class History:
    """All revisions, base first, in an order in which they can be applied."""

    revisions: tuple[Revision, ...]
    heads: tuple[str, ...]

    def find(self, revision: str) -> Revision | None:
        """The revision of that id, None where the scripts have none."""
        return next((item for item in self.revisions if item.id == revision), None)

    def with_ancestors(self, revisions: Iterable[str]) -> frozenset[str]:
        """These revisions and all that were applied before them; unknown ids are left out."""
        by_id = {item.id: item for item in self.revisions}
        found: set[str] = set()
        waiting = [name for name in revisions if name in by_id]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                item = by_id[name]
                waiting += [parent for parent in (*item.down_revisions, *item.depends_on) if parent in by_id]
        return frozenset(found)

    def pending(self, current: Iterable[str]) -> tuple[Revision, ...]:
        """What a database at `current` still lacks, in the order to apply it."""
        applied = self.with_ancestors(current)
        return tuple(item for item in self.revisions if item.id not in applied)


@dataclass(frozen=True, slots=True)
class StepSql:
    """The SQL of one revision in one direction; `text` is None where it cannot be told without a database."""

    text: str | None
    reason: str = ""
    """Why there is no text: the revision reads data, or env.py has no offline mode."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The history and the SQL of each revision that a database does not have yet."""

    history: History
    sql: Mapping[str, StepSql] = field(default_factory=lambda: _NO_SQL)
