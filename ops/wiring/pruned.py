"""What became of a pruning, of backups or of copies that are kept beside the live database?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class RemovalPlan(Protocol):
    """A plan to remove things by their names."""

    @property
    def removed(self) -> tuple[str, ...]:
        """What goes, oldest first."""

    @property
    def freed_bytes(self) -> int:
        """What removing it frees."""


Plan_co = TypeVar("Plan_co", bound=RemovalPlan, covariant=True)


@dataclass(frozen=True, slots=True)
class Pruned(Generic[Plan_co]):
    """The plan, and what was removed; None where nothing was to be. Durations are seconds."""

    plan: Plan_co
    removed: tuple[str, ...] | None
    plan_s: float
    remove_s: float = 0.0

    @property
    def total_s(self) -> float:
        """All of it."""
        return round(self.plan_s + self.remove_s, 3)
