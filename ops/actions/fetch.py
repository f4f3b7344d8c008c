"""How does a backup come back from off-site, on a machine that may have nothing else?

Into the local catalog, by the same steps as a backup: whole, or not there.
"""

from __future__ import annotations

from dataclasses import replace

from ops.actions.offsite import OffsiteTools
from ops.errors import ArchiveCorrupt, OffsiteFailed
from ops.model.manifest import Manifest
from ops.ports import OffsiteStore


def fetch(manifest: Manifest, store: OffsiteStore, tools: OffsiteTools) -> Manifest:
    """Bring one backup into the local catalog, where it is not there already whole; gives the local manifest.

    Raises: OffsiteFailed (what arrived is not what the manifest says), ArchiveUnwritable, LockHeld.
    """
    with tools.lock.acquire("fetch", wait_s=tools.wait_s):
        known = {one.id: one for one in tools.archives.manifests()}.get(manifest.id)
        if known is not None:
            _refuse_another(manifest, known)
            if _is_whole(known, tools):
                return known
            manifest = replace(manifest, pinned=known.pinned, pin_note=known.pin_note, expires_at=known.expires_at)
        tools.archives.clean()
        archive = tools.archives.begin(manifest.id)
        try:
            done = 0
            for block in store.blocks(manifest.archive):
                archive.write(block)
                done += len(block)
                tools.report.progress("download", done, manifest.size_bytes)
            _refuse_difference(manifest, archive.finish(), store)
            if known is not None or manifest.id in dict(tools.archives.damaged()):
                tools.archives.delete(manifest)
            archive.commit(manifest)
        except BaseException:
            archive.abort()
            raise
    tools.report.finished("offsite.fetched", id=manifest.id, target=store.name, size_bytes=manifest.size_bytes)
    return manifest


def _is_whole(known: Manifest, tools: OffsiteTools) -> bool:
    try:
        tools.archives.check(known, tools.report)
    except ArchiveCorrupt as error:
        tools.report.warn(f"{known.id} is damaged here and is fetched again: {error.message}")
        return False
    return True


def _refuse_another(manifest: Manifest, known: Manifest) -> None:
    if known.sha256 != manifest.sha256:
        raise OffsiteFailed(
            f"the backup {manifest.id} off-site is another one than the one of that id here",
            cause="two machines took backups of the stack in the same second",
            hint=f"move the files of {manifest.id} out of the backup folder, then the same command again",
        )


def _refuse_difference(manifest: Manifest, arrived: tuple[int, str], store: OffsiteStore) -> None:
    if arrived != (manifest.size_bytes, manifest.sha256):
        raise OffsiteFailed(
            f"{manifest.archive} did not arrive from {store.name} as its manifest says",
            cause=f"{arrived[0]} bytes, SHA-256 {arrived[1][:16]}..., expected {manifest.size_bytes} bytes, "
            f"{manifest.sha256[:16]}...",
            hint="the same command again; then another backup: --at",
        )
