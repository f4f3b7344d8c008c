"""Does a SQLite file get the same backups, and only one change at a time?"""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ops.actions.backup import BackupTaken, backup
from ops.actions.prune import plan_prune, prune
from ops.actions.verify import verify
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.file_lock import StackLock
from ops.adapters.sqlite.database import SqliteDatabase
from ops.adapters.system_clock import SystemClock
from ops.errors import ArchiveUnwritable, DatabaseRefused, LockHeld
from ops.model.endpoint import SqliteEndpoint
from ops.model.retention_policy import Policy
from tests.fakes.reporter import RecordingReporter

STACK = "opstest"


@pytest.fixture
def live(tmp_path: Path) -> Path:
    path = tmp_path / "live.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as session:
        session.execute("PRAGMA journal_mode = WAL")
        session.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
        session.executemany("INSERT INTO users (name) VALUES (?)", [(f"user {number}",) for number in range(2000)])
    return path


def lock_of(folder: Path) -> StackLock:
    return StackLock(folder / "lock", f"tester pid {os.getpid()}", SystemClock())


def take(live: Path, archives: ArchiveFolder) -> BackupTaken:
    return backup(
        lock=lock_of(live.parent),
        database=SqliteDatabase(SqliteEndpoint(live), clock=SystemClock()),
        archives=archives,
        clock=SystemClock(),
        report=RecordingReporter(),
        stack=STACK,
        environment="development",
    )


def test_a_sqlite_backup_is_taken_verified_and_pruned(live: Path, tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path / "backups", STACK)
    first, second = take(live, archives).manifest, take(live, archives).manifest

    (result,) = verify(
        [first.id],
        archives=archives,
        database=SqliteDatabase(SqliteEndpoint(live), clock=SystemClock()),
        lock=lock_of(tmp_path),
        clock=SystemClock(),
        report=RecordingReporter(),
    )

    assert result.problem == ""
    assert (first.format, first.archive) == ("sqlite", f"{first.id}.sqlite")
    assert [(table.name, table.row_count) for table in first.tables] == [("users", 2000)]
    policy = Policy(keep_last=1)
    removed = prune(
        plan_prune(archives, policy, SystemClock()),
        lock=lock_of(tmp_path),
        archives=archives,
        policy=policy,
        clock=SystemClock(),
        report=RecordingReporter(),
    )
    assert removed == (first.id,)
    assert archives.manifests() == (second,)
    assert archives.broken() == ()


@pytest.mark.parametrize("step", ["begun", "written", "read back", "manifest written", "archive renamed"])
def test_a_killed_run_leaves_no_backup_no_lock_and_no_litter(live: Path, tmp_path: Path, step: str) -> None:
    def die(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            take(live, ArchiveFolder(tmp_path / "backups", STACK, checkpoint=die))
        finally:
            os._exit(70)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    archives = ArchiveFolder(tmp_path / "backups", STACK)
    assert archives.manifests() == ()

    made = take(live, archives).manifest

    assert archives.manifests() == (made,)
    assert archives.broken() == ()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".live.db.passing")) == []


def test_of_four_backups_at_once_each_is_whole_or_refused_at_once(live: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            code = 70
            try:
                take(live, ArchiveFolder(folder, STACK))
                code = 0
            except LockHeld as exc:
                code = exc.exit_code
            finally:
                os._exit(code)
        children.append(child)

    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

    archives = ArchiveFolder(folder, STACK)
    assert set(codes) <= {0, 11}
    assert codes.count(0) == len(archives.manifests()) >= 1
    assert archives.broken() == ()


def test_a_missing_live_file_or_an_unwritable_folder_is_told_apart(live: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ArchiveUnwritable):
        take(live, ArchiveFolder(tmp_path / "file", STACK))
    live.unlink()
    with pytest.raises(DatabaseRefused):
        take(live, ArchiveFolder(tmp_path / "backups", STACK))
