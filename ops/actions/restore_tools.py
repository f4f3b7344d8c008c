"""What does a restore work with?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ops.actions.encrypted import Sealing
from ops.model.manifest import DatabaseIdentity
from ops.ports import ArchiveFiles, Archives, Clock, Database, Journal, Lock, Migrator, Reporter

KEEP_DAYS = 7
MIGRATE_LOCK_TIMEOUT_S = 30.0
MIGRATE_STATEMENT_TIMEOUT_S = 86400.0


def _pass_by(_step: str) -> None:
    """The checkpoint of every run but a test's."""


@dataclass(frozen=True, slots=True)
class RestoreTools:
    """What a restore works with.

    Args:
        database: the live one and its server.
        archives: the stack's catalog.
        catalog_of: another stack's, by its name.
        files: for whatever path a person names.
        migrator: None where the project has no schema history.
        lock: the stack's, on this machine.
        journal: the stack's.
        clock: names the change and times its steps.
        report: progress, warnings, `restore.finished`.
        by: who we are, `user@host pid`.
        stack: the stack's name.
        live: the live database's name.
        identity: whose backups `--latest` and `--at` mean; None: of any database of the live one's kind.
        checkpoint: hears the name of each finished step, so that a test can stop there.
        jobs: how many of the server's processes load at once.
        keep_days: how long the old database is kept.
        sealing: decrypts encrypted backups.
    """

    database: Database
    archives: Archives
    catalog_of: Callable[[str], Archives]
    files: ArchiveFiles
    migrator: Migrator | None
    lock: Lock
    journal: Journal
    clock: Clock
    report: Reporter
    by: str
    stack: str
    live: str
    checkpoint: Callable[[str], None] = _pass_by
    jobs: int = 2
    keep_days: int = KEEP_DAYS
    sealing: Sealing | None = None
    identity: DatabaseIdentity | None = None
