"""Which changes were made to a stack, and what state did each keep to go back to?

The journal of changes is append-only: a change is written as `started` before its first effect and as
`finished` or `failed` after its last one, so a killed run shows as started without an end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

ChangeKind = Literal[
    "migrate", "restore", "transfer", "rollback", "deploy",
    "backup", "prune", "pin", "verify", "drill", "offsite", "transfer-back",
    "up", "down", "build", "pull", "revision", "seed", "exec", "shell", "other",
]  # fmt: skip
"""Of the first line rollback knows what they kept; the others are there to tell who did what, and when."""
ChangeState = Literal["started", "finished", "failed"]
_EMPTY: Mapping[str, Any] = MappingProxyType({})
_ALWAYS = ("id", "kind", "state", "at", "by")


@dataclass(frozen=True, slots=True)
class RecoveryPoint:
    """The state kept before a change: a database beside the live one, or a pinned backup."""

    kind: Literal["database", "backup"]
    name: str
    """The database's name, or the backup's id."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the journal."""

    id: str
    """Sortable UTC like a backup's id; the same for a change's `started` and its end."""
    kind: ChangeKind
    state: ChangeState
    at: datetime
    by: str
    """`user@host pid`."""
    database: str = ""
    from_revisions: tuple[str, ...] = ()
    to_revisions: tuple[str, ...] = ()
    recovery: RecoveryPoint | None = None
    undoes: str = ""
    """For a rollback: the id of the change that it undid."""
    details: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    """Further JSON-able facts; never a secret."""


def to_json(change: Change) -> dict[str, Any]:
    """The change as a JSON-able mapping; empty fields are left out."""
    full: dict[str, Any] = {
        "id": change.id,
        "kind": change.kind,
        "state": change.state,
        "at": change.at.isoformat(),
        "by": change.by,
        "database": change.database,
        "from_revisions": list(change.from_revisions),
        "to_revisions": list(change.to_revisions),
        "recovery": {"kind": change.recovery.kind, "name": change.recovery.name} if change.recovery else None,
        "undoes": change.undoes,
        "details": dict(change.details),
    }
    return {key: value for key, value in full.items() if value or key in _ALWAYS}


def from_json(values: Mapping[str, Any]) -> Change:
    """Read back what `to_json` gave.

    Raises: KeyError, TypeError, ValueError for anything else; unknown keys are left alone, so that an older
    version can read what a newer one wrote.
    """
    recovery = values.get("recovery")
    at = datetime.fromisoformat(values["at"])
    if at.tzinfo is None:
        raise ValueError(f"a change's time has a zone, this one has none: {values['at']}")
    return Change(
        id=str(values["id"]),
        kind=values["kind"],
        state=values["state"],
        at=at,
        by=str(values["by"]),
        database=str(values.get("database", "")),
        from_revisions=tuple(values.get("from_revisions", ())),
        to_revisions=tuple(values.get("to_revisions", ())),
        recovery=RecoveryPoint(recovery["kind"], recovery["name"]) if recovery else None,
        undoes=str(values.get("undoes", "")),
        details=dict(values.get("details", {})),
    )


def unfinished(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Changes that were started and have no end: their run was killed, or still goes on. Oldest first.

    An id is a second, and what excludes nobody (`exec`) may begin in that of a migrate: only the kind tells them apart.
    """
    open_ones: dict[tuple[str, ChangeKind], Change] = {}
    for change in changes:
        if change.state == "started":
            open_ones[change.id, change.kind] = change
        else:
            open_ones.pop((change.id, change.kind), None)
    return tuple(open_ones.values())
