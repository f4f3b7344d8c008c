"""Does the Alembic adapter read foreign histories as they are, broken ones included?"""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.errors import ConfigurationError, RevisionConflict
from ops.model.endpoint import PostgresEndpoint, SqliteEndpoint
from ops.model.secret import Secret
from tests.alembic_project import AlembicProject

NOWHERE = PostgresEndpoint("127.0.0.1", 1, "nobody", Secret("never-used"), "nowhere")
"""Histories and SQL are read without a database: connecting to this one would fail."""
REPOSITORY = Path(__file__).parents[2]


def test_revisions_come_base_first_each_after_all_that_it_needs(tmp_path):
    project = AlembicProject(tmp_path)
    for name, down, needs in (("z", None, None), ("b", "z", None), ("a", "z", "b"), ("m", ("a", "b"), None)):
        project.revision(name, down, depends_on=needs)

    history = project.migrator(NOWHERE).history()

    assert [item.id for item in history.revisions] == ["z", "b", "a", "m"]
    assert history.heads == ("m",)
    assert history.find("a").depends_on == ("b",)
    assert history.find("m").down_revisions == ("a", "b")
    assert history.find("z").message == "Revision z."


MAKES = "op.create_table('t', sa.Column('id', sa.Integer))"


@pytest.mark.parametrize(
    ("up", "back", "expected"),
    [
        (MAKES, "op.drop_table('t')", True),
        (MAKES, None, False),
        (MAKES, "pass", False),
        (MAKES, "'''Only words.'''", False),
        (MAKES, "raise NotImplementedError('no way back')", False),
        (MAKES, "return", False),
        ("pass", "pass", True),
        (MAKES, "if op.get_context().as_sql:\n    raise RuntimeError\nop.drop_table('t')", True),
    ],
    ids=["drops", "missing", "pass", "docstring", "raises", "returns", "merge", "raises sometimes"],
)
def test_whether_a_revision_can_be_undone_is_read_from_its_source(tmp_path, up, back, expected):
    project = AlembicProject(tmp_path)
    project.revision("a", up=up, back=back)

    (revision,) = project.migrator(NOWHERE).history().revisions

    assert revision.has_downgrade is expected


def test_the_outlook_has_the_sql_of_what_is_missing_and_of_each_revision_by_itself(tmp_path):
    project = AlembicProject(tmp_path)
    project.three_tables()
    project.revision("d", "c", up="op.get_bind().execute(sa.text('SELECT 1')).scalar_one()")

    outlook = project.migrator(NOWHERE).outlook(["a"])

    assert list(outlook.sql) == ["b", "c", "d"]
    assert "CREATE TABLE t_b" in str(outlook.sql["b"].text)
    assert "t_c" not in str(outlook.sql["b"].text)
    assert outlook.sql["d"].text is None
    assert "AttributeError" in outlook.sql["d"].reason


def test_the_sql_of_downgrades_and_of_a_range_is_told_without_a_database(tmp_path):
    project = AlembicProject(tmp_path)
    project.three_tables()
    migrator = project.migrator(NOWHERE)

    down = migrator.downgrade_sql(["c", "a"])
    text = migrator.sql("a", "c")

    assert "DROP TABLE t_c" in str(down["c"].text)
    assert "DROP TABLE t_a" in str(down["a"].text)
    assert "DROP TABLE t_b" not in str(down["c"].text)
    assert text.index("CREATE TABLE t_b") < text.index("CREATE TABLE t_c")


def test_two_heads_are_read_as_they_are_and_refused_where_one_is_needed(tmp_path):
    project = AlembicProject(tmp_path)
    project.revision("a")
    project.revision("b", "a")
    project.revision("c", "a")
    migrator = project.migrator(NOWHERE)

    assert sorted(migrator.history().heads) == ["b", "c"]
    with pytest.raises(RevisionConflict, match="several heads"):
        migrator.create("third", autogenerate=False)


def test_a_parent_that_is_not_there_is_a_conflict_that_names_it(tmp_path):
    project = AlembicProject(tmp_path)
    project.revision("b", "lost_one")

    with pytest.raises(RevisionConflict) as caught:
        project.migrator(NOWHERE).history()

    assert "lost_one" in str(caught.value.cause)


def test_two_files_with_one_id_are_a_conflict_that_names_it(tmp_path):
    project = AlembicProject(tmp_path)
    project.revision("same").rename(tmp_path / "alembic" / "versions" / "first.py")
    project.revision("same")

    with pytest.raises(RevisionConflict) as caught:
        project.migrator(NOWHERE).history()

    assert "same" in str(caught.value.cause)


def test_a_revision_file_that_is_not_python_is_named(tmp_path):
    project = AlembicProject(tmp_path)
    project.revision("a").write_text("def upgrade(:")

    with pytest.raises(RevisionConflict) as caught:
        project.migrator(NOWHERE).history()

    assert "a.py" in str(caught.value.cause)


def test_a_missing_configuration_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigurationError, match=r"there is no alembic\.ini"):
        AlembicProject.migrator(type("Folder", (), {"folder": tmp_path})(), NOWHERE).history()


def test_a_missing_script_folder_is_a_configuration_error_that_names_it(tmp_path):
    project = AlembicProject(tmp_path)
    (tmp_path / "alembic").rename(tmp_path / "elsewhere")

    with pytest.raises(ConfigurationError, match=r"alembic\.ini: Path doesn't exist") as caught:
        project.migrator(NOWHERE).history()

    assert str(tmp_path / "alembic") in caught.value.message


def test_a_failing_env_py_is_named_with_its_line(tmp_path):
    project = AlembicProject(tmp_path, env="import not_installed_anywhere\n")
    project.revision("a")

    with pytest.raises(ConfigurationError) as caught:
        project.migrator(NOWHERE).current()

    assert caught.value.message == "alembic's env.py failed (alembic/env.py:1)"
    assert "not_installed_anywhere" in str(caught.value.cause)


def test_an_empty_history_has_no_heads(tmp_path):
    history = AlembicProject(tmp_path).migrator(NOWHERE).history()

    assert history.revisions == ()
    assert history.heads == ()


def test_this_repositorys_own_history_goes_up_and_down_on_sqlite_without_drift(tmp_path):
    project = AlembicProject.__new__(AlembicProject)
    project.folder = REPOSITORY
    migrator = project.migrator(SqliteEndpoint(tmp_path / "live.db"))
    limits = {"lock_timeout_s": 5.0, "statement_timeout_s": 60.0}
    order = [item.id for item in migrator.history().revisions]

    migrator.upgrade_each(order, database="copy 100%.db", **limits)
    drift = migrator.drift("copy 100%.db")
    migrator.downgrade("base", database="copy 100%.db", **limits)

    assert drift == ()
    assert migrator.current("copy 100%.db") == ()
    assert not (tmp_path / "live.db").exists()
