"""How does a task that has no action of its own get into the journal of changes?"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ops.model.change import ChangeKind
    from ops.wiring.toolbox import Toolbox


def audited(tools: Toolbox, kind: ChangeKind, **what: Any) -> AbstractContextManager[dict[str, Any]]:
    """Write who does what before it begins, and how it ended.

    Args:
        tools: of this run.
        kind: of the change.
        what: details that are known already; never a secret, so no whole command line.

    Returns: a context with a dictionary for details of the end.
    """
    from ops.actions.recorded import recorded

    return recorded(tools.journal, kind, by=tools.by, clock=tools.clock, what=what)
