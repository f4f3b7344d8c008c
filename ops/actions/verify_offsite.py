"""Is what lies off-site still what was copied there?

Every archive asked for is read to its end from the store. A copy that is not whole stops counting: its manifest there
says so, the local mark goes, and the next sync copies the local backup again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from ops.actions.offsite import OffsiteTools, RemoteCatalog, catalog, mark
from ops.actions.verify import NOT_WHOLE, Verified
from ops.errors import BackupNotFound
from ops.model.backup_id import manifest_name
from ops.model.manifest import Manifest
from ops.model.manifest_json import to_json
from ops.ports import OffsiteStore


def verify_offsite(
    backup_ids: Sequence[str] | None, *, store: OffsiteStore, tools: OffsiteTools
) -> tuple[tuple[Verified, ...], tuple[tuple[str, str], ...]]:
    """Read copies again and compare size and SHA-256; nothing is decoded, for that an archive must come here.

    Args:
        backup_ids: which ones; an empty list means the newest there, None all of them.
        store: the target's.
        tools: the local catalog, whose marks follow what was found.

    Returns: a result for each, and those that the catalog there lists no more: (id, why).

    Raises: BackupNotFound, OffsiteFailed (it could not be read: nothing is said about the copy), LockHeld.
    """
    there = catalog(store, tools.stack)
    local = {manifest.id: manifest for manifest in tools.archives.manifests()}
    for backup_id, why in there.damaged:
        tools.report.warn(f"{backup_id} is no backup any more in {store.name}: {why}")
        _mark_rightly(local.get(backup_id), store.name, tools, is_there=False)
    manifests = _chosen(backup_ids, there)
    if not manifests and not there.damaged:
        raise BackupNotFound(f"there is no backup in {store.name} to verify", hint="inv scheduler --once offsite")
    results = []
    for manifest in manifests:
        began = tools.clock.monotonic()
        problem = _problem(manifest, store, tools)
        noted = _noted(manifest, problem, tools)
        if noted != manifest:
            store.write(manifest_name(manifest.id), to_json(noted).encode())
        _mark_rightly(local.get(manifest.id), store.name, tools, is_there=not problem)
        duration_s = round(tools.clock.monotonic() - began, 3)
        tools.report.finished(
            "offsite.verified", id=manifest.id, target=store.name, is_good=not problem, duration_s=duration_s
        )
        results.append(Verified(noted, duration_s, problem))
    return tuple(results), there.damaged


def _chosen(backup_ids: Sequence[str] | None, there: RemoteCatalog) -> list[Manifest]:
    if backup_ids is None:
        return list(there.manifests)
    return [there.find(backup_id) for backup_id in backup_ids] or list(there.manifests[:1])


def _mark_rightly(here: Manifest | None, name: str, tools: OffsiteTools, *, is_there: bool) -> None:
    """A mark that is right already needs no lock: reading copies takes long, and a backup may be taken meanwhile."""
    if here is not None and (name in here.offsite) != is_there:
        mark(here.id, name, tools, is_there=is_there)


def _problem(manifest: Manifest, store: OffsiteStore, tools: OffsiteTools) -> str:
    digest, done = hashlib.sha256(), 0
    for block in store.blocks(manifest.archive):
        digest.update(block)
        done += len(block)
        tools.report.progress(f"read back from {store.name}", done, manifest.size_bytes)
    if (done, digest.hexdigest()) == (manifest.size_bytes, manifest.sha256):
        return ""
    return (
        f"{manifest.archive} in {store.name} is not what was copied there: {done} bytes, SHA-256 "
        f"{digest.hexdigest()[:16]}..., expected {manifest.size_bytes} bytes, {manifest.sha256[:16]}..."
    )


def _noted(manifest: Manifest, problem: str, tools: OffsiteTools) -> Manifest:
    """A copy that is whole keeps its manifest as it is, but for what an earlier look found wrong."""
    others = tuple(text for text in manifest.suspicious if not text.startswith(NOT_WHOLE))
    if problem:
        return replace(manifest, verified_at=None, acknowledged=False, suspicious=(*others, f"{NOT_WHOLE}{problem}"))
    if manifest.verified_at is None:
        return replace(manifest, verified_at=tools.clock.now(), suspicious=others)
    return manifest
