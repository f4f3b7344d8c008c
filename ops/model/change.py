"""Which changes were made to a stack, and what state did each keep to go back to?

The journal of changes is append-only: a change is written as `started` before its first effect and as
`finished` or `failed` after its last one, so a killed run shows as started without an end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

ChangeKind = Literal[
    "migrate", "restore", "transfer", "rollback", "deploy", "backup", "prune", "pin", "up", "down", "other"
]
ChangeState = Literal["started", "finished", "failed"]
_EMPTY: Mapping[str, Any] = MappingProxyType({})


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
