"""Do restore and rollback work on a SQLite file that the application has open?"""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.prune_copies import PruneCopiesTools, plan_prune_copies, prune_copies
from ops.actions.restore import RestoreRequest, plan_restore, restore
from ops.actions.restore_tables import plan_tables
from ops.actions.restore_tools import RestoreTools
from ops.actions.rollback import plan_rollback, rollback
from ops.actions.rollback_run import RollbackTools
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.archive_probe import NamedFiles
from ops.adapters.file_lock import StackLock
from ops.adapters.journal_file import JournalFile
from ops.adapters.sqlite.database import SqliteDatabase
from ops.adapters.system_clock import SystemClock
from ops.errors import ArchiveCorrupt, RestoreRefused
from ops.model.endpoint import SqliteEndpoint
from tests.fakes.reporter import RecordingReporter


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return tmp_path / "comic_pile.db"


@pytest.fixture
def application(live: Path) -> Iterator[sqlite3.Connection]:
    """The application's own connection, open all the time, in WAL mode."""
    with closing(sqlite3.connect(live, isolation_level=None)) as session:
        session.execute("PRAGMA journal_mode = WAL")
        session.execute("CREATE TABLE books (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT)")
        session.execute("INSERT INTO books (title) VALUES ('a'), ('b'), ('c')")
        yield session


@pytest.fixture
def tools(live: Path, application: sqlite3.Connection, tmp_path: Path) -> RestoreTools:
    clock = SystemClock()
    return RestoreTools(
        database=SqliteDatabase(SqliteEndpoint(live), clock=clock),
        archives=ArchiveFolder(tmp_path / "backups", "demo"),
        catalog_of=lambda stack: ArchiveFolder(tmp_path / "backups", stack), files=NamedFiles(), migrator=None,
        lock=StackLock(tmp_path / "state", "tester", clock), journal=JournalFile(tmp_path / "state" / "journal"),
        clock=clock, report=RecordingReporter(), by="tester", stack="demo", live=live.name,
    )  # fmt: skip


def titles(session: sqlite3.Connection) -> list[str]:
    return [row[0] for row in session.execute("SELECT title FROM books ORDER BY id")]


def backup(tools: RestoreTools):
    return take_backup(
        database=tools.database, archives=tools.archives, clock=tools.clock, report=tools.report, stack="demo",
        environment="development", reason="manual",
    )  # fmt: skip


def test_a_restore_reaches_the_open_application_and_can_be_rolled_back(tools, application) -> None:
    backup(tools)
    application.execute("DELETE FROM books WHERE title > 'a'")

    report = restore(plan_restore(RestoreRequest(is_latest=True), tools), tools)
    restored = titles(application)
    given = RollbackTools(tools)
    rollback(plan_rollback(given), given)

    assert restored == ["a", "b", "c"]
    assert titles(application) == ["a"]
    assert report.is_verified
    assert [copy.role for copy in tools.database.copies()] == ["recovery-point"]


def test_a_foreign_sqlite_file_is_restored_also_compressed(tools, application, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.sqlite"
    with closing(sqlite3.connect(theirs)) as session:
        session.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT)")
        session.execute("INSERT INTO books (title) VALUES ('theirs')")
        session.commit()
    with theirs.open("rb") as plain, gzip.open(tmp_path / "theirs.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)

    for name in ("theirs.sqlite", "theirs.gz"):
        application.execute("DELETE FROM books")
        restore(plan_restore(RestoreRequest(file=str(tmp_path / name)), tools), tools)

        assert titles(application) == ["theirs"]


def test_a_foreign_sqlite_file_that_is_cut_short_is_found_before_anything_changes(
    tools, application, tmp_path: Path
) -> None:
    manifest = backup(tools)
    content = tools.archives.path(manifest).read_bytes()
    cut = tmp_path / "cut.sqlite"
    cut.write_bytes(content[: len(content) // 2])

    with pytest.raises((ArchiveCorrupt, RestoreRefused)):
        restore(plan_restore(RestoreRequest(file=str(cut)), tools), tools)

    assert titles(application) == ["a", "b", "c"]


def test_single_tables_are_refused_for_sqlite_has_no_schemas(tools) -> None:
    backup(tools)

    with pytest.raises(RestoreRefused, match="has no schemas"):
        plan_tables(["books"], RestoreRequest(is_latest=True), tools)


def test_a_dump_of_postgresql_is_not_put_into_a_sqlite_file(tools, tmp_path: Path) -> None:
    path = tmp_path / "x.sql"
    path.write_text("CREATE TABLE a (x int);\n")

    with pytest.raises(RestoreRefused):
        plan_restore(RestoreRequest(file=str(path)), tools).refuse()


def test_kept_files_are_pruned_but_for_the_one_that_a_rollback_needs(tools, application, live) -> None:
    backup(tools)
    for _ in range(3):
        application.execute("INSERT INTO books (title) VALUES ('later')")
        restore(plan_restore(RestoreRequest(is_latest=True), tools), tools)
    given = PruneCopiesTools(
        database=tools.database, lock=tools.lock, journal=tools.journal, clock=tools.clock, report=tools.report,
        by=tools.by, live=tools.live,
    )  # fmt: skip

    dropped = prune_copies(plan_prune_copies(given), given)
    left = [path.name for path in live.parent.glob("*__before_*") if not path.name.endswith(".json")]
    undo = RollbackTools(tools)
    rollback(plan_rollback(undo), undo)

    assert len(dropped) == 2
    assert len(left) == 1
    assert titles(application) == ["a", "b", "c", "later"]
