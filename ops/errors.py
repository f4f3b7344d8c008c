"""Which ways can an operation fail, and which exit code does each one have?

The tree, one leaf an exit code; no code is ever reused::

    OpsError
    +-- ConfigurationError        2    settings, compose file, arguments that contradict
    +-- Degraded                  3    done, but not everything is as it should be
    +-- CriticalCheckFailed       4    `inv check` found something critical
    +-- EngineUnreachable        10    no answer from the engine recorded for the stack
    +-- LockHeld                 11    another change runs on this stack
    +-- ServiceUnhealthy         12    unhealthy, crashing, or the deadline passed
    +-- UnknownService           13    no service of that name in the stack
    +-- Refused                  14    a safety check said no, or nobody confirmed
    +-- BuildFailed              15    build or pull failed
    +-- PortTaken                16    a port to publish belongs to somebody else
    +-- DatabaseRefused          17    wrong password, missing rights, no such database
    +-- DumpFailed               20    the dump did not finish whole
    +-- ArchiveUnwritable        21    disk full or folder not writable
    +-- OffsiteFailed            22    the off-site copy failed
    +-- BackupNotFound           30    no such backup in the catalog
    +-- ManifestInvalid          31    a manifest that cannot be read
    +-- ArchiveCorrupt           32    an archive that is not what its manifest says
    +-- BackupTooOld             33    the newest good backup is older than allowed
    +-- RestoreRefused           40    preflight: this archive must not go into this database
    +-- LoadFailed               41    loading into the scratch database failed
    +-- RevisionConflict         50    several heads, unknown or foreign revision
    +-- Irreversible             51    no way back without loss
    +-- UpgradeFailed            52    a revision failed; the earlier ones stay
    +-- PruneRefused             60    pruning would be unsafe
    +-- BadSourceData            70    transfer: values the target cannot hold
    +-- DataDiffers              71    transfer or drill: counts or checksums differ
    +-- DeadlinePassed          124    any other deadline

0 is done, 1 is Invoke's usage error or a bug of ours (with a traceback), 130 and 143 are signals.
"""

from __future__ import annotations

from typing import ClassVar


class OpsError(Exception):
    """A failure that a person can act on.

    Args:
        message: what happened, with names and numbers; lower case, no final stop.
        cause: why, as far as it is known.
        hint: what to do next, best a command that can be pasted.

    Never carries a secret: callers pass masked values only.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, cause: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.hint = hint

    @property
    def shown_cause(self) -> str:
        """The cause, or what this kind of failure always means, where nothing more is known."""
        if self.cause:
            return self.cause
        meaning = (type(self).__doc__ or "").strip().splitlines()[0].rstrip(".")
        return meaning[:1].lower() + meaning[1:]

    @property
    def shown_hint(self) -> str:
        """The hint, or where this kind of failure is described."""
        return self.hint or f"docs/exit-codes.md, exit code {self.exit_code}"


class ConfigurationError(OpsError):
    """A setting, the compose file or a combination of arguments is wrong; nothing was touched."""

    exit_code = 2


class Degraded(OpsError):
    """The work is done, but something beside it failed (a notifier, an off-site copy, a drill, stdout)."""

    exit_code = 3


class CriticalCheckFailed(OpsError):
    """`inv check` found at least one critical problem."""

    exit_code = 4


class EngineUnreachable(OpsError):
    """The engine recorded for this stack does not answer; no other engine is tried."""

    exit_code = 10


class LockHeld(OpsError):
    """Another change holds the stack's lock."""

    exit_code = 11


class ServiceUnhealthy(OpsError):
    """A service is unhealthy, keeps restarting, exited, or did not get ready before its deadline."""

    exit_code = 12


class UnknownService(OpsError):
    """The stack has no service of that name, or it is not running."""

    exit_code = 13


class Refused(OpsError):
    """A safety check said no, or a question was not answered with yes."""

    exit_code = 14


class BuildFailed(OpsError):
    """An image could not be built or pulled."""

    exit_code = 15


class PortTaken(OpsError):
    """A port that the stack publishes is in use by something else."""

    exit_code = 16


class DatabaseRefused(OpsError):
    """The database refused us: password, rights, or it does not exist."""

    exit_code = 17


class DumpFailed(OpsError):
    """The dump did not finish whole; there is no backup of this run."""

    exit_code = 20


class ArchiveUnwritable(OpsError):
    """The backup folder cannot take the archive (full, read-only, not ours)."""

    exit_code = 21


class OffsiteFailed(OpsError):
    """The off-site copy could not be made or verified; the local backup is good."""

    exit_code = 22


class BackupNotFound(OpsError):
    """No backup matches."""

    exit_code = 30


class ManifestInvalid(OpsError):
    """A manifest is missing, unreadable or of an unknown version."""

    exit_code = 31


class ArchiveCorrupt(OpsError):
    """An archive does not decode, or differs from its manifest."""

    exit_code = 32


class BackupTooOld(OpsError):
    """The newest good backup is older than `--max-age`."""

    exit_code = 33


class RestoreRefused(OpsError):
    """Preflight refused the restore; the live database was not touched."""

    exit_code = 40


class LoadFailed(OpsError):
    """The archive could not be loaded into the scratch database; the live database was not touched."""

    exit_code = 41


class RevisionConflict(OpsError):
    """The schema history and the database do not agree, or the history has several heads."""

    exit_code = 50


class Irreversible(OpsError):
    """There is no way back that loses nothing, or nothing to go back to."""

    exit_code = 51


class UpgradeFailed(OpsError):
    """A revision failed; those before it stay applied."""

    exit_code = 52


class PruneRefused(OpsError):
    """Pruning would empty the catalog or drop what must be kept."""

    exit_code = 60


class BadSourceData(OpsError):
    """The transfer's source holds values that the target cannot take; nothing was written."""

    exit_code = 70


class DataDiffers(OpsError):
    """Counts or checksums differ between the two sides."""

    exit_code = 71


class DeadlinePassed(OpsError):
    """A deadline without an exit code of its own passed."""

    exit_code = 124
