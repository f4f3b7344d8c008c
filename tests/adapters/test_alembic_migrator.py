"""Does the Alembic adapter apply foreign histories to a real PostgreSQL and name what goes wrong?"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from ops.adapters.alembic_migrator import AlembicMigrator
from ops.errors import (
    ConfigurationError,
    DatabaseRefused,
    DeadlinePassed,
    EngineUnreachable,
    Irreversible,
    RevisionConflict,
    UpgradeFailed,
)
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from tests.alembic_project import FORGETS_TO_COMMIT, GOES_ELSEWHERE, PER_MIGRATION, READS_ENVIRONMENT, AlembicProject
from tests.alembic_zygote import run_in_zygote
from tests.conftest import connect

pytestmark = pytest.mark.postgres
LIMITS = {"lock_timeout_s": 5.0, "statement_timeout_s": 60.0}


def tables(endpoint: PostgresEndpoint) -> set[str]:
    with connect(endpoint) as session:
        rows = session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {row[0] for row in rows} - {"alembic_version"}


def version(endpoint: PostgresEndpoint) -> list[str]:
    with connect(endpoint) as session:
        if session.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
            return []
        return sorted(row[0] for row in session.execute("SELECT version_num FROM alembic_version").fetchall())


@pytest.mark.parametrize(
    ("template", "env"),
    [
        ("generic", None),
        ("pyproject", None),
        ("generic", READS_ENVIRONMENT),
        ("generic", PER_MIGRATION),
    ],
    ids=["generic template", "pyproject template", "reads DATABASE_URL", "transaction per migration"],
)
def test_every_usual_env_py_is_given_the_database_and_each_revision_is_reported_once_it_is_committed(
    tmp_path, fresh_database, template, env
):
    project = AlembicProject(tmp_path, template=template, env=env)
    project.three_tables()
    migrator = project.migrator(fresh_database)
    heard = []

    migrator.upgrade_each(["a", "b", "c"], **LIMITS, on_applied=lambda name, _s: heard.append(name))

    assert heard == ["a", "b", "c"]
    assert tables(fresh_database) == {"t_a", "t_b", "t_c"}
    assert migrator.current() == ("c",)


def test_a_database_beside_the_live_one_is_migrated_by_its_name(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.three_tables()
    beside = f"{fresh_database.database}__scratch_1"
    with connect(fresh_database) as session:
        session.execute(f'CREATE DATABASE "{beside}" TEMPLATE template0')

    project.migrator(fresh_database).upgrade("c", database=beside, **LIMITS)

    assert tables(fresh_database) == set()
    assert version(replace(fresh_database, database=beside)) == ["c"]


def test_a_failing_revision_is_named_with_the_databases_words_and_those_before_it_stay(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.three_tables()
    project.revision("d", "c", up="op.create_table('t_d', sa.Column('id', sa.Integer))\nop.execute('SELECT 1/0')")
    project.revision("e", "d", up="op.execute('SELECT 1')")
    heard = []

    with pytest.raises(UpgradeFailed) as caught:
        project.migrator(fresh_database).upgrade_each(
            ["a", "b", "c", "d", "e"], **LIMITS, on_applied=lambda name, _s: heard.append(name)
        )

    assert caught.value.message == "revision d failed (alembic/versions/d.py:12)"
    assert "division by zero" in str(caught.value.cause)
    assert "[SQLSTATE 22012], at: SELECT 1/0" in str(caught.value.cause)
    assert heard == ["a", "b", "c"]
    assert version(fresh_database) == ["c"]
    assert "t_d" not in tables(fresh_database)


def test_a_revision_that_raises_in_python_is_named_with_its_line(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.revision("a", up="raise RuntimeError('not today')")

    with pytest.raises(UpgradeFailed) as caught:
        project.migrator(fresh_database).upgrade("head", **LIMITS)

    assert caught.value.message == "revision a failed (alembic/versions/a.py:11)"
    assert caught.value.cause == "RuntimeError: not today"


def test_a_lock_that_cannot_be_had_is_a_deadline_that_names_who_holds_it(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.three_tables()
    project.revision("d", "c", up="op.add_column('t_a', sa.Column('note', sa.Text))")
    migrator = project.migrator(fresh_database)
    migrator.upgrade("c", **LIMITS)

    with connect(fresh_database, autocommit=False) as idle:
        idle.execute("SELECT count(*) FROM t_a")
        with pytest.raises(DeadlinePassed) as caught:
            migrator.upgrade("d", lock_timeout_s=0.2, statement_timeout_s=60)
        pid = idle.info.backend_pid

    assert caught.value.message == "revision d waited too long for a lock"
    assert f"pid {pid} (unnamed, idle in transaction since" in str(caught.value.cause)
    assert "AccessShareLock on t_a: SELECT count(*) FROM t_a" in str(caught.value.cause)
    assert version(fresh_database) == ["c"]


INDEX = """
with op.get_context().autocommit_block():
    op.create_index('ix', 't_a', ['id'], postgresql_concurrently=True)
"""
COLUMN = "op.add_column('t_a', sa.Column('note', sa.Text))\n"


def test_an_index_built_concurrently_waits_for_old_transactions_longer_than_for_a_lock(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.three_tables()
    project.revision("d", "c", up=INDEX)
    migrator = project.migrator(fresh_database)
    migrator.upgrade("c", **LIMITS)

    with connect(fresh_database, autocommit=False) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM t_a")
        waits = threading.Thread(
            target=migrator.upgrade, args=["d"], kwargs={"lock_timeout_s": 0.2, "statement_timeout_s": 60}
        )
        waits.start()
        waits.join(3)
        is_waiting = waits.is_alive()
    waits.join(60)

    assert is_waiting
    assert version(fresh_database) == ["d"]


@pytest.mark.parametrize("up", [COLUMN + INDEX, INDEX + COLUMN], ids=["before", "after"])
def test_other_statements_of_its_revision_keep_the_short_timeout(tmp_path, fresh_database, up):
    project = AlembicProject(tmp_path)
    project.three_tables()
    project.revision("d", "c", up=up)
    migrator = project.migrator(fresh_database)
    migrator.upgrade("c", **LIMITS)

    with connect(fresh_database, autocommit=False) as idle:
        idle.execute("SELECT count(*) FROM t_a")  # its lock stays, its snapshot goes: an index need not wait for it
        with pytest.raises(DeadlinePassed, match="revision d waited too long for a lock"):
            migrator.upgrade("d", lock_timeout_s=0.2, statement_timeout_s=60)

    assert version(fresh_database) == ["c"]


def test_a_statement_that_takes_too_long_fails_its_revision(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.revision("a", up="op.execute('SELECT pg_sleep(60)')")

    with pytest.raises(UpgradeFailed, match="revision a failed") as caught:
        project.migrator(fresh_database).upgrade("a", lock_timeout_s=5, statement_timeout_s=0.2)

    assert "statement timeout" in str(caught.value.cause)


def test_percent_signs_in_the_password_work_and_no_error_shows_them(tmp_path, postgres_server, fresh_database):
    role, password = f"{fresh_database.database}_role", "p%40s%%s/:@ %(x)s"
    with connect(fresh_database) as session:
        session.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
        session.execute(f"GRANT ALL ON SCHEMA public TO {role}")
    project = AlembicProject(tmp_path)
    project.three_tables()
    shows_url = "import os\nraise RuntimeError(os.environ['DATABASE_URL'])"
    project.revision("d", "c", up=shows_url)
    endpoint = replace(fresh_database, user=role, password=Secret(password))
    try:
        project.migrator(endpoint).upgrade("c", **LIMITS)
        with pytest.raises(UpgradeFailed) as caught:
            project.migrator(endpoint).upgrade("d", **LIMITS)
    finally:
        with connect(fresh_database) as session:
            session.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")

    assert version(fresh_database) == []
    assert f"postgresql+psycopg://{role}:***@127.0.0.1" in str(caught.value.cause)


def test_an_env_py_that_connects_elsewhere_is_refused_before_its_first_statement(tmp_path, fresh_database):
    project = AlembicProject(tmp_path, env=GOES_ELSEWHERE)
    project.three_tables()
    other = f"{fresh_database.database}_other"
    with connect(fresh_database) as session:
        session.execute(f"CREATE DATABASE {other} TEMPLATE template0")

    with pytest.raises(ConfigurationError) as caught:
        project.migrator(fresh_database).upgrade("c", **LIMITS)

    assert "does not connect to" in caught.value.message
    assert other in str(caught.value.cause)
    assert version(replace(fresh_database, database=other)) == []


def test_an_env_py_that_ends_without_a_commit_is_found_out(tmp_path, fresh_database):
    project = AlembicProject(tmp_path, env=FORGETS_TO_COMMIT)
    project.three_tables()

    with pytest.raises(UpgradeFailed) as caught:
        project.migrator(fresh_database).upgrade("a", **LIMITS)

    assert caught.value.message == "revision a ran, but the database does not show it"
    assert tables(fresh_database) == set()


def test_a_fork_and_its_merge_are_applied_revision_by_revision(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    for name, down in (("a", None), ("b", "a"), ("c", "a")):
        project.revision(name, down, up=f"op.create_table('t_{name}', sa.Column('id', sa.Integer))")
    project.revision("m", ["b", "c"])
    migrator = project.migrator(fresh_database)
    order = [item.id for item in migrator.history().revisions]

    migrator.upgrade_each(order, **LIMITS)

    assert order[0] == "a"
    assert order[-1] == "m"
    assert tables(fresh_database) == {"t_a", "t_b", "t_c"}
    assert migrator.current() == ("m",)


def test_a_wrong_password_is_refused_and_a_dead_port_unreachable(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.three_tables()

    with pytest.raises(DatabaseRefused, match="refused alembic"):
        project.migrator(replace(fresh_database, password=Secret("wrong"))).current()
    with pytest.raises(EngineUnreachable, match="cannot reach"):
        project.migrator(replace(fresh_database, port=1)).current()


def test_a_downgrade_undoes_down_to_its_target_and_refuses_a_revision_without_one(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.three_tables()
    project.revision("d", "c", up="op.create_table('t_d', sa.Column('id', sa.Integer))", back="pass")
    migrator = project.migrator(fresh_database)
    migrator.upgrade("c", **LIMITS)

    migrator.downgrade("a", **LIMITS)
    after = tables(fresh_database)
    migrator.upgrade("d", **LIMITS)
    with pytest.raises(Irreversible, match="revision d has no downgrade"):
        migrator.downgrade("a", **LIMITS)

    assert after == {"t_a"}
    assert version(fresh_database) == ["d"]


def test_an_unknown_revision_in_the_database_is_a_conflict(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)
    project.three_tables()
    with connect(fresh_database) as session:
        session.execute("CREATE TABLE alembic_version (version_num text)")
        session.execute("INSERT INTO alembic_version VALUES ('from_elsewhere')")

    with pytest.raises(RevisionConflict, match="scripts and database do not agree"):
        project.migrator(fresh_database).upgrade("c", **LIMITS)


WITH_MODELS = """
from sqlalchemy import MetaData, Table, Column, Integer, String, Index
metadata = MetaData()
Table("t_a", metadata, Column("id", Integer, primary_key=True), Column("name", String(50), nullable=False))
Table("t_new", metadata, Column("id", Integer, primary_key=True))
"""


def with_models(folder: Path) -> AlembicProject:
    project = AlembicProject(folder)
    (folder / "models.py").write_text(WITH_MODELS)
    env = folder / "alembic" / "env.py"
    env.write_text(env.read_text().replace("target_metadata = None", "from models import metadata as target_metadata"))
    project.revision(
        "a", up="op.create_table('t_a', sa.Column('id', sa.Integer, primary_key=True), sa.Column('old', sa.Text))"
    )
    return project


def test_drift_is_told_in_sentences_and_a_history_without_models_has_none(tmp_path, fresh_database):
    project = with_models(tmp_path)
    migrator = project.migrator(fresh_database)
    migrator.upgrade("a", **LIMITS)
    (tmp_path / "other").mkdir()
    without = AlembicProject(tmp_path / "other")
    without.revision("a")

    assert set(migrator.drift()) == {
        "table t_new is in the models, not in the database",
        "column t_a.name is in the models, not in the database",
        "column t_a.old is in the database, not in the models",
    }
    assert without.migrator(fresh_database).drift() == ()


def test_a_new_revision_is_written_from_the_models_once_the_database_is_at_head(tmp_path, fresh_database):
    project = with_models(tmp_path)
    migrator = project.migrator(fresh_database)

    with pytest.raises(RevisionConflict, match="not at the head") as caught:
        migrator.create("add names", autogenerate=True)
    migrator.upgrade("a", **LIMITS)
    path = migrator.create("add names", autogenerate=True)

    assert caught.value.hint == "inv migrate"
    assert path.parent == tmp_path / "alembic" / "versions"
    assert "op.add_column('t_a'" in path.read_text()
    assert len(migrator.history().revisions) == 2


def test_a_new_revision_without_models_is_refused_with_the_way_to_write_an_empty_one(tmp_path, fresh_database):
    project = AlembicProject(tmp_path)

    with pytest.raises(ConfigurationError, match="names no models") as caught:
        project.migrator(fresh_database).create("add notes", autogenerate=True)

    assert "inv revision --empty" in str(caught.value.hint)
    assert list((tmp_path / "alembic" / "versions").glob("*.py")) == []


def test_an_env_py_that_names_the_same_server_otherwise_is_let_through(tmp_path, fresh_database):
    env = READS_ENVIRONMENT.replace(
        'create_engine(os.environ["DATABASE_URL"]',
        'create_engine(os.environ["DATABASE_URL"].replace("127.0.0.1", "localhost")',
    )
    project = AlembicProject(tmp_path, env=env)
    project.three_tables()

    project.migrator(fresh_database).upgrade("a", **LIMITS)

    assert version(fresh_database) == ["a"]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("postgresql+psycopg://a@localhost:5432/x", "postgresql+asyncpg://b:pw@127.0.0.1/x", True),
        ("postgresql://a@/x?host=/run/pg&port=5433", "postgresql+psycopg://a@:5433/x?host=/run/pg", True),
        ("postgresql://a@127.0.0.1/x", "postgresql://a@127.0.0.2/x", False),
        ("postgresql://a@127.0.0.1/x", "postgresql://a@127.0.0.1:5433/x", False),
        ("postgresql://a@127.0.0.1/x", "postgresql://a@127.0.0.1/y", False),
        ("postgresql://a@127.0.0.1/x", "sqlite:///x", False),
        ("sqlite:////tmp/./x.db", "sqlite+aiosqlite:////tmp/x.db", True),
        ("sqlite:////tmp/x.db", "sqlite://", False),
    ],
)
def test_two_addresses_are_one_database_only_if_host_port_and_name_are(one, other, is_same):
    from ops.adapters.alembic_program import _is_same

    assert _is_same(make_url(one), make_url(other)) is is_same
    assert _is_same(make_url(other), make_url(one)) is is_same


def test_an_env_py_that_hangs_is_given_up_after_the_deadline(tmp_path, fresh_database):
    project = AlembicProject(tmp_path, env="import time\ntime.sleep(600)\n")
    project.revision("a")
    migrator = AlembicMigrator(run_in_zygote(tmp_path), fresh_database, deadline_s=0.3)

    with pytest.raises(DeadlinePassed, match=r"alembic gave no answer after 0\.3 s"):
        migrator.current()


@pytest.mark.parametrize(
    ("statement", "may_wait"),
    [
        ("CREATE INDEX CONCURRENTLY ix ON t (a)", True),
        ("\n  -- why it is there\n/* and\nwho asked */ create unique index concurrently ix ON t (a)", True),
        ("-- not CONCURRENTLY, for the table is small\nCREATE INDEX ix ON t (a)", False),
        ("ALTER TABLE t ADD b int -- CONCURRENTLY would be no help", False),
        ("UPDATE t SET a = 'CONCURRENTLY'", False),
    ],
)
def test_only_a_statement_that_works_concurrently_may_wait_for_long(statement: str, may_wait: bool) -> None:
    from ops.adapters.alembic_program import is_concurrent

    assert is_concurrent(statement) is may_wait
