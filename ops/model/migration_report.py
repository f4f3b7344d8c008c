"""What did a migrate do, and how long did each part take?"""

from __future__ import annotations

from dataclasses import dataclass

from ops.model.change import RecoveryPoint


@dataclass(frozen=True, slots=True)
class AppliedStep:
    """One revision that was applied, and how long it took."""

    revision: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What a migrate did."""

    change_id: str
    """Empty where there was nothing to do."""
    database: str
    from_revisions: tuple[str, ...]
    to_revisions: tuple[str, ...]
    applied: tuple[AppliedStep, ...]
    recovery: RecoveryPoint | None
    problems: tuple[str, ...]
    """What the checks afterwards found: drift, invalid indexes, unvalidated constraints. Done, but degraded."""
    wait_s: float = 0.0
    recovery_s: float = 0.0
    upgrade_s: float = 0.0
    check_s: float = 0.0
