"""Does a transfer hold when it is killed, when the source is in use, when it is large, and when it is undone?"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.transfer import sample
from ops.actions.restore_tools import RestoreTools
from ops.actions.rollback import plan_rollback, rollback
from ops.actions.rollback_run import RollbackTools
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.archive_probe import NamedFiles
from ops.errors import BadSourceData
from ops.model.transfer.rules import parse_rules
from tests.adapters.transfer.running import moved, tools_for
from tests.conftest import connect

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
REPOSITORY = Path(__file__).parents[3]


def count(endpoint, table):
    with connect(endpoint) as session:
        return session.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


@pytest.mark.parametrize(("step", "is_live_changed"), [("load", False), ("swap", True)])
def test_a_kill_leaves_the_old_database_or_the_new_one_and_the_next_run_cleans_up(  # noqa: PLR0917 - fixtures
    step, is_live_changed, file, tools, project, fresh_database, tmp_path
):
    with connect(fresh_database) as session:
        session.execute("CREATE TABLE old (a int)")
    words = [step, file, project.folder, tmp_path / "state", fresh_database.host, fresh_database.port,
             fresh_database.user, fresh_database.database]  # fmt: skip

    child = subprocess.run(
        [sys.executable, "-m", "tests.adapters.transfer.killed_child", *map(str, words)],
        input=fresh_database.password.reveal() + "\n", text=True, cwd=REPOSITORY, capture_output=True, check=False,
    )  # fmt: skip
    assert child.returncode == -9, child.stderr
    with connect(fresh_database) as session:
        names = {name for (name,) in session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert ("every" in names, "old" in names) == (is_live_changed, not is_live_changed)

    _, report = moved(tools, file)

    assert report.rows == 14
    assert report.cleaned != ()
    assert [one.role for one in tools.database.copies()] == ["recovery-point"] * (1 + is_live_changed)
    assert list((tmp_path / "state" / "transfer").iterdir()) == []


def test_rollback_brings_the_database_from_before_back(file, tools, fresh_database, tmp_path):
    with connect(fresh_database) as session:
        session.execute("CREATE TABLE old (a int)")
        session.execute("INSERT INTO old VALUES (1)")
    moved(tools, file)
    archives = ArchiveFolder(tmp_path / "backups", "opstest")
    given = RollbackTools(
        restore=RestoreTools(
            database=tools.database, archives=archives, catalog_of=lambda _: archives, files=NamedFiles(),
            migrator=tools.migrator, lock=tools.lock, journal=tools.journal, clock=tools.clock, report=tools.report,
            by=tools.by, stack=tools.stack, live=tools.live,
        ),
        keep_backup=lambda _note, _expires: "",
    )  # fmt: skip

    rollback(plan_rollback(given), given)

    assert count(fresh_database, "old") == 1


def test_a_source_that_is_written_meanwhile_gives_one_moment_of_it(file, tools, fresh_database):
    writer = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("DELETE FROM bare")
    is_over = threading.Event()

    def write():
        while not is_over.is_set():
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("INSERT INTO bare VALUES ('half', 1)")
            writer.execute("INSERT INTO bare VALUES ('half', 2)")
            writer.execute("COMMIT")
            is_over.wait(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        _, report = moved(tools, file)
    finally:
        is_over.set()
        thread.join()
        writer.close()

    found = {table.name: table.rows for table in report.tables}
    assert found["bare"] == count(fresh_database, "bare")
    assert found["bare"] % 2 == 0


def test_two_hundred_thousand_rows_arrive_with_the_schema_that_alembic_makes(tmp_path, fresh_database):
    sample.write_project(tmp_path / "project")
    tools = tools_for(tmp_path / "project", fresh_database, tmp_path / "state")
    file = tmp_path / "source.db"
    tools.migrator_of(file).upgrade("0001", lock_timeout_s=5, statement_timeout_s=60)
    rows = sample.fill(file, 0.18)

    _, report = moved(tools, file)

    assert report.rows == rows > 190_000
    assert sum(count(fresh_database, table) for table in sample.ROWS) == rows
    assert report.problems == ()
    with closing(sqlite3.connect(file)) as session, session:
        texts = session.execute("SELECT id, title, body FROM threads ORDER BY id").fetchall()
    session.close()
    with connect(fresh_database) as session:
        assert session.execute("SELECT id, title, body FROM threads ORDER BY id").fetchall() == texts


def test_the_application_s_own_files_move_there_and_back(tmp_path, fresh_database):
    tools = tools_for(REPOSITORY, fresh_database, tmp_path / "state")
    file = tmp_path / "source.db"
    tools.migrator_of(file).upgrade("0001", lock_timeout_s=5, statement_timeout_s=60)
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("DROP TABLE alembic_version")
        session.execute("INSERT INTO threads (id, name) VALUES (3, 'Saga')")
        session.execute(
            "INSERT INTO sessions (id, thread_id, started_at, status) VALUES (9, 99, '2024-01-01 10:00:00', 'done')"
        )
    session.close()

    with pytest.raises(BadSourceData, match="1 values"):
        moved(tools, file)
    _, report = moved(tools, file, parse_rules({"sessions.thread_id": {"orphans": "null"}}))

    assert report.revisions == tools.migrator.history().heads
    assert report.problems == ()
    assert tools.migrator.drift() == ()
    assert count(fresh_database, "users") == 1
