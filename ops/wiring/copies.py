"""How does `inv prune --copies` flow: guard, plan, show, ask, execute exactly that plan?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.wiring.guard import refuse_another_database
from ops.wiring.pruned import Pruned

if TYPE_CHECKING:
    from ops.actions.prune_copies import CopiesPlan
    from ops.wiring.toolbox import Toolbox


def prune_copies(tools: Toolbox, *, is_dry: bool, is_confirmed: bool, lock_wait_s: float) -> Pruned[CopiesPlan]:
    """Plan, and unless dry ask and drop exactly what the plan names."""
    from ops.actions.prune_copies import PruneCopiesTools, plan_prune_copies
    from ops.actions.prune_copies import prune_copies as drop

    refuse_another_database(tools)
    given = PruneCopiesTools(
        database=tools.database,
        lock=tools.lock,
        journal=tools.journal,
        clock=tools.clock,
        report=tools.report,
        by=tools.by,
        live=tools.live_name,
    )
    began = tools.clock.monotonic()
    plan = plan_prune_copies(given)
    plan_s = round(tools.clock.monotonic() - began, 3)
    if is_dry:
        return Pruned(plan, None, plan_s)
    if plan.removed:
        tools.confirm(
            f"{len(plan.removed)} kept copies ({plan.freed_bytes / 1e6:.0f} MB) would be dropped for good: "
            f"{', '.join(plan.removed)}",
            is_confirmed=is_confirmed,
        )
    began = tools.clock.monotonic()
    dropped = drop(plan, given, wait_s=lock_wait_s)
    return Pruned(plan, dropped, plan_s, round(tools.clock.monotonic() - began, 3))
