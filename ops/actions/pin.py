"""How does a person keep a backup from retention, let it go again, or accept one that looks wrong?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ops.actions.recorded import recorded
from ops.model.manifest import Manifest
from ops.ports import Archives, Clock, Journal, Lock


def pin(
    backup_id: str,
    *,
    lock: Lock,
    archives: Archives,
    clock: Clock,
    note: str = "",
    expires_at: datetime | None = None,
    wait_s: float = 0.0,
    journal: Journal | None = None,
    by: str = "",
) -> Manifest:
    """Keep a backup from retention; pinning again replaces note and end.

    Args:
        backup_id: which one.
        lock: the stack's.
        archives: the catalog.
        clock: dates the journal's lines.
        note: why.
        expires_at: when the pin ends by itself; None: never.
        wait_s: how long to wait for another change.
        journal: where the change is written.
        by: who, for the journal.

    Raises: BackupNotFound, ManifestInvalid, LockHeld, ArchiveUnwritable.
    """

    def pinned(manifest: Manifest) -> Manifest:
        return replace(manifest, pinned=True, pin_note=note, expires_at=expires_at)

    with lock.acquire("pin", wait_s=wait_s), recorded(journal, "pin", by=by, clock=clock) as details:
        details |= {"id": backup_id, "pinned": True, "note": note}
        return _updated(backup_id, archives, pinned)


def unpin(
    backup_id: str,
    *,
    lock: Lock,
    archives: Archives,
    clock: Clock,
    wait_s: float = 0.0,
    journal: Journal | None = None,
    by: str = "",
) -> Manifest:
    """Let retention decide about a backup again; harmless for one without a pin. Raises as `pin` does."""

    def unpinned(manifest: Manifest) -> Manifest:
        return replace(manifest, pinned=False, pin_note="", expires_at=None)

    with lock.acquire("unpin", wait_s=wait_s), recorded(journal, "pin", by=by, clock=clock) as details:
        details |= {"id": backup_id, "pinned": False}
        return _updated(backup_id, archives, unpinned)


def acknowledge(
    backup_id: str,
    *,
    lock: Lock,
    archives: Archives,
    clock: Clock,
    wait_s: float = 0.0,
    journal: Journal | None = None,
    by: str = "",
) -> Manifest:
    """Accept a backup that looks wrong: it counts as good again, and pruning goes on. Raises as `pin` does."""

    def acknowledged(manifest: Manifest) -> Manifest:
        return replace(manifest, acknowledged=True)

    with lock.acquire("acknowledge", wait_s=wait_s), recorded(journal, "pin", by=by, clock=clock) as details:
        details |= {"id": backup_id, "acknowledged": True}
        return _updated(backup_id, archives, acknowledged)


def _updated(backup_id: str, archives: Archives, change: Callable[[Manifest], Manifest]) -> Manifest:
    manifest = archives.find(backup_id)
    changed = change(manifest)
    if changed != manifest:
        archives.update(changed)
    return changed
