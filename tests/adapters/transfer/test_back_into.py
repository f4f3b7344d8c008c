"""Is a SQLite file that is there, and in use, replaced as one step, and can it be had back?"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from ops.actions.restore_tools import RestoreTools
from ops.actions.rollback import plan_rollback, rollback
from ops.actions.rollback_run import RollbackTools
from ops.actions.transfer_back import plan_back, transfer_back
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.archive_probe import NamedFiles
from ops.adapters.sqlite.fingerprint import table_summaries
from ops.errors import BadSourceData, DatabaseRefused, LockHeld, RestoreRefused
from tests.adapters.transfer.running import moved
from tests.conftest import connect

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
REPOSITORY = Path(__file__).parents[3]


def summaries(path):
    session = sqlite3.connect(path)
    try:
        return table_summaries(session)
    finally:
        session.close()


@pytest.fixture
def live(tmp_path, filled):
    """A file of other rows that an application runs on."""
    path = shutil.copyfile(filled, tmp_path / "live.db")
    with closing(sqlite3.connect(path)) as session, session:
        session.execute("UPDATE team SET name = 'of the file'")
    session.close()
    return path


def names(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))


def test_the_plan_says_what_is_there_and_changes_nothing(file, live, tools, tmp_path):
    moved(tools, file)
    before, listed = live.read_bytes(), names(tmp_path)
    with live.open() as opened:
        child = subprocess.Popen(["sleep", "60"], stdin=opened)
    try:
        plan = plan_back(live, tools)
    finally:
        child.kill()
        child.wait()

    assert (plan.there.rows, plan.there.revisions) == (14, ("two",))
    assert f"sleep ({child.pid})" in plan.there.open_by
    assert plan.there.kept_until - tools.clock.now() > timedelta(days=6)
    assert plan.forbidden is None
    assert (live.read_bytes(), names(tmp_path)) == (before, listed)


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_an_application_that_runs_on_the_file_sees_the_old_rows_then_the_new_ones(mode, file, live, tools, tmp_path):
    moved(tools, file)
    before = summaries(live)
    session = sqlite3.connect(live, check_same_thread=False, isolation_level=None)
    session.execute(f"PRAGMA journal_mode = {mode}")
    seen: list[str] = []
    is_over = threading.Event()

    def read():
        while not is_over.is_set():
            seen.append(session.execute("SELECT name FROM team WHERE id = 1").fetchone()[0])
            is_over.wait(0.002)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        report = transfer_back(plan_back(live, tools), tools)
        is_over.wait(0.05)
    finally:
        is_over.set()
        thread.join()
        seen.append(session.execute("SELECT name FROM team WHERE id = 1").fetchone()[0])
        mode_after = session.execute("PRAGMA journal_mode").fetchone()[0]
        session.close()

    assert list(dict.fromkeys(seen)) == ["of the file", "red"]
    assert mode_after == mode.lower()
    assert summaries(tmp_path / report.kept) == before
    assert {table.name: table.row_count for table in summaries(live)}["every"] == 3


def test_a_rollback_brings_the_file_back_without_a_journal(file, live, tools, tmp_path):
    moved(tools, file)
    before = summaries(live)
    report = transfer_back(plan_back(live, tools), tools)
    after = summaries(live)
    database = tools.file_database(live)
    archives = ArchiveFolder(tmp_path / "backups", "opstest")
    given = RollbackTools(
        restore=RestoreTools(
            database=database, archives=archives, catalog_of=lambda _: archives, files=NamedFiles(),
            migrator=tools.migrator_of(live), lock=tools.lock, journal=tools.journal, clock=tools.clock,
            report=tools.report, by=tools.by, stack=tools.stack, live=live.name,
        ),
        keep_backup=lambda _note, _expires: "",
    )  # fmt: skip

    plan = plan_rollback(given)
    rollback(plan, given)

    assert (plan.undone_kind, plan.recovery.name) == ("transfer", report.kept)
    assert summaries(live) == before != after


@pytest.mark.parametrize("step", ["create", "load", "first pages", "last pages", "finish"])
def test_a_kill_leaves_the_old_rows_or_the_new_ones_and_the_next_run_cleans_up(  # noqa: PLR0917 - fixtures
    step, file, live, tools, project, fresh_database, tmp_path
):
    moved(tools, file)
    before = summaries(live)
    words = [step, live, project.folder, tmp_path / "state", fresh_database.host, fresh_database.port,
             fresh_database.user, fresh_database.database]  # fmt: skip

    child = subprocess.run(
        [sys.executable, "-m", "tests.adapters.transfer.killed_back", *map(str, words)],
        input=fresh_database.password.reveal() + "\n", text=True, cwd=REPOSITORY, capture_output=True, check=False,
    )  # fmt: skip
    assert child.returncode == -9, child.stderr
    killed = summaries(live)
    transfer_back(plan_back(live, tools), tools)

    assert (killed == before) is (step not in {"last pages", "finish"})
    with closing(sqlite3.connect(live)) as session:
        assert session.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copies = tools.file_database(live).copies()
    assert {copy.role for copy in copies} == {"recovery-point"}
    assert before in [summaries(tmp_path / copy.name) for copy in copies]
    assert [name for name in names(tmp_path) if "scratch" in name] == []


def test_a_writer_that_does_not_let_go_stops_it_and_the_file_is_as_it_was(file, live, tools, tmp_path):
    moved(tools, file)
    before, listed = summaries(live), names(tmp_path)
    writer = sqlite3.connect(live, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    with pytest.raises(RestoreRefused, match="it is as it was"):
        transfer_back(plan_back(live, tools), tools)
    writer.close()

    assert (summaries(live), names(tmp_path)) == (before, listed)


def test_what_cannot_be_read_or_is_being_changed_is_refused(file, live, tools, tmp_path):
    moved(tools, file)
    text = tmp_path / "letter.txt"
    text.write_text("dear file, " * 200)
    plan = plan_back(live, tools)

    with pytest.raises(DatabaseRefused):
        plan_back(text, tools)
    with tools.file_database(live).exclusive("restore"), pytest.raises(LockHeld):
        transfer_back(plan, tools)

    assert text.read_text() == "dear file, " * 200


def test_a_value_that_sqlite_has_no_form_for_leaves_the_file_and_no_copy(file, live, tools, fresh_database, tmp_path):
    moved(tools, file)
    before, listed = summaries(live), names(tmp_path)
    with connect(fresh_database) as session:
        session.execute("UPDATE every SET ratio = 'NaN' WHERE id = 1")

    with pytest.raises(BadSourceData):
        transfer_back(plan_back(live, tools), tools)

    assert (summaries(live), names(tmp_path)) == (before, listed)


def test_an_expired_recovery_point_goes_with_the_next_transfer_and_others_stay(file, live, tools, tmp_path):
    moved(tools, file)
    first = transfer_back(plan_back(live, tools), tools)
    described = tmp_path / f"{first.kept}.ops.json"
    said = json.loads(described.read_text())
    described.write_text(json.dumps({**said, "expires_at": "2020-01-01T00:00:00+00:00"}))

    second = transfer_back(plan_back(live, tools), tools)

    assert not (tmp_path / first.kept).exists()
    assert (tmp_path / second.kept).exists()
    assert os.access(live, os.W_OK)
