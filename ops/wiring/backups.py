"""How do the tasks of `ops/cli/backups.py` flow: guard, plan, show, ask, execute?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.actions.backup import BackupTaken, Limits
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


def backup(tools: Toolbox, *, note: str, is_pinned: bool, is_dry: bool, lock_wait_s: float) -> BackupTaken | BackupPlan:
    """Take a backup as the stack's only change; dry, say what would be dumped and where it would go."""
    from ops.actions.backup import Label
    from ops.actions.backup import backup as take_one

    if is_dry:
        facts = tools.database.facts()
        return BackupPlan(
            stack=tools.stack_name,
            database=facts.name,
            size_bytes=facts.size_bytes,
            folder=str(tools.settings.backup_dir / tools.stack_name),
            free_bytes=tools.archives.free_space_bytes(),
        )
    return take_one(
        lock=tools.lock,
        database=tools.database,
        archives=tools.archives,
        clock=tools.clock,
        report=tools.report,
        stack=tools.stack_name,
        environment=tools.environment,
        label=Label(note=note, pinned=is_pinned, pin_note=note if is_pinned else ""),
        wait_s=lock_wait_s,
        limits=_limits(tools),
    )


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """What a backup would do."""

    stack: str
    database: str
    size_bytes: int
    folder: str
    free_bytes: int
