"""What does a transfer work with?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops.actions.restore_tools import KEEP_DAYS
from ops.ports import Bridge, Clock, Database, Journal, Lock, Migrator, Reporter


def _pass_by(_step: str) -> None:
    """The checkpoint of every run but a test's."""


@dataclass(frozen=True, slots=True)
class TransferTools:
    """What a transfer works with.

    Args:
        database: the live PostgreSQL database and its server.
        bridge: reads the file, fills the server.
        migrator: of the live database; `database=` names one beside it.
        migrator_of: of a SQLite file, without the history's own check for orphans.
        file_database: a SQLite file as a database, for the way back into one that is there.
        holders: the programs that have a file open.
        lock: the stack's, on this machine.
        journal: the stack's.
        clock: names the change and times its steps.
        report: progress, warnings, `transfer.finished`.
        lists: folder for the lists of rows that rules set aside.
        by: who we are, `user@host pid`.
        stack: the stack's name.
        live: the live database's name.
        checkpoint: hears the name of each finished step, so that a test can stop there.
        keep_days: how long the old database is kept.
    """

    database: Database
    bridge: Bridge
    migrator: Migrator
    migrator_of: Callable[[Path], Migrator]
    file_database: Callable[[Path], Database]
    holders: Callable[[Path], tuple[str, ...]]
    lock: Lock
    journal: Journal
    clock: Clock
    report: Reporter
    lists: Path
    by: str
    stack: str
    live: str
    checkpoint: Callable[[str], None] = _pass_by
    keep_days: int = KEEP_DAYS
