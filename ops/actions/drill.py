"""Can a backup really be restored?

It is restored, by the same steps as a restore, into a server that lives only for this and is never the production one;
then every table's count and checksum must equal the manifest's. What was proved is noted in the manifest; what was
disproved stops the backup from counting as good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from ops.actions.encrypted import Sealing
from ops.actions.loaded_backup import differences, source_of
from ops.actions.stopwatch import Stopwatch
from ops.errors import ArchiveCorrupt, BackupNotFound, DataDiffers, LoadFailed, OpsError, RestoreRefused
from ops.model.database import DatabaseCopy, ServerOffers
from ops.model.manifest import DatabaseIdentity, Drill, Manifest, of_database
from ops.model.masked_settings import unmasked
from ops.ports import Archives, Clock, Database, LoadSource, Lock, Reporter, Throwaways

LOADED = "drill"
"""What the loaded database is called on the throwaway server."""
NOT_RESTORABLE = "not restorable: "
_NOT_ITS_FAULT = (
    "no space left", "could not extend file", "out of memory", "connection to server", "server closed the connection",
    "terminating connection",
)  # fmt: skip
"""What a failed load says where the throwaway server is to blame, not the archive."""


@dataclass(frozen=True, slots=True)
class Drilled:
    """A backup that was restored elsewhere and found equal, and what a restore of it would say besides."""

    manifest: Manifest
    tables: int
    rows: int
    roles_made: tuple[str, ...]
    not_carried_over: tuple[str, ...]
    problems: tuple[str, ...]
    steps_s: Mapping[str, float]

    def steps_in_seconds(self) -> Mapping[str, float]:
        """How long each step took, as fields of an event: `load_s`."""
        return {f"{step}_s": seconds for step, seconds in self.steps_s.items()}


def drill(
    backup_id: str,
    *,
    archives: Archives,
    throwaways: Throwaways,
    lock: Lock,
    clock: Clock,
    report: Reporter,
    by: str,
    jobs: int = 1,
    wait_s: float = 60.0,
    sealing: Sealing | None = None,
) -> Drilled:
    """Restore a backup into a throwaway server and compare all of it with the manifest.

    Args:
        backup_id: which one; empty takes the newest that can be drilled.
        archives: the catalog.
        throwaways: where the servers come from; what a killed drill left there is removed first.
        lock: the stack's, held only while the manifest is rewritten: a drill never stands in the way of a backup.
        clock: dates the drill and times its steps.
        report: progress, warnings, `drill.finished`.
        by: who drills, for the manifest.
        jobs: how many of the server's processes load at once.
        wait_s: how long to wait for another change before the manifest is rewritten.
        sealing: decrypts encrypted archives as a stream into the load; without a key they cannot be drilled.

    Raises:
        BackupNotFound, ManifestInvalid: nothing to drill.
        RestoreRefused: encrypted without an identity, or no server at hand can take it; nothing is noted.
        ArchiveCorrupt, LoadFailed, DataDiffers: it is not what it should be; the manifest says so from now on.
        EngineUnreachable, ServiceUnhealthy: the throwaway server failed; nothing is noted.
        LockHeld: the result could not be noted.
    """
    for left in throwaways.clean():
        report.note(f"removed {left}, left by a drill that did not finish")
    manifest = chosen(backup_id, archives, sealing)
    run = _Run(Stopwatch(clock), report, clock.now())
    began = clock.monotonic()
    try:
        archives.check(manifest, report)
        run.stopwatch.lap("read")
        source = source_of(manifest, archives.path(manifest), sealing)
        with throwaways.server(manifest, report) as database:
            found = _proved(manifest, source, database, jobs, run)
        run.stopwatch.lap("remove")
    except (ArchiveCorrupt, LoadFailed, DataDiffers) as exc:
        if _is_the_archives_fault(exc):
            _note(partial(_disproved, error=exc), manifest, archives, lock, wait_s)
        raise
    done = Drill(clock.now(), round(clock.monotonic() - began, 3), run.server_version, by)
    noted = _note(partial(_with_proof, done=done), manifest, archives, lock, wait_s)
    report.finished(
        "drill.finished", id=noted.id, rows=found.rows, server_version=done.server_version, duration_s=done.duration_s
    )
    return replace(found, manifest=noted, steps_s=run.stopwatch.rounded())


def newest_drill(archives: Archives, live: DatabaseIdentity | None = None) -> datetime | None:
    """When a backup of the live database (None: of any) was last restored for proof."""
    return max((one.drill.at for one in of_database(archives.manifests(), live) if one.drill), default=None)


@dataclass(slots=True)
class _Run:
    stopwatch: Stopwatch
    report: Reporter
    started_at: datetime
    server_version: str = ""


def chosen(
    backup_id: str, archives: Archives, sealing: Sealing | None, live: DatabaseIdentity | None = None
) -> Manifest:
    """The backup to drill: the named one, else the newest that can be, of the live database where it has one.

    Raises: BackupNotFound, RestoreRefused.
    """
    is_unlocked = sealing is not None and sealing.can_decrypt
    if backup_id:
        manifest = archives.find(backup_id)
        if manifest.encryption is not None and not is_unlocked:
            raise RestoreRefused(
                f"{manifest.id} cannot be drilled: it is encrypted with {manifest.encryption}",
                cause="there is no identity here that opens it",
                hint="drill it where the key is: export OPS_BACKUP_IDENTITY_FILE=/path/to/identity.txt",
            )
        return manifest
    everything = archives.manifests()
    manifests = of_database(everything, live) or everything
    drillable = [one for one in manifests if one.encryption is None or is_unlocked]
    if manifests and not drillable:
        return chosen(manifests[0].id, archives, sealing)
    if not drillable:
        raise BackupNotFound("there is no backup to drill", hint="inv backup")
    return drillable[0]


def _proved(manifest: Manifest, source: LoadSource, database: Database, jobs: int, run: _Run) -> Drilled:
    """Load the archive as a restore would, and compare."""
    offers = database.offers()
    run.server_version = offers.server_version
    _refuse_missing(manifest, offers)
    run.stopwatch.lap("start")
    roles = database.ensure_roles(manifest.database.roles)
    copy = DatabaseCopy(LOADED, "scratch", "", "drill", manifest.id, run.started_at)
    database.create_copy(copy, manifest.database)
    run.stopwatch.lap("create")
    database.load(LOADED, source, jobs=jobs, report=run.report)
    run.stopwatch.lap("load")
    tables = database.tables(LOADED)
    if differing := differences(manifest, tables):
        raise DataDiffers(
            f"what was loaded from {manifest.id} into a throwaway server is not what was dumped",
            cause=differing,
            hint="inv backup, then: inv verify --drill",
        )
    run.stopwatch.lap("compare")
    facts, secret = unmasked(manifest.database, None)
    lost = database.carry_over(LOADED, facts)
    problems = database.integrity_problems(LOADED)
    for text in (*lost, *problems):
        run.report.warn(text)
    run.stopwatch.lap("check")
    return Drilled(
        manifest=manifest,
        tables=len(tables),
        rows=sum(table.row_count for table in tables),
        roles_made=roles,
        not_carried_over=(*secret, *lost),
        problems=problems,
        steps_s={},
    )


def _refuse_missing(manifest: Manifest, offers: ServerOffers) -> None:
    """Say by name what the throwaway server lacks, rather than let the load fail on it."""
    if offers.kind != "postgresql":
        return
    lacks = [f"the extension {name}" for name in sorted(set(manifest.database.extensions) - offers.extensions)]
    if manifest.codec not in offers.codecs:
        lacks.append(f"{manifest.codec}, which the archive is compressed with")
    if lacks:
        raise RestoreRefused(
            f"{manifest.id} cannot be drilled on the server at hand, PostgreSQL {offers.server_version}",
            cause=f"it lacks {', '.join(lacks)}",
            hint=f"apt-get install postgresql-{manifest.database.server_major}, or drill on the docker engine",
        )


def _is_the_archives_fault(error: OpsError) -> bool:
    said = f"{error.message} {error.cause or ''}".lower()
    return not (isinstance(error, LoadFailed) and any(words in said for words in _NOT_ITS_FAULT))


def _note(
    change: Callable[[Manifest], Manifest], manifest: Manifest, archives: Archives, lock: Lock, wait_s: float
) -> Manifest:
    """Rewrite the manifest as it is by now: a pin set meanwhile stays."""
    with lock.acquire("drill", wait_s=wait_s):
        noted = change(archives.find(manifest.id))
        archives.update(noted)
    return noted


def _with_proof(manifest: Manifest, done: Drill) -> Manifest:
    return replace(manifest, drill=done, verified_at=done.at, suspicious=_without_ours(manifest))


def _disproved(manifest: Manifest, error: OpsError) -> Manifest:
    said = error.message if error.cause is None else f"{error.message}: {error.cause}"
    return replace(
        manifest,
        drill=None,
        verified_at=None,
        acknowledged=False,
        suspicious=(*_without_ours(manifest), f"{NOT_RESTORABLE}{said}"),
    )


def _without_ours(manifest: Manifest) -> tuple[str, ...]:
    return tuple(text for text in manifest.suspicious if not text.startswith(NOT_RESTORABLE))
