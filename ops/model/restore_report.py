"""What did a restore do, and how long did each step take?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """A restore that is done. Durations are seconds."""

    change_id: str
    database: str
    """The name that now has the restored content."""
    is_swapped: bool
    source: str
    """The backup's id, or the file."""
    kept: str
    """The old database's name; empty where nothing was kept."""
    kept_until: datetime | None
    revisions: tuple[str, ...]
    applied: tuple[str, ...]
    """Revisions that were applied after loading."""
    tables: int
    rows: int
    is_verified: bool
    """Whether counts and checksums of all tables were compared with the manifest."""
    roles_made: tuple[str, ...]
    not_carried_over: tuple[str, ...]
    problems: tuple[str, ...]
    cleaned: tuple[str, ...]
    """What an interrupted run before it had left."""
    check_s: float
    create_s: float
    load_s: float
    compare_s: float
    migrate_s: float
    integrity_s: float
    analyze_s: float
    carry_over_s: float
    swap_s: float
    away_s: float
    """How long the application had no database."""
    total_s: float
