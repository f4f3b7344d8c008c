"""How do the tasks of `ops/cli/backups.py` flow: guard, plan, show, ask, execute?"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.actions.backup import Limits
    from ops.model.manifest import Manifest, Reason
    from ops.wiring.toolbox import Toolbox


def _limits(tools: Toolbox) -> Limits:
    from ops.actions.backup import Limits

    return Limits(lock_wait_s=tools.settings.dump_lock_wait_s, idle_timeout_s=tools.settings.dump_idle_timeout_s)


def take(
    tools: Toolbox, *, reason: Reason, note: str = "", pin: bool = False, expires_at: datetime | None = None
) -> Manifest:
    """Take a backup inside of another change, which holds the locks."""
    from ops.actions.backup import take_backup

    return take_backup(
        database=tools.database,
        archives=tools.archives,
        clock=tools.clock,
        report=tools.report,
        stack=tools.stack_name,
        environment=tools.environment,
        reason=reason,
        note=note,
        pin=pin,
        expires_at=expires_at,
        limits=_limits(tools),
    )
