"""How does a backup come to exist?

Only in this order, and only if every step succeeds: the tool ends with 0, what it wrote is read back from the disk
with the same size and SHA-256, it decodes to its end, and the manifest is in place. Before that there is no backup,
and nothing of it is left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from ops.actions.archive_size import expected_size_bytes, refuse_without_room
from ops.actions.clean_leftovers import clean_leftovers, drop_expired, reap
from ops.actions.encrypted import Plain, Sealing, outgoing, prove, sealed
from ops.actions.expected_size import ExpectedSize
from ops.actions.recorded import recorded
from ops.actions.stopwatch import Stopwatch
from ops.errors import DeadlinePassed, DumpFailed
from ops.model import encryption as encrypting
from ops.model.backup_id import archive_name, new_id
from ops.model.manifest import Environment, Manifest, Reason, without_secrets
from ops.model.suspicion import predecessor, suspicions
from ops.ports import Archives, Clock, Database, Dump, Encryption, Journal, Lock, PartialArchive, Reporter


@dataclass(frozen=True, slots=True)
class Label:
    """What a person, or the change that needs it, says about a backup.

    `expires_at` ends the pin of a recovery point by itself.
    """

    reason: Reason = "manual"
    note: str = ""
    pinned: bool = False
    pin_note: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a dump waits: for a table that somebody holds exclusively, and for the tool's next byte; seconds."""

    lock_wait_s: float = 60.0
    idle_timeout_s: float = 300.0


@dataclass(frozen=True, slots=True)
class BackupTaken:
    """A backup that exists, and how long each step of it took in seconds."""

    manifest: Manifest
    steps_s: Mapping[str, float]


def backup(
    *,
    lock: Lock,
    database: Database,
    archives: Archives,
    clock: Clock,
    report: Reporter,
    stack: str,
    environment: Environment,
    label: Label = Label(),
    wait_s: float = 0.0,
    limits: Limits = Limits(),
    journal: Journal | None = None,
    by: str = "",
    sealing: Sealing | None = None,
) -> BackupTaken:
    """Take a backup as the only change of the stack, here and on other hosts.

    Args:
        lock: the stack's, on this machine.
        wait_s: how long to wait for another change; 0 gives up at once.
        label: reason, note, pin.
        limits: how long the dump waits for what.
        journal: where the change is written. With one, what killed changes left at the server is dropped first, and
            what is past its time.
        by: who takes it, for the journal.
        sealing: how archives are encrypted.
        database, archives, clock, report, stack, environment: as for `take_backup`.

    Raises: LockHeld, and what `take_backup` raises.
    """
    with (
        _stall_named(),
        lock.acquire("backup", wait_s=wait_s),
        database.exclusive("backup", wait_s=wait_s),
        recorded(journal, "backup", by=by, clock=clock) as details,
    ):
        if journal is None:
            reap(database, report)
        else:
            clean_leftovers(database=database, journal=journal, clock=clock, report=report)
            drop_expired(database=database, now=clock.now(), report=report)
        taken = _take(database, archives, _Run(clock, clock.now(), report, stack, environment, label, limits, sealing))
        details["id"] = taken.manifest.id
        return taken


def take_backup(
    *,
    database: Database,
    archives: Archives,
    clock: Clock,
    report: Reporter,
    stack: str,
    environment: Environment,
    reason: Reason,
    note: str = "",
    pin: bool = False,
    pin_note: str = "",
    expires_at: datetime | None = None,
    limits: Limits = Limits(),
    sealing: Sealing | None = None,
) -> Manifest:
    """Take a backup; the caller holds the stack's locks. What a killed run left is removed first.

    Args:
        database: the live one.
        archives: the stack's catalog.
        clock: names the backup and times its steps.
        report: progress, warnings, `backup.finished`.
        stack: the stack's name.
        environment: which of the stack's environments.
        reason: why, in one of the fixed words.
        note: why, in a person's words.
        pin: keep it out of retention.
        pin_note: why it is pinned.
        expires_at: when the pin of a recovery point ends by itself.
        limits: how long the dump waits for what.
        sealing: how archives are encrypted.

    Raises:
        ConfigurationError: a key to encrypt with is missing or no key; nothing was dumped.
        ArchiveUnwritable: no room (told before the dump where it can be foreseen), or the folder is not ours.
        DumpFailed, DatabaseRefused, EngineUnreachable: the dump did not finish whole.
        ArchiveCorrupt: the disk gave back something else, or the archive does not decode.
    """
    label = Label(reason, note, pin, pin_note, expires_at)
    run = _Run(clock, clock.now(), report, stack, environment, label, limits, sealing)
    with _stall_named():
        reap(database, report)
        return _take(database, archives, run).manifest


@contextmanager
def _stall_named() -> Iterator[None]:
    """Whatever stood still, there is no backup of this run. Raises: DumpFailed."""
    try:
        yield
    except DeadlinePassed as exc:
        raise DumpFailed(exc.message, cause=exc.cause, hint=exc.hint or "inv ps, then: inv backup") from exc


@dataclass(frozen=True, slots=True)
class _Run:
    clock: Clock
    started_at: datetime
    report: Reporter
    stack: str
    environment: Environment
    label: Label
    limits: Limits
    sealing: Sealing | None = None


def _take(database: Database, archives: Archives, run: _Run) -> BackupTaken:
    earlier = archives.manifests()
    encryption = outgoing(run.sealing, [one for one in earlier if one.started_at <= run.started_at])
    for left in archives.clean():
        run.report.note(f"removed {left}, left by a run that did not finish")
    facts = database.facts()
    refuse_without_room(facts, earlier, archives)
    backup_id = new_id(run.started_at, {manifest.id for manifest in earlier})
    stopwatch = Stopwatch(run.clock)
    archive = archives.begin(backup_id)
    try:
        with _written_to(archive, run.sealing, encryption) as (write, plain):
            done = database.dump(
                write,
                report=ExpectedSize(run.report, "dump", expected_size_bytes(facts, earlier)),
                lock_wait_s=run.limits.lock_wait_s,
                idle_timeout_s=run.limits.idle_timeout_s,
            )
        stopwatch.lap("dump_s")
        written = archive.finish()
        stopwatch.lap("read_back_s")
        by_hand = database.restore_by_hand(archive_name(backup_id, done.format))
        manifest = _manifest(backup_id, done, written, by_hand, run)
        if encryption is not None and plain is not None:
            manifest = _encrypted(manifest, encryption, plain)
        _decode(database, archive, manifest, run)
        stopwatch.lap("decode_s")
        now = run.clock.now()
        manifest = replace(
            manifest,
            finished_at=now,
            verified_at=now,
            suspicious=suspicions(manifest, predecessor(manifest, earlier)),
        )
        archive.commit(manifest)
    except BaseException:
        archive.abort()
        raise
    stopwatch.lap("commit_s")
    steps_s = {**stopwatch.laps, "tool_s": done.dump_s, "fingerprint_s": done.fingerprint_s}
    return _told(manifest, steps_s, run.report)


@contextmanager
def _written_to(
    archive: PartialArchive, sealing: Sealing | None, encryption: Encryption | None
) -> Iterator[tuple[Callable[[bytes], None], Plain | None]]:
    """Where a dump's bytes go: to the disk as they are, or proved and encrypted before they get there."""
    if encryption is None or sealing is None:
        yield archive.write, None
        return
    with sealed(archive.write, encryption, sealing.proof()) as (write, plain):
        yield write, plain


def _decode(database: Database, archive: PartialArchive, manifest: Manifest, run: _Run) -> None:
    """A plain archive is decoded by the database's tools; an encrypted one was proved on its way.

    Where there is a key, it is also decrypted from the disk again.
    """
    if manifest.encryption is None:
        database.decode(archive.path)
    elif run.sealing is not None and run.sealing.can_decrypt:
        prove(manifest, archive.path, run.sealing, run.report)


def _encrypted(manifest: Manifest, encryption: Encryption, plain: Plain) -> Manifest:
    """The manifest of an encrypted archive."""
    return replace(
        manifest,
        archive=manifest.archive + encrypting.SUFFIX,
        encryption=encryption.name,
        plain_size_bytes=plain.size_bytes,
        plain_sha256=plain.sha256,
        restore_by_hand=encrypting.by_hand(
            manifest.restore_by_hand, manifest.archive, has_passphrase=encryption.has_passphrase
        ),
    )


def _manifest(id: str, done: Dump, written: tuple[int, str], by_hand: str, run: _Run) -> Manifest:
    size_bytes, sha256 = written
    finished_at = run.clock.now()
    return Manifest(
        id=id,
        stack=run.stack,
        environment=run.environment,
        reason=run.label.reason,
        archive=archive_name(id, done.format),
        format=done.format,
        codec=done.codec,
        size_bytes=size_bytes,
        sha256=sha256,
        plain_size_bytes=size_bytes,
        plain_sha256=sha256,
        database=without_secrets(done.facts),
        tables=done.tables,
        revisions=done.revisions,
        tool_version=done.tool_version,
        started_at=run.started_at,
        finished_at=finished_at,
        restore_by_hand=by_hand,
        note=run.label.note,
        pinned=run.label.pinned,
        pin_note=run.label.pin_note,
        expires_at=run.label.expires_at,
        verified_at=finished_at,
    )


def _told(manifest: Manifest, steps_s: Mapping[str, float], report: Reporter) -> BackupTaken:
    for suspicion in manifest.suspicious:
        report.warn(f"backup {manifest.id} looks wrong: {suspicion}; nothing is pruned until it is acknowledged")
    rounded = {step: round(seconds, 3) for step, seconds in steps_s.items()}
    report.finished(
        "backup.finished",
        id=manifest.id,
        size_bytes=manifest.size_bytes,
        reason=manifest.reason,
        suspicious=len(manifest.suspicious),
        **rounded,
    )
    return BackupTaken(manifest, MappingProxyType(rounded))
