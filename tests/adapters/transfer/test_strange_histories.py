"""Does a transfer find its way through histories as other people keep them?"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from ops.actions.transfer_back import plan_back, transfer_back
from ops.adapters.sqlite.fingerprint import table_summaries
from ops.errors import ConfigurationError, RevisionConflict
from tests.adapters.transfer.running import checksums, moved, planned, tools_for
from tests.alembic_project import READS_ENVIRONMENT, AlembicProject
from tests.conftest import connect

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
LIMITS = {"lock_timeout_s": 5, "statement_timeout_s": 60}
TABLE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))'
NAMED = """
naming = {"uq": "uq_%(table_name)s_%(column_0_name)s", "ck": "ck_%(table_name)s_%(constraint_name)s"}
with op.batch_alter_table("t", naming_convention=naming) as batch:
    batch.add_column(sa.Column("colour", sa.Text, nullable=False, server_default="red"))
    batch.alter_column("name", new_column_name="title", existing_type=sa.String(20), type_=sa.Text())
    batch.create_unique_constraint("uq_t_title", ["title"])
    batch.create_check_constraint("short", "length(colour) < 10")
"""


def summaries(path):
    session = sqlite3.connect(path)
    try:
        return table_summaries(session)
    finally:
        session.close()


def filled(file, *statements):
    with closing(sqlite3.connect(file)) as session, session:
        for statement in statements:
            session.execute(statement)
    session.close()


def there_and_back(tools, file, tmp_path):
    _, report = moved(tools, file)
    back = transfer_back(plan_back(tmp_path / "back.db", tools), tools)
    assert report.problems == ()
    assert checksums(back) == checksums(report)
    assert summaries(tmp_path / "back.db") == summaries(file)
    return report


@pytest.mark.parametrize(
    "options",
    [
        "version_table='my versions'",
        "version_table='crm_v', version_table_schema=schema",
        "version_table_schema=schema",
    ],
)
def test_a_version_table_of_another_name_or_schema_is_found(options, tmp_path, fresh_database):
    env = READS_ENVIRONMENT.replace("target_metadata=None", f"target_metadata=None, {options}").replace(
        "with engine.connect() as connection:\n",
        "with engine.connect() as connection:\n"
        "        schema = 'crm' if engine.dialect.name == 'postgresql' else None\n"
        "        if schema:\n"
        "            connection.exec_driver_sql('CREATE SCHEMA IF NOT EXISTS crm')\n"
        "            connection.commit()\n",
    )
    project = AlembicProject(tmp_path / "project", env=env)
    project.revision("one", up=TABLE)
    project.revision("two", "one", up='op.add_column("t", sa.Column("more", sa.Integer))')
    tools, file = tools_for(project.folder, fresh_database, tmp_path / "state"), tmp_path / "source.db"
    tools.migrator_of(file).upgrade("one", **LIMITS)
    filled(file, "INSERT INTO t VALUES (1, 'a')")

    plan, report = moved(tools, file)
    transfer_back(plan_back(tmp_path / "back.db", tools), tools)

    assert (plan.snapshot.revisions, plan.snapshot.applied) == (("one",), ("two",))
    assert (report.revisions, report.rows) == (("two",), 1)
    assert tools.migrator.current() == ("two",)
    assert tools.migrator_of(tmp_path / "back.db").current() == ("two",)


def test_a_table_of_revisions_that_is_not_alembic_s_is_data(tmp_path, fresh_database):
    project = AlembicProject(tmp_path / "project", env=READS_ENVIRONMENT)
    project.revision("one", up=TABLE)
    tools, file = tools_for(project.folder, fresh_database, tmp_path / "state"), tmp_path / "source.db"
    tools.migrator_of(file).upgrade("one", **LIMITS)
    filled(
        file, "CREATE TABLE other (version_num VARCHAR(32) NOT NULL, CONSTRAINT other_pkc PRIMARY KEY (version_num))"
    )

    assert planned(tools, file).differences == ("table other (0 rows) is unknown to the target",)


def test_merged_branches_with_labels_and_batch_operations(tmp_path, fresh_database):
    project = AlembicProject(tmp_path / "project", env=READS_ENVIRONMENT)
    project.revision("one", up=TABLE)
    project.revision("left", "one", up=NAMED)
    right = project.revision("right", "one", up='op.create_table("r", sa.Column("id", sa.Integer, primary_key=True))')
    right.write_text(right.read_text().replace("branch_labels = None", "branch_labels = ('side',)"))
    project.revision("merged", ("left", "right"))
    tools, file = tools_for(project.folder, fresh_database, tmp_path / "state"), tmp_path / "source.db"
    tools.migrator_of(file).upgrade_each(["one", "right"], **LIMITS)
    filled(file, "INSERT INTO t VALUES (1, 'a'), (2, NULL)", "INSERT INTO r VALUES (7)")

    plan, report = moved(tools, file)

    assert plan.snapshot.applied == ("left", "merged")
    assert report.revisions == ("merged",)
    with connect(fresh_database) as session:
        assert session.execute("SELECT * FROM t ORDER BY id").fetchall() == [(1, "a", "red"), (2, None, "red")]


def test_two_heads_are_refused(tmp_path, fresh_database):
    project = AlembicProject(tmp_path / "project", env=READS_ENVIRONMENT)
    project.revision("one", up=TABLE)
    project.revision("left", "one")
    project.revision("right", "one")
    tools, file = tools_for(project.folder, fresh_database, tmp_path / "state"), tmp_path / "source.db"
    tools.migrator_of(file).upgrade_each(["left", "right"], **LIMITS)

    with pytest.raises(RevisionConflict, match="2 heads"):
        planned(tools, file)


def test_a_history_without_revisions_is_refused(tmp_path, fresh_database):
    project = AlembicProject(tmp_path / "project", env=READS_ENVIRONMENT)
    tools, file = tools_for(project.folder, fresh_database, tmp_path / "state"), tmp_path / "source.db"
    filled(file, "CREATE TABLE t (id INTEGER PRIMARY KEY)")

    with pytest.raises(RevisionConflict, match="no revision"):
        planned(tools, file)


@pytest.mark.parametrize("template", ["generic", "pyproject"])
def test_an_env_py_that_takes_its_url_from_the_configuration(template, tmp_path, fresh_database):
    project = AlembicProject(tmp_path / "project", template=template)
    ini = project.folder / "alembic.ini"
    ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", "sqlite:///never.db"))
    project.revision("one", up=TABLE)
    tools, file = tools_for(project.folder, fresh_database, tmp_path / "state"), tmp_path / "source.db"
    tools.migrator_of(file).upgrade("one", **LIMITS)
    filled(file, "INSERT INTO t VALUES (1, 'a')")

    there_and_back(tools, file, tmp_path)

    assert not (project.folder / "never.db").exists()


def test_a_configuration_at_another_place(tmp_path, fresh_database):
    project = AlembicProject(tmp_path / "project", env=READS_ENVIRONMENT)
    project.revision("one", up=TABLE)
    (project.folder / "db").mkdir()
    (project.folder / "alembic").rename(project.folder / "db" / "history")
    text = (project.folder / "alembic.ini").read_text().replace("%(here)s/alembic", "%(here)s/history")
    (project.folder / "db" / "schema.ini").write_text(text)
    (project.folder / "alembic.ini").unlink()
    tools = tools_for(project.folder, fresh_database, tmp_path / "state", config="db/schema.ini")
    file = tmp_path / "source.db"
    tools.migrator_of(file).upgrade("one", **LIMITS)
    filled(file, "INSERT INTO t VALUES (1, 'a')")

    assert there_and_back(tools, file, tmp_path).rows == 1


def test_an_async_env_py_without_an_async_driver_for_sqlite_says_which_it_wants(tmp_path, fresh_database):
    project = AlembicProject(tmp_path / "project", template="async")
    project.revision("one", up=TABLE)
    tools = tools_for(project.folder, fresh_database, tmp_path / "state")
    file = tmp_path / "source.db"
    filled(file, "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20))")

    with pytest.raises(ConfigurationError) as caught:
        planned(tools, file)

    assert "async" in caught.value.cause
