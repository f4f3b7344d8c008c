"""Does a migrate hold against a real PostgreSQL: five at once, a blocked table, a failing revision in the middle?"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from ops.actions.history import show_history
from ops.actions.migrate import migrate, plan_migration
from ops.actions.migrate_run import Limits, MigrateTools
from ops.adapters.alembic_migrator import AlembicMigrator
from ops.adapters.file_lock import StackLock
from ops.adapters.journal_file import JournalFile
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.system_clock import SystemClock
from ops.errors import LockHeld, RevisionConflict, UpgradeFailed
from ops.model.change import RecoveryPoint
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from tests.alembic_project import PER_MIGRATION, AlembicProject
from tests.alembic_zygote import run_in_zygote
from tests.conftest import connect
from tests.fakes.reporter import RecordingReporter

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
REPOSITORY = Path(__file__).parents[2]
COUNTED = 'op.execute("CREATE TABLE IF NOT EXISTS log (name text)")\nop.execute("INSERT INTO log VALUES (\'{}\')")'


def tools_for(folder: Path, endpoint: PostgresEndpoint, *, lock_folder: Path | None = None, backups=None, run=None):
    """Real tools; only the backup is a note of what was asked for."""
    clock = SystemClock()
    state = lock_folder or folder / "state"
    state.mkdir(exist_ok=True)

    def keep_backup(note, expires_at):
        backups.append((note, expires_at))
        return "20260131T020000Z"

    return MigrateTools(
        database=PostgresDatabase(endpoint, None, stack="opstest", clock=clock),
        migrator=AlembicMigrator((run or run_in_zygote)(folder), endpoint),
        lock=StackLock(state, "tester@here", clock),
        journal=JournalFile(state / "changes.jsonl"),
        clock=clock,
        report=RecordingReporter(),
        by="tester@here 1",
        work=state,
        jitter=lambda: 0.5,
        keep_backup=None if backups is None else keep_backup,
    )


def version(endpoint):
    with connect(endpoint) as session:
        return [row[0] for row in session.execute("SELECT version_num FROM alembic_version").fetchall()]


def test_a_fresh_database_is_brought_to_head_and_the_second_time_nothing_happens(tmp_path, fresh_database):
    AlembicProject(tmp_path).three_tables()
    tools = tools_for(tmp_path, fresh_database, backups=[])

    plan = plan_migration(tools)
    report = migrate(plan, tools)
    again = migrate(plan_migration(tools), tools)

    assert [step.revision for step in plan.steps] == ["a", "b", "c"]
    assert (plan.recovery, plan.recovery_because) == ("none", "the database is empty")
    assert [step.revision for step in report.applied] == ["a", "b", "c"]
    assert (report.from_revisions, report.to_revisions, report.problems) == ((), ("c",), ())
    assert (again.applied, again.change_id) == ((), "")
    assert [change.state for change in tools.journal.changes()] == ["started", "finished"]
    assert version(fresh_database) == ["c"]


def test_a_destructive_step_is_preceded_by_a_pinned_backup_and_the_journal_names_it(tmp_path, fresh_database):
    project = AlembicProject(tmp_path, env=PER_MIGRATION)
    project.three_tables()
    project.revision("d", "c", up="op.drop_table('t_a')", back="op.create_table('t_a', sa.Column('id', sa.Integer))")
    backups = []
    tools = tools_for(tmp_path, fresh_database, backups=backups)
    migrate(plan_migration(tools, target="c"), tools)

    plan = plan_migration(tools)
    report = migrate(plan, tools)

    assert plan.is_destructive
    assert plan.steps[0].tables == ("t_a",)
    assert (plan.recovery, plan.rollback) == ("backup", "restore")
    assert plan.recovery_size_bytes > 0
    ((note, expires_at),) = backups
    assert note == "before migrate from c to d"
    assert 29 < (expires_at - tools.clock.now()).days + 1 <= 30
    assert report.recovery == RecoveryPoint("backup", "20260131T020000Z")
    assert tools.journal.changes()[-1].recovery == report.recovery


def test_a_failing_revision_in_the_middle_is_reported_as_the_database_has_it(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.three_tables()
    project.revision("d", "c", up="op.execute('UPDATE t_a SET nonsense = 1')", back="op.execute('SELECT 1')")
    project.revision("e", "d", up="op.execute('SELECT 1')")
    tools = tools_for(tmp_path, fresh_database, backups=[])
    migrate(plan_migration(tools, target="a"), tools)

    with pytest.raises(UpgradeFailed) as caught:
        migrate(plan_migration(tools), tools)

    assert caught.value.message == (
        "revision d failed (alembic/versions/d.py:11); applied before it: b, c; the database is at c; "
        "recovery point: backup 20260131T020000Z"
    )
    assert 'column "nonsense" of relation "t_a" does not exist' in str(caught.value.cause)
    assert caught.value.hint == "inv rollback, to go back to before this migrate"
    assert version(fresh_database) == ["c"]
    last = tools.journal.changes()[-1]
    assert (last.state, last.to_revisions, last.details["applied"]) == ("failed", ("c",), ["b", "c"])


WORKER = """
import json, sys
from pathlib import Path
from ops.errors import OpsError
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from ops.actions.migrate import migrate, plan_migration
from ops.actions.migrate_run import Limits
from ops.adapters.alembic_runner import run_in_tree
from tests.actions.test_migrate_postgres import tools_for
folder, lock_folder, host, port, user, password, database = json.loads(sys.stdin.readline())
endpoint = PostgresEndpoint(host, port, user, Secret(password), database)
tools = tools_for(Path(folder), endpoint, lock_folder=Path(lock_folder), run=run_in_tree)
plan = plan_migration(tools)
print("planned", flush=True)
sys.stdin.readline()
report = migrate(plan, tools, Limits(lock_wait_s=120))
print(json.dumps([step.revision for step in report.applied]))
"""


def test_five_at_once_on_three_hosts_apply_each_revision_once_and_all_succeed(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    for name, down in (("a", None), ("b", "a"), ("c", "b")):
        project.revision(name, down, up=COUNTED.format(name))
    end, workers = fresh_database, []
    for number in range(5):
        lock_folder = tmp_path / f"state of host {number % 3}"
        request = [str(tmp_path), str(lock_folder), end.host, end.port, end.user, end.password.reveal(), end.database]
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        worker.stdin.write(json.dumps(request) + "\n")
        worker.stdin.flush()
        workers.append(worker)
    planned = [worker.stdout.readline() for worker in workers]

    outcomes = []
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        outcomes.append((worker.returncode, out.strip(), err[-500:]))

    assert planned == ["planned\n"] * 5
    assert sorted(outcomes) == [(0, '["a", "b", "c"]', ""), *[(0, "[]", "")] * 4]
    with connect(fresh_database) as session:
        assert session.execute("SELECT array_agg(name) FROM log").fetchone() == (["a", "b", "c"],)
    assert version(fresh_database) == ["c"]


def test_a_holder_stuck_longer_than_the_wait_is_named(tmp_path, fresh_database):
    AlembicProject(tmp_path).three_tables()
    tools = tools_for(tmp_path, fresh_database)
    plan = plan_migration(tools)
    elsewhere = tools_for(tmp_path, fresh_database, lock_folder=tmp_path / "other host")

    with elsewhere.database.exclusive("restore"), pytest.raises(LockHeld) as caught:
        migrate(plan, tools, Limits(lock_wait_s=0.1))

    assert "restore" in f"{caught.value.message} {caught.value.cause}"
    assert tools.journal.changes() == ()


def test_an_idle_transaction_makes_a_migrate_retry_then_fail_cleanly_and_hardly_blocks_others(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.three_tables()
    project.revision(
        "d", "c", up="op.add_column('t_a', sa.Column('note', sa.Text))", back="op.drop_column('t_a', 'note')"
    )
    tools = tools_for(tmp_path, fresh_database, backups=[])
    migrate(plan_migration(tools, target="c"), tools)
    plan = plan_migration(tools)
    blocked, stop = [], threading.Event()

    def other_queries():
        with connect(fresh_database) as session:
            session.execute("SET lock_timeout = '20s'")  # an ALTER without a timeout of its own would block for ever
            try:
                while not stop.is_set():
                    session.execute("SELECT count(*) FROM t_a")
            except psycopg.errors.LockNotAvailable as exc:
                blocked.append(exc)

    with connect(fresh_database, autocommit=False) as idle:
        idle.execute("SELECT count(*) FROM t_a")
        reader = threading.Thread(target=other_queries)
        reader.start()
        try:
            with pytest.raises(UpgradeFailed) as caught:
                migrate(plan, tools, Limits(lock_timeout_s=0.5, attempts=2, back_off_s=0.01))
        finally:
            stop.set()
            reader.join()
        pid = idle.info.backend_pid

    assert "revision d waited too long for a lock after 2 attempts; applied before it: none" in caught.value.message
    assert f"pid {pid} " in str(caught.value.cause)
    assert len([text for text in tools.report.warnings if "attempt 2" in text]) == 1
    assert version(fresh_database) == ["c"]
    assert blocked == []
    assert plan.recovery == "none"


def test_a_lock_that_is_freed_in_time_lets_the_migrate_through(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.three_tables()
    project.revision(
        "d", "c", up="op.add_column('t_a', sa.Column('note', sa.Text))", back="op.drop_column('t_a', 'note')"
    )
    tools = tools_for(tmp_path, fresh_database)
    migrate(plan_migration(tools, target="c"), tools)
    idle = connect(fresh_database, autocommit=False)
    idle.execute("SELECT count(*) FROM t_a")

    class EndsTheTransaction(SystemClock):
        def sleep(self, seconds):
            idle.rollback()

    tools = replace(tools, clock=EndsTheTransaction())
    with idle:
        report = migrate(plan_migration(tools), tools, Limits(lock_timeout_s=0.2))

    assert [step.revision for step in report.applied] == ["d"]
    assert version(fresh_database) == ["d"]


def test_two_heads_a_foreign_revision_and_tables_without_one_are_each_refused_and_nothing_is_stamped(
    tmp_path, fresh_database
):
    project = AlembicProject(tmp_path)
    project.three_tables()
    tools = tools_for(tmp_path, fresh_database)
    with connect(fresh_database) as session:
        session.execute("CREATE TABLE t_a (id int)")
        with pytest.raises(RevisionConflict, match=r"1 tables but no revision: public\.t_a"):
            plan_migration(tools)
        session.execute("DROP TABLE t_a")
        session.execute("CREATE TABLE alembic_version (version_num text)")
        session.execute("INSERT INTO alembic_version VALUES ('zzz')")
        with pytest.raises(RevisionConflict, match="at revision zzz, which the scripts do not have"):
            plan_migration(tools)
        seen = show_history(database=tools.database, migrator=tools.migrator)
        session.execute("DELETE FROM alembic_version")
        project.revision("c2", "b")
        with pytest.raises(RevisionConflict, match="2 heads") as caught:
            plan_migration(tools)

    assert seen.unknown == ("zzz",)
    assert str(caught.value.hint).startswith("alembic merge -m 'merge heads' ")
    assert version(fresh_database) == []


def test_a_version_table_of_another_name_and_schema_is_found_by_its_form(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    env = tmp_path / "alembic" / "env.py"
    own = "connection=connection, version_table='history', version_table_schema='meta',"
    env.write_text(env.read_text().replace("connection=connection,", own))
    project.three_tables()
    tools = tools_for(tmp_path, fresh_database)
    with connect(fresh_database) as session:
        session.execute("CREATE SCHEMA meta")
    migrate(plan_migration(tools, target="b"), tools)

    report = migrate(plan_migration(tools), tools)

    assert (report.from_revisions, report.to_revisions) == (("b",), ("c",))
    assert tools.database.revisions() == ("c",)
    assert tools.database.version_tables() == ("meta.history",)
    tools.migrator.downgrade("base", lock_timeout_s=5, statement_timeout_s=60)
    assert [step.revision for step in plan_migration(tools).steps] == ["a", "b", "c"]


def before_an_index(folder, endpoint, indexed):
    """A database with a row in `t_a`, before the revision that indexes it concurrently."""
    project = AlembicProject(folder)
    project.three_tables()
    project.revision(
        "d", "c",
        up="with op.get_context().autocommit_block():\n"
        f"    op.create_index('ix', 't_a', [{indexed}], postgresql_concurrently=True)",
    )  # fmt: skip
    tools = tools_for(folder, endpoint)
    migrate(plan_migration(tools, target="c"), tools)
    with connect(endpoint) as session:
        session.execute("INSERT INTO t_a VALUES (1)")
    return tools


def test_an_index_that_failed_to_build_concurrently_is_named_as_left_behind(tmp_path, fresh_database):
    tools = before_an_index(tmp_path, fresh_database, "sa.text('(1 / (id - id))')")

    with pytest.raises(UpgradeFailed) as caught:
        migrate(plan_migration(tools), tools)

    assert "index ix of t_a is invalid" in str(caught.value.cause)


@pytest.fixture
def deadlocked_once(fresh_database):
    """A session that takes part in a deadlock with whoever builds an index of t_a, which the builder loses."""
    with connect(fresh_database) as session:
        session.execute(f"ALTER DATABASE {fresh_database.database} SET deadlock_timeout = '4s'")

    def take_part() -> None:
        with connect(fresh_database, autocommit=False) as session, connect(fresh_database) as looking:
            session.execute("SET deadlock_timeout = '1h'")
            session.execute("INSERT INTO t_a VALUES (2)")
            in_place.set()
            waits = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for writers%'"
            while not looking.execute(waits).fetchone()[0]:
                threading.Event().wait(0.02)
            session.execute("LOCK TABLE t_a IN SHARE UPDATE EXCLUSIVE MODE")
            session.rollback()

    in_place = threading.Event()
    thread = threading.Thread(target=take_part, daemon=True)

    def begin() -> None:
        thread.start()
        in_place.wait()

    yield begin
    thread.join(60)


def test_an_index_that_a_failed_attempt_left_invalid_is_dropped_by_the_next_one_and_no_other(
    tmp_path, fresh_database, deadlocked_once
):
    tools = before_an_index(tmp_path, fresh_database, "'id'")
    with connect(fresh_database) as session, pytest.raises(psycopg.errors.DivisionByZero):
        session.execute("CREATE INDEX CONCURRENTLY theirs ON t_a ((1 / (id - id)))")
    deadlocked_once()

    report = migrate(plan_migration(tools), tools, Limits(back_off_s=0.1))

    assert report.to_revisions == ("d",)
    assert report.problems == ()
    assert any("attempt 2" in text for text in tools.report.warnings)
    assert "dropped the index public.ix, which the failed attempt left invalid" in tools.report.notes
    assert tools.database.invalid_indexes() == ("public.theirs",)


def test_a_constraint_left_unvalidated_makes_the_migrate_degraded(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.three_tables()
    project.revision("d", "c", up="op.execute('ALTER TABLE t_a ADD CONSTRAINT small CHECK (id < 9) NOT VALID')")
    tools = tools_for(tmp_path, fresh_database)

    report = migrate(plan_migration(tools), tools)

    assert report.problems == ("constraint small of t_a was never validated",)
    assert report.to_revisions == ("d",)


def test_this_repositorys_own_history_is_applied_without_drift(tmp_path, fresh_database):
    endpoint = replace(fresh_database, password=Secret(fresh_database.password.reveal()))
    tools = tools_for(REPOSITORY, endpoint, lock_folder=tmp_path)

    report = migrate(plan_migration(tools), tools)

    assert report.to_revisions == tools.migrator.history().heads
    assert report.problems == ()
