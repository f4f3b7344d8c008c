"""How do backups get off-site and stay in step there?

The archive first, read back and compared, then its manifest, then the mark in the local manifest; without the manifest
nobody takes the archive for a backup. A failure out there never spoils what is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ops.errors import ArchiveCorrupt, BackupNotFound, ManifestInvalid, OffsiteFailed, OpsError
from ops.model.backup_id import is_id, manifest_name
from ops.model.manifest import Manifest
from ops.model.manifest_json import from_json, to_json
from ops.model.offsite import CONDEMNED, refreshed, to_remove, wanted_there
from ops.model.retention_policy import Policy
from ops.ports import Archives, Clock, Lock, OffsiteStore, Reporter


def _pass_by(_step: str) -> None:
    """The checkpoint of every run but a test's."""


@dataclass(frozen=True, slots=True)
class RemoteCatalog:
    """What a target holds: backups, newest first, and one sentence for each thing that is none."""

    manifests: tuple[Manifest, ...]
    odd: tuple[str, ...]
    condemned: tuple[str, ...]
    """Ids whose removal was begun and not finished."""
    damaged: tuple[tuple[str, str], ...] = ()
    """Backups that count no longer: (id, why: manifest unreadable, archive missing or cut)."""

    def find(self, backup_id: str) -> Manifest:
        """One backup. Raises: BackupNotFound."""
        for manifest in self.manifests:
            if manifest.id == backup_id:
                return manifest
        raise BackupNotFound(f"no backup {backup_id} off-site", hint="inv restore --dry-run --latest, with --from NAME")


@dataclass(frozen=True, slots=True)
class Target:
    """A store and what it keeps; `policy` None: everything, for ever."""

    store: OffsiteStore
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Synced:
    """What one run did at one target."""

    uploaded: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OffsiteTools:
    """What copying works with: the local catalog, and the lock that is held only while a manifest is rewritten.

    `checkpoint` hears the name of each finished step, so that a test can stop there.
    """

    archives: Archives
    lock: Lock
    clock: Clock
    report: Reporter
    stack: str
    wait_s: float = 60.0
    checkpoint: Callable[[str], None] = _pass_by


def catalog(store: OffsiteStore, stack: str) -> RemoteCatalog:
    """Rebuild the catalog from the store alone. Raises: OffsiteFailed."""
    sizes = store.sizes()
    found, odd, damaged = [], [], []
    for name in sorted(sizes, reverse=True):
        if name.endswith(".json"):
            try:
                manifest = _backup(name, sizes, store, stack)
                found.append(manifest)
                odd += [f"{name}: {text}" for text in manifest.suspicious if manifest.verified_at is None]
            except (ManifestInvalid, ArchiveCorrupt) as exc:
                odd.append(f"{name}: {exc.cause or exc.message}")
                damaged.append((name.removesuffix(".json"), exc.cause or exc.message))
        elif not name.endswith(CONDEMNED) and manifest_name(name.split(".")[0]) not in sizes:
            odd.append(f"{name}: no manifest says that it is a backup")
    condemned = sorted(name.split(".")[0] for name in sizes if name.endswith(".json" + CONDEMNED))
    odd += [f"{id}: its removal is not finished" for id in condemned]
    damaged = [(backup_id, why) for backup_id, why in damaged if is_id(backup_id)]
    return RemoteCatalog(tuple(found), tuple(odd), tuple(condemned), tuple(damaged))


def copy_out(manifest: Manifest, target: Target, tools: OffsiteTools) -> Manifest:
    """Copy one backup; a copy that is there already is left as it is. Returns the local manifest with its mark.

    Raises: OffsiteFailed; ArchiveCorrupt (the local archive is not whole); LockHeld (the mark could not be written).
    """
    store, name = target.store, manifest_name(manifest.id)
    sizes = store.sizes()
    if not _is_there(manifest, sizes, store):
        store.upload(tools.archives.path(manifest), manifest.archive, manifest.sha256, tools.report)
        tools.checkpoint("archive uploaded")
        marked = replace(manifest, offsite=tuple(sorted({*manifest.offsite, store.name})))
        store.write(name, to_json(marked).encode())
        tools.checkpoint("manifest uploaded")
        tools.report.finished("offsite.uploaded", id=manifest.id, target=store.name, size_bytes=manifest.size_bytes)
    marked = mark(manifest.id, store.name, tools, is_there=True)
    tools.checkpoint("marked")
    return marked


def copy_to_all(manifest: Manifest, targets: Sequence[Target], tools: OffsiteTools) -> tuple[Manifest, tuple[str, ...]]:
    """Copy one backup to every target; gives the manifest with its marks, and what failed, one sentence each.

    What uploads that were killed long ago left there unseen is removed first, so that it goes without a schedule too.
    """
    failures = []
    for target in targets:
        try:
            _clean(target.store, tools)
            manifest = copy_out(manifest, target, tools)
        except OpsError as exc:
            why = f"{target.store.name}: {exc.message}" + (f": {exc.cause}" if exc.cause else "")
            tools.report.warn(f"the off-site copy of {manifest.id} failed, the backup here is good: {why}")
            failures.append(why)
    return manifest, tuple(failures)


def refuse_failures(backup_id: str, failures: Sequence[str]) -> None:
    """Raise where a copy failed. Raises: OffsiteFailed."""
    if failures:
        raise OffsiteFailed(
            f"backup {backup_id} is good here and not off-site",
            cause="; ".join(failures),
            hint="inv scheduler --once offsite",
        )


def sync(target: Target, tools: OffsiteTools) -> Synced:
    """Bring a target in step: finish removals, upload what is missing, refresh pins, then prune by its own policy.

    Nothing is pruned in a run that could not upload. What is no backup of ours there is never touched.

    Raises: OffsiteFailed, ArchiveCorrupt, LockHeld.
    """
    store, now = target.store, tools.clock.now()
    _clean(store, tools)
    local = {manifest.id: manifest for manifest in tools.archives.manifests()}
    there = catalog(store, tools.stack)
    _mark_all(there, local, store.name, tools)
    uploaded = []
    for manifest in wanted_there(local.values(), there.manifests, target.policy, now):
        copy_out(manifest, target, tools)
        uploaded.append(manifest.id)
    _refresh(there.manifests, local, store)
    tools.checkpoint("pins carried over")
    removed = _prune(target, tools, there)
    return Synced(tuple(uploaded), removed)


def _backup(name: str, sizes: Mapping[str, int], store: OffsiteStore, stack: str) -> Manifest:
    manifest = from_json(store.read(name), name)
    if manifest_name(manifest.id) != name or not manifest.archive.startswith(f"{manifest.id}."):
        raise ManifestInvalid(f"the manifest {name} is that of {manifest.id}")
    if manifest.stack != stack:
        raise ManifestInvalid(f"the manifest {name} belongs to the stack {manifest.stack}, not to {stack}")
    size_bytes = sizes.get(manifest.archive, 0)
    if size_bytes != manifest.size_bytes:
        raise ArchiveCorrupt(f"its archive has {size_bytes} bytes there, not {manifest.size_bytes}")
    return manifest


def _clean(store: OffsiteStore, tools: OffsiteTools) -> None:
    for left in store.clean(tools.clock.now()):
        tools.report.note(f"removed {left} from {store.name}, left by an upload that did not finish")
    tools.checkpoint("cleaned")


def _is_there(manifest: Manifest, sizes: Mapping[str, int], store: OffsiteStore) -> bool:
    name = manifest_name(manifest.id)
    if name not in sizes or sizes.get(manifest.archive) != manifest.size_bytes:
        return False
    try:
        there = from_json(store.read(name), name)
    except ManifestInvalid:
        return False
    return there.sha256 == manifest.sha256 and there.verified_at is not None


def mark(backup_id: str, name: str, tools: OffsiteTools, *, is_there: bool) -> Manifest:
    """Say in the local manifest whether a target has a whole copy; gives that manifest.

    Raises: BackupNotFound, LockHeld, ArchiveUnwritable.
    """
    with tools.lock.acquire("offsite", wait_s=tools.wait_s):
        manifest = tools.archives.find(backup_id)
        if (name in manifest.offsite) != is_there:
            marks = {*manifest.offsite} - {name} | ({name} if is_there else set())
            manifest = replace(manifest, offsite=tuple(sorted(marks)))
            tools.archives.update(manifest)
    return manifest


def _mark_all(there: RemoteCatalog, local: Mapping[str, Manifest], name: str, tools: OffsiteTools) -> None:
    """Local marks say what is there now: a copy that somebody removed there is no copy."""
    present = {manifest.id for manifest in there.manifests if manifest.verified_at is not None}
    for manifest in local.values():
        if (name in manifest.offsite) != (manifest.id in present):
            mark(manifest.id, name, tools, is_there=manifest.id in present)


def _refresh(remote: Sequence[Manifest], local: Mapping[str, Manifest], store: OffsiteStore) -> None:
    for manifest in remote:
        if manifest.verified_at is None:  # it was replaced just now, or there is nothing to replace it with
            continue
        if manifest.id in local and (fresh := refreshed(manifest, local[manifest.id])) != manifest:
            store.write(manifest_name(manifest.id), to_json(fresh).encode())


def _prune(target: Target, tools: OffsiteTools, before: RemoteCatalog) -> tuple[str, ...]:
    """Condemn, then remove manifest, archive and condemnation; a refusal leaves the condemnation for the next run."""
    store = target.store
    now_there = catalog(store, tools.stack)
    removed = []
    for decision in to_remove(now_there.manifests, target.policy, tools.clock.now()):
        manifest = decision.manifest
        store.write(manifest_name(manifest.id) + CONDEMNED, to_json(manifest).encode())
        tools.checkpoint("condemned")
        _remove(manifest, store, tools)
        removed.append(manifest.id)
        tools.report.finished("offsite.removed", id=manifest.id, target=store.name, size_bytes=manifest.size_bytes)
    present = {manifest.id for manifest in now_there.manifests}
    for backup_id in before.condemned:
        if not is_id(backup_id) or backup_id in removed:
            continue
        name = manifest_name(backup_id) + CONDEMNED
        if backup_id in present:  # kept again, by a pin say
            store.delete(name)
            continue
        _remove(from_json(store.read(name), name), store, tools)
        removed.append(backup_id)
    return tuple(removed)


def _remove(manifest: Manifest, store: OffsiteStore, tools: OffsiteTools) -> None:
    store.delete(manifest_name(manifest.id))
    tools.checkpoint("manifest removed there")
    store.delete(manifest.archive)
    tools.checkpoint("archive removed there")
    store.delete(manifest_name(manifest.id) + CONDEMNED)
