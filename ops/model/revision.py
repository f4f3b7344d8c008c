"""Which schema revisions are there, which are pending, and can each be undone?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Revision:
    """One Alembic revision."""

    id: str
    down_revisions: tuple[str, ...]
    message: str
    path: str
    has_downgrade: bool
    """False where `downgrade()` is missing, empty, or raises."""


@dataclass(frozen=True, slots=True)
class History:
    """All revisions, base first, in an order in which they can be applied."""

    revisions: tuple[Revision, ...]
    heads: tuple[str, ...]
