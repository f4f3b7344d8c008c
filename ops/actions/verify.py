"""Is what lies in the backup folder still what was written, and does it decode?

A backup that fails stops counting as good: its `verified_at` is taken away and the reason is written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ops.actions.encrypted import Sealing, prove, read_through
from ops.actions.list_backups import warn_of_damaged
from ops.errors import ArchiveCorrupt, BackupNotFound
from ops.model.manifest import Manifest
from ops.ports import Archives, Clock, Database, Lock, Reporter

NOT_WHOLE: Final = "not whole: "
"""How what a look at an archive found begins among a manifest's suspicions."""


@dataclass(frozen=True, slots=True)
class Verified:
    """One backup that was read again; `problem` is empty where it is whole."""

    manifest: Manifest
    duration_s: float
    problem: str = ""


def verify(
    backup_ids: Sequence[str],
    *,
    archives: Archives,
    database: Database,
    lock: Lock,
    clock: Clock,
    report: Reporter,
    wait_s: float = 60.0,
    sealing: Sealing | None = None,
    own_format: str = "",
) -> tuple[Verified, ...]:
    """Read backups again: size, SHA-256, then decode to the end; notes the result in each manifest.

    Args:
        backup_ids: which ones; none means the newest.
        archives: the catalog.
        database: its tools decode.
        lock: the stack's, held only while a manifest is rewritten.
        clock: dates the result.
        report: progress, an event per backup, and a warning for each that the catalog does not list any more.
        wait_s: how long to wait for another change before a manifest is rewritten.
        sealing: decrypts, where there is a key; without one an encrypted archive is hashed only.
        own_format: what `database` decodes. A stack that moved from SQLite to PostgreSQL has archives of both formats;
            one of the other is read through to its end by the sealing's proof. "": all are its own.

    Returns: a result for each, in the order asked for; look at `problem`, or call `refuse_problems`.

    Raises: BackupNotFound, ManifestInvalid, EngineUnreachable, LockHeld, ArchiveUnwritable.
    """
    warn_of_damaged(archives.damaged(), report)
    manifests = [archives.find(backup_id) for backup_id in backup_ids] or list(archives.manifests()[:1])
    if not manifests:
        raise BackupNotFound("there is no backup to verify", hint="inv backup")
    results = []
    for manifest in manifests:
        began = clock.monotonic()
        problem = _problem(manifest, archives, database, sealing, report, own_format=own_format)
        duration_s = round(clock.monotonic() - began, 3)
        with lock.acquire("verify", wait_s=wait_s):
            noted = _noted(archives.find(manifest.id), problem, clock)
            archives.update(noted)
        report.finished("verify.finished", id=manifest.id, is_good=not problem, duration_s=duration_s)
        results.append(Verified(noted, duration_s, problem))
    return tuple(results)


def refuse_problems(results: Sequence[Verified], damaged: Sequence[tuple[str, str]] = ()) -> None:
    """Raise where a backup is not whole.

    Args:
        results: from `verify`.
        damaged: from the catalog: backups that it does not even list any more.

    Raises: ArchiveCorrupt, naming all of them.
    """
    bad = {result.manifest.id: result.problem for result in results if result.problem} | dict(damaged)
    if bad:
        count = len(results) + sum(all(result.manifest.id != id for result in results) for id, _ in damaged)
        raise ArchiveCorrupt(
            f"{len(bad)} of {count} backups cannot be relied on: {', '.join(bad)}",
            cause="; ".join(bad.values()),
            hint="inv backup",
        )


def _problem(
    manifest: Manifest,
    archives: Archives,
    database: Database,
    sealing: Sealing | None,
    report: Reporter,
    *,
    own_format: str,
) -> str:
    try:
        archives.check(manifest, report)
        if manifest.encryption is None and sealing is not None and own_format and manifest.format != own_format:
            read_through(archives.path(manifest), sealing)
        elif manifest.encryption is None:
            database.decode(archives.path(manifest))
        elif sealing is not None and sealing.can_decrypt:
            prove(manifest, archives.path(manifest), sealing, report)
        else:
            report.warn(f"{manifest.id} is encrypted and there is no key: its hash was compared, it was not decoded")
    except ArchiveCorrupt as exc:
        return exc.message if exc.cause is None else f"{exc.message}: {exc.cause}"
    return ""


def _noted(manifest: Manifest, problem: str, clock: Clock) -> Manifest:
    """What an earlier run noted is replaced: an archive that was copied back whole counts again."""
    others = tuple(text for text in manifest.suspicious if not text.startswith(NOT_WHOLE))
    if not problem:
        return replace(manifest, verified_at=clock.now(), suspicious=others)
    return replace(manifest, verified_at=None, acknowledged=False, suspicious=(*others, f"{NOT_WHOLE}{problem}"))
