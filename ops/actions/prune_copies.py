"""How are databases that changes kept beside the live one dropped before their time?

Plan, show, then execute exactly that plan, under both locks: whoever holds them knows that no change is in the middle
of making or needing a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ops.actions.clean_leftovers import ends_of_interrupted
from ops.actions.recorded import recorded
from ops.errors import PruneRefused
from ops.model.kept_copies import CopyDecision, decide_copies
from ops.model.rollback_plan import last_change
from ops.ports import Clock, Database, Journal, Lock, Reporter


@dataclass(frozen=True, slots=True)
class PruneCopiesTools:
    """What dropping copies works with."""

    database: Database
    lock: Lock
    journal: Journal
    clock: Clock
    report: Reporter
    by: str
    live: str
    """The live database's name."""


@dataclass(frozen=True, slots=True)
class CopiesPlan:
    """One decision per copy, newest first."""

    decisions: tuple[CopyDecision, ...]

    @property
    def removed(self) -> tuple[str, ...]:
        """The names of those that go, oldest first."""
        return tuple(one.copy.name for one in reversed(self.decisions) if not one.is_kept)

    @property
    def freed_bytes(self) -> int:
        """What dropping them frees."""
        return sum(one.copy.size_bytes for one in self.decisions if not one.is_kept)


def plan_prune_copies(tools: PruneCopiesTools) -> CopiesPlan:
    """What would be dropped and kept now, each with its reason; changes nothing. Raises: DatabaseRefused."""
    copies = tools.database.copies()
    changes = tools.journal.changes()
    ended = (*changes, *ends_of_interrupted(changes, copies, tools.clock.now()))
    return CopiesPlan(decide_copies(copies, last_change(ended, copies, (), tools.live)))


def prune_copies(
    plan: CopiesPlan,
    tools: PruneCopiesTools,
    *,
    wait_s: float = 0.0,
    checkpoint: Callable[[str], None] = lambda _name: None,
) -> tuple[str, ...]:
    """Drop what the plan drops, oldest first; a plan that drops nothing does nothing.

    Args:
        plan: from `plan_prune_copies`, as it was shown.
        tools: what to work with.
        wait_s: how long to wait for another change.
        checkpoint: hears the name of each copy once it is dropped; a test stops there.

    Returns: the names that were dropped.

    Raises:
        LockHeld: another change runs.
        PruneRefused: something changed since the plan.
        RestoreRefused: a copy could not be dropped; those before it are.
    """
    if not plan.removed:
        return ()
    began = tools.clock.monotonic()
    with tools.lock.acquire("prune", wait_s=wait_s):
        left_s = max(0.0, wait_s - (tools.clock.monotonic() - began))
        with (
            tools.database.exclusive("prune", wait_s=left_s),
            recorded(tools.journal, "prune", by=tools.by, clock=tools.clock, what={"what": "copies"}) as details,
        ):
            if plan_prune_copies(tools).removed != plan.removed:
                raise PruneRefused("the kept copies changed since the plan was made", hint="inv prune --copies")
            sizes = {one.copy.name: one.copy.size_bytes for one in plan.decisions}
            gone: list[str] = []
            for name in plan.removed:
                tools.database.drop_copy(name)
                gone.append(name)
                details["removed"] = list(gone)
                tools.report.finished("prune.removed", copy=name, size_bytes=sizes[name])
                checkpoint(name)
            return tuple(gone)
