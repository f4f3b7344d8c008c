"""Does what moves data between SQLite and PostgreSQL keep each promise of the `Bridge` port?

There is no fake: every action that needs one works on real databases in its tests.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ops.adapters.transfer.bridge import SqlitePostgresBridge
from ops.errors import ArchiveCorrupt, DatabaseRefused, DataDiffers, LoadFailed, Refused
from ops.model.transfer.rules import parse_rules
from ops.model.transfer.schema import pair_up
from tests.conftest import connect
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres

SOURCE = """
CREATE TABLE alembic_version (version_num VARCHAR(32) CONSTRAINT alembic_version_pkc PRIMARY KEY);
INSERT INTO alembic_version VALUES ('one');
CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
INSERT INTO parent VALUES (1, 'a'), (2, 'b'), (9, 'gone');
DELETE FROM parent WHERE id = 9;
CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER, at TEXT);
INSERT INTO child VALUES (1, 1, '2024-01-01 00:00:00.000000'), (2, 77, NULL);
CREATE TABLE keyed (k TEXT PRIMARY KEY, v INTEGER) WITHOUT ROWID;
INSERT INTO keyed VALUES ('x', 1);
CREATE VIEW seen AS SELECT 1;
CREATE TRIGGER fired AFTER INSERT ON child BEGIN SELECT 1; END;
"""
TARGET = """
CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY);
CREATE TABLE parent (id serial PRIMARY KEY, name text);
CREATE TABLE child (id serial PRIMARY KEY, parent_id int REFERENCES parent, at timestamp);
CREATE INDEX ix_child_at ON child (at);
CREATE TABLE keyed (k text PRIMARY KEY, v int);
"""
DROP = parse_rules({"child.parent_id": {"orphans": "drop"}})


@pytest.fixture
def report():
    return RecordingReporter()


@pytest.fixture
def bridge(tmp_path, fresh_database, report):
    with connect(fresh_database) as session:
        session.execute(TARGET)
    return SqlitePostgresBridge(fresh_database, tmp_path / "work", report)


@pytest.fixture
def database(fresh_database):
    return fresh_database.database


@pytest.fixture
def file(tmp_path):
    with closing(sqlite3.connect(tmp_path / "source.db")) as session, session:
        session.executescript(SOURCE)
    session.close()
    return tmp_path / "source.db"


@pytest.fixture
def copy(bridge, file):
    folder = bridge.new_folder()
    bridge.copy_source(file, folder / "copy.db")
    bridge.simplify(folder / "copy.db")
    return folder / "copy.db"


def pairs_of(bridge, copy, database):
    pairs, differences = pair_up(bridge.source_tables(copy), bridge.target_tables(database))
    assert differences == ()
    return pairs


def examined(bridge, copy, pairs, fixes=()):
    return bridge.examine(copy, pairs, fixes, is_kept=True)


def test_a_folder_is_private_to_the_run_and_those_of_killed_runs_go(bridge, tmp_path):
    (tmp_path / "work" / "999999999").mkdir(parents=True)

    folder = bridge.new_folder()

    assert folder.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in (tmp_path / "work").iterdir()] == [str(os.getpid())]
    bridge.remove_folder(folder)
    bridge.remove_folder(folder)
    assert not folder.exists()


def test_a_copy_never_makes_or_changes_the_source(bridge, file, tmp_path):
    before = file.read_bytes()
    (tmp_path / "text").write_text("no database")

    bridge.copy_source(file, tmp_path / "copy.db")
    with pytest.raises(DatabaseRefused):
        bridge.copy_source(tmp_path / "absent.db", tmp_path / "no.db")
    with pytest.raises(ArchiveCorrupt):
        bridge.copy_source(tmp_path / "text", tmp_path / "no.db")

    assert file.read_bytes() == before
    assert not (tmp_path / "absent.db").exists()
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


def test_what_a_file_holds_is_said_with_what_is_no_data(bridge, file):
    tables = {table.name: table for table in bridge.source_tables(file)}

    assert bridge.source_revisions(file) == ("one",)
    assert {name: table.rows for name, table in tables.items() if not table.is_version} == {
        "parent": 2, "child": 2, "keyed": 1,
    }  # fmt: skip
    assert {table.rows for table in bridge.source_tables(file, is_counted=False)} == {0}
    assert bridge.left_out(file) == ("trigger fired is not copied", "view seen is not copied")


def test_a_simple_copy_has_row_ids_and_nothing_that_fires(bridge, copy):
    assert bridge.left_out(copy) == ()
    assert all(table.row_id for table in bridge.source_tables(copy))


def test_a_stamp_is_the_other_file_s(bridge, copy, tmp_path):
    with closing(sqlite3.connect(tmp_path / "model.db")) as session, session:
        session.execute("CREATE TABLE alembic_version (version_num TEXT)")
        session.execute("INSERT INTO alembic_version VALUES ('two')")
    session.close()

    bridge.stamp(copy, tmp_path / "model.db")

    assert bridge.source_revisions(copy) == ("two",)


def test_an_orphan_is_a_fault_and_a_rule_takes_it_out_and_lists_it(bridge, copy, database, tmp_path):
    pairs = pairs_of(bridge, copy, database)

    found = examined(bridge, copy, pairs)
    fixes = bridge.apply_rules(copy, pairs, DROP)
    bridge.keep_list(copy, tmp_path / "lists" / "one.jsonl")
    after = examined(bridge, copy, pairs_of(bridge, copy, database), fixes)

    assert [(fault.table, fault.column, fault.row_id) for fault in found.faults] == [("child", "parent_id", 2)]
    assert (after.faults, after.counts) == ((), ())
    assert [(fix.count, fix.rows, fix.is_row_dropped, fix.is_listed) for fix in fixes] == [(1, (2,), True, True)]
    (line,) = (tmp_path / "lists" / "one.jsonl").read_text().splitlines()
    assert json.loads(line)["values"] == {"id": 2, "parent_id": 77, "at": None}
    assert [path.name for path in (tmp_path / "lists").iterdir()] == ["one.jsonl"]


def test_a_survey_reads_only(bridge, copy, database):
    before = copy.read_bytes()

    survey = bridge.survey(copy, pairs_of(bridge, copy, database))

    assert [(one.column, one.lowest) for one in survey.dates] == [("at", "2024-01-01 00:00:00.000000")]
    assert copy.read_bytes() == before


def test_a_place_for_a_file_is_a_name_in_a_folder_that_is_there(bridge, tmp_path):
    bridge.refuse_place(tmp_path / "new.db")
    with pytest.raises(DatabaseRefused):
        bridge.refuse_place(tmp_path / "absent" / "new.db")
    with pytest.raises(DatabaseRefused):
        bridge.refuse_place(tmp_path)


def test_what_is_loaded_is_compared_and_a_row_that_is_refused_fails_it(bridge, copy, database, fresh_database):
    fixes = bridge.apply_rules(copy, pairs_of(bridge, copy, database), DROP)
    pairs = pairs_of(bridge, copy, database)
    found = examined(bridge, copy, pairs, fixes)
    keys = bridge.drop_keys(database, pairs)

    loaded = bridge.load(copy, database, pairs, found.lines)
    bridge.make_keys(database, pairs, keys)

    assert [(table.name, table.rows) for table in loaded] == [("child", 1), ("keyed", 1), ("parent", 2)]
    with connect(fresh_database) as session:
        assert session.execute("SELECT * FROM parent ORDER BY id").fetchall() == [(1, "a"), (2, "b")]
        session.execute("ALTER TABLE keyed ADD CHECK (v > 100) NOT VALID")
    again = examined(bridge, copy, pairs, fixes)
    with pytest.raises(LoadFailed):
        bridge.load(copy, database, pairs, again.lines)


def test_keys_are_made_again_as_they_were_or_it_fails(bridge, copy, database, fresh_database):
    pairs = pairs_of(bridge, copy, database)
    query = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    with connect(fresh_database) as session:
        before = session.execute(query).fetchall()

        keys = bridge.drop_keys(database, pairs)
        between = session.execute(query).fetchall()
        bridge.make_keys(database, pairs, keys)

        assert session.execute(query).fetchall() == before != between
        keys = bridge.drop_keys(database, pairs)
        session.execute("INSERT INTO child VALUES (1, 5, NULL)")
        with pytest.raises(LoadFailed):
            bridge.make_keys(database, pairs, keys)
    with pytest.raises(TypeError):
        bridge.make_keys(database, pairs, "no keys")


def test_sequences_are_put_behind_what_either_side_used(bridge, copy, database, fresh_database):
    pairs = pairs_of(bridge, copy, database)
    with connect(fresh_database) as session:
        session.execute("INSERT INTO child VALUES (40, NULL, NULL)")

    found = bridge.set_sequences(copy, database, pairs)

    assert found == {"public.child_id_seq": 41, "public.parent_id_seq": 10}
    assert bridge.row_counts(database, pairs) == {"public.parent": 0, "public.child": 1, "public.keyed": 0}
    assert bridge.total_rows(database) == 1


def test_a_file_is_filled_from_the_database_and_compared(bridge, file, database, fresh_database, tmp_path):
    with connect(fresh_database) as session:
        session.execute("INSERT INTO parent VALUES (3, 'x'); INSERT INTO child VALUES (1, 3, '2024-01-01')")
    pairs = pairs_of(bridge, file, database)

    loaded = bridge.fill(file, database, pairs)

    assert {table.name: table.rows for table in loaded} == {"parent": 1, "child": 1, "keyed": 0}
    with closing(sqlite3.connect(file)) as session, session:
        assert session.execute("SELECT * FROM child").fetchall() == [(1, 3, "2024-01-01 00:00:00.000000")]
    session.close()
    with connect(fresh_database) as session:
        session.execute("ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey; UPDATE child SET parent_id = 8")
    with closing(sqlite3.connect(file)) as session, session:
        session.executescript("DROP TABLE child; CREATE TABLE child (id INTEGER PRIMARY KEY, at TEXT,"
            " parent_id INTEGER REFERENCES parent (id))")  # fmt: skip
    session.close()
    with pytest.raises(DataDiffers, match="does not hold together"):
        bridge.fill(file, database, pairs_of(bridge, file, database))


def test_a_finished_file_never_takes_a_name_that_is_taken(bridge, file, tmp_path):
    with pytest.raises(Refused):
        bridge.publish(file, Path(tmp_path / "source.db"))
    bridge.publish(file, tmp_path / "new.db")
    bridge.remove_file(file)
    bridge.remove_file(file)

    assert (tmp_path / "new.db").exists()
    assert not file.exists()


def test_long_work_is_reported_in_rows(bridge, copy, database, report):
    examined(bridge, copy, pairs_of(bridge, copy, database))

    assert report.steps["examining"] == 5
