"""Is a SQLite database migrated in a copy, checked, and put back without ever risking the live file?"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from ops.actions.migrate import migrate, plan_migration
from ops.actions.migrate_run import Limits, MigrateTools
from ops.adapters.alembic_migrator import AlembicMigrator
from ops.adapters.file_lock import StackLock
from ops.adapters.journal_file import JournalFile
from ops.adapters.sqlite.database import SqliteDatabase
from ops.adapters.system_clock import SystemClock
from ops.errors import Refused, UpgradeFailed
from ops.model.endpoint import SqliteEndpoint
from tests.alembic_project import AlembicProject
from tests.alembic_zygote import run_in_zygote
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]


def tools_for(folder: Path, live: Path) -> MigrateTools:
    endpoint, clock = SqliteEndpoint(live), SystemClock()
    state = live.parent / "state"
    state.mkdir(exist_ok=True)
    return MigrateTools(
        database=SqliteDatabase(endpoint, clock=clock, swap_wait_s=0.5),
        migrator=AlembicMigrator(run_in_zygote(folder), endpoint),
        lock=StackLock(state, "tester@here", clock),
        journal=JournalFile(state / "changes.jsonl"),
        clock=clock,
        report=RecordingReporter(),
        by="tester@here 1",
        work=state,
        jitter=lambda: 0.5,
    )


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    made = AlembicProject(folder)
    made.three_tables()
    return made


@pytest.fixture
def live(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "live 100%.db"


def ask(path, sql):
    with contextlib.closing(sqlite3.connect(path)) as session, session:
        return session.execute(sql).fetchall()


def beside(live):
    return sorted(path.name for path in live.parent.iterdir() if path.name.endswith(".db") or "__" in path.name)


def test_a_file_that_does_not_exist_yet_is_made_by_the_migrate_and_not_by_its_plan(project, live):
    tools = tools_for(project.folder, live)

    plan = plan_migration(tools)
    existed = live.exists()
    report = migrate(plan, tools)

    assert not existed
    assert (plan.database, plan.recovery) == ("a new SQLite file", "copy")
    assert report.database == live.name
    assert report.to_revisions == ("c",)
    assert ask(live, "SELECT version_num FROM alembic_version") == [("c",)]


def test_the_old_file_is_kept_and_an_open_application_sees_the_new_one(project, live):
    tools = tools_for(project.folder, live)
    migrate(plan_migration(tools, target="b"), tools)
    ask(live, "INSERT INTO t_a VALUES (7)")

    with contextlib.closing(sqlite3.connect(live)) as application:
        report = migrate(plan_migration(tools), tools)
        seen = application.execute("SELECT (SELECT id FROM t_a), (SELECT version_num FROM alembic_version)").fetchall()

    kept = live.with_name(report.recovery.name)
    assert seen == [(7, "c")]
    assert ask(kept, "SELECT version_num FROM alembic_version") == [("b",)]
    assert [copy.name for copy in tools.database.copies() if copy.role == "scratch"] == []


def test_a_revision_that_fails_half_way_never_touches_the_live_file(project, live):
    project.revision("d", "c", up="op.create_table('half', sa.Column('id', sa.Integer))\nop.execute('nonsense')")
    tools = tools_for(project.folder, live)
    migrate(plan_migration(tools, target="b"), tools)
    before = live.read_bytes()
    around = beside(live)

    with pytest.raises(UpgradeFailed) as caught:
        migrate(plan_migration(tools), tools)

    assert caught.value.message.startswith("revision d failed (alembic/versions/d.py:")
    assert caught.value.message.endswith("a copy failed, the live database was not touched")
    assert caught.value.hint == "inv migrate, once it is mended"
    assert live.read_bytes() == before
    assert beside(live) == around
    assert tools.journal.changes()[-1].to_revisions == ("b",)


def test_rows_that_would_point_nowhere_are_found_before_the_copy_is_put_back(project, live):
    project.revision(
        "d", "c",
        up="op.create_table('child', sa.Column('a_id', sa.Integer, sa.ForeignKey('t_a.id')))\n"
        "op.execute('INSERT INTO child VALUES (99)')",
    )  # fmt: skip
    tools = tools_for(project.folder, live)
    migrate(plan_migration(tools, target="c"), tools)

    with pytest.raises(UpgradeFailed, match="does not hold together; the live file was not touched") as caught:
        migrate(plan_migration(tools), tools)

    assert "child" in str(caught.value.cause)
    assert ask(live, "SELECT version_num FROM alembic_version") == [("c",)]


def test_rows_that_pointed_nowhere_before_are_told_as_the_files_own(project, live):
    tools = tools_for(project.folder, live)
    migrate(plan_migration(tools, target="b"), tools)
    with contextlib.closing(sqlite3.connect(live)) as session, session:
        session.execute("CREATE TABLE child (a_id INTEGER REFERENCES t_a (id))")
        session.execute("INSERT INTO child VALUES (99)")

    with pytest.raises(UpgradeFailed, match="does not hold together; the live file was not touched") as caught:
        migrate(plan_migration(tools), tools)

    assert "(so in the live file too)" in str(caught.value.cause)
    assert "mend its rows" in str(caught.value.hint)


def test_what_is_written_meanwhile_is_never_lost(project, live):
    tools = tools_for(project.folder, live)
    migrate(plan_migration(tools, target="b"), tools)
    plan = plan_migration(tools)

    class WritesMeanwhile(AlembicMigrator):
        def upgrade_each(self, *arguments, **named):
            super().upgrade_each(*arguments, **named)
            ask(live, "INSERT INTO t_a VALUES (42)")

    busy = WritesMeanwhile(run_in_zygote(project.folder), SqliteEndpoint(live))
    with pytest.raises(Refused, match="was written to while its copy was migrated"):
        migrate(plan, replace(tools, migrator=busy))

    assert ask(live, "SELECT id, (SELECT version_num FROM alembic_version) FROM t_a") == [(42, "b")]


def test_a_live_file_that_stays_locked_fails_the_migrate_and_stays_as_it_is(project, live):
    tools = tools_for(project.folder, live)
    migrate(plan_migration(tools, target="b"), tools)
    plan = plan_migration(tools)

    with contextlib.closing(sqlite3.connect(live, isolation_level=None)) as application:
        application.execute("BEGIN IMMEDIATE")
        with pytest.raises(UpgradeFailed, match="could not be replaced; it is as it was"):
            migrate(plan, tools, Limits())
        application.execute("ROLLBACK")

    assert ask(live, "SELECT version_num FROM alembic_version") == [("b",)]


def test_this_repositorys_own_history_keeps_its_rows_on_sqlite(tmp_path, live):
    tools = tools_for(REPOSITORY, live)
    history = tools.migrator.history()
    migrate(plan_migration(tools, target=history.revisions[0].id), tools)
    ask(live, "INSERT INTO users (name) VALUES ('ann')")
    ask(live, "INSERT INTO threads (name) VALUES ('one'), ('two')")

    report = migrate(plan_migration(tools), tools)

    assert report.to_revisions == history.heads
    assert report.problems == ()
    assert ask(live, "SELECT name FROM threads ORDER BY id") == [("one",), ("two",)]
