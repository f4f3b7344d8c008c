"""How are the backups removed that the retention policy no longer keeps?

Plan, show, then execute exactly that plan: what is removed is looked up by the ids of the plan, under the lock, and
only if a plan made then is still the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ops.actions.recorded import recorded
from ops.errors import PruneRefused
from ops.model.retention import Decision, decide, withheld_because
from ops.model.retention_policy import Policy
from ops.ports import Archives, Clock, Journal, Lock, Reporter


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """One decision per backup, newest first, and why nothing may be removed, if so."""

    decisions: tuple[Decision, ...]
    withheld: str | None = None

    @property
    def removed(self) -> tuple[str, ...]:
        """The ids that go, oldest first."""
        return tuple(decision.manifest.id for decision in reversed(self.decisions) if not decision.is_kept)

    @property
    def freed_bytes(self) -> int:
        """What the removal frees."""
        return sum(decision.manifest.size_bytes for decision in self.decisions if not decision.is_kept)


def plan_prune(archives: Archives, policy: Policy, clock: Clock) -> PrunePlan:
    """What would be removed and kept now, each with its reasons; changes nothing.

    Raises: PruneRefused, for a policy that keeps nothing.
    """
    if policy.is_empty:
        raise PruneRefused(
            "the retention policy keeps nothing, so it would remove every backup",
            cause="no keep-... key of [tool.ops.retention] is above 0",
            hint="set keep-last or keep-daily in [tool.ops.retention] of pyproject.toml",
        )
    manifests = archives.manifests()
    return PrunePlan(decide(manifests, policy, clock.now()), withheld_because(manifests))


def prune(
    plan: PrunePlan,
    *,
    lock: Lock,
    archives: Archives,
    policy: Policy,
    clock: Clock,
    report: Reporter,
    wait_s: float = 0.0,
    journal: Journal | None = None,
    by: str = "",
) -> tuple[str, ...]:
    """Remove what the plan removes, oldest first; a plan that removes nothing does nothing.

    Args:
        plan: from `plan_prune`, as it was shown.
        lock: the stack's; held while backups are removed.
        archives: the catalog.
        policy: the plan's.
        clock: dates the plan made again under the lock.
        report: one event per backup removed.
        wait_s: how long to wait for another change.
        journal: where the change is written.
        by: who removes, for the journal.

    Returns: the ids that were removed.

    Raises:
        LockHeld: another change runs.
        PruneRefused: the newest backup looks wrong, or the catalog changed since the plan.
        ArchiveUnwritable: a file could not be removed; those before it are.
    """
    if plan.withheld is not None:
        raise PruneRefused("nothing was removed", cause=plan.withheld, hint="look at it, then: inv prune --acknowledge")
    if not plan.removed:
        return ()
    with lock.acquire("prune", wait_s=wait_s), recorded(journal, "prune", by=by, clock=clock) as details:
        again = plan_prune(archives, policy, clock)
        if again.withheld is not None or again.removed != plan.removed:
            raise PruneRefused("the catalog changed since the plan was made", hint="inv prune --dry-run")
        return _removed(again.decisions, archives, report, details)


def _removed(
    decisions: Sequence[Decision], archives: Archives, report: Reporter, details: dict[str, object]
) -> tuple[str, ...]:
    gone: list[str] = []
    for decision in reversed(decisions):
        if not decision.is_kept:
            archives.delete(decision.manifest)
            gone.append(decision.manifest.id)
            details["removed"] = list(gone)
            report.finished("prune.removed", id=decision.manifest.id, size_bytes=decision.manifest.size_bytes)
    return tuple(gone)
