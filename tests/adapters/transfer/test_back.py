"""Does the way back lose nothing, and does it never harm a file that is there?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from ops.actions.transfer_back import plan_back, transfer_back
from ops.adapters.sqlite.fingerprint import table_summaries
from ops.adapters.transfer.bridge import SqlitePostgresBridge
from ops.errors import BadSourceData
from tests.adapters.transfer.running import checksums, moved
from tests.conftest import connect
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres


def summaries(path):
    session = sqlite3.connect(path)
    try:
        return table_summaries(session)
    finally:
        session.close()


def test_a_round_trip_gives_a_file_of_equal_checksums(file, tools, tmp_path):
    # PostgreSQL normalises a jsonb, and numbers of single precision are what they are there: give the file those.
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("UPDATE every SET docb = '{\"a\": 1}' WHERE docb IS NOT NULL")
    session.close()
    moved(tools, file)
    back = tmp_path / "back.db"

    report = transfer_back(plan_back(back, tools), tools)

    assert report.rows == 14
    assert summaries(back) == summaries(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.db", "source.db", "state"]


def test_the_checksums_of_both_reports_are_equal_whatever_the_order_of_rows(file, tools, fresh_database, tmp_path):
    bridge = SqlitePostgresBridge(fresh_database, tmp_path / "work", RecordingReporter(), part_rows=2)
    tools = replace(tools, bridge=bridge)
    _, there = moved(tools, file)
    with connect(fresh_database) as session:
        for table in ("person", "pair", "bare", "team"):  # the first rows become the last ones
            session.execute(f"CREATE TABLE held AS SELECT * FROM {table}")
            session.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            session.execute(f"DELETE FROM {table}")
            session.execute(f"INSERT INTO {table} SELECT * FROM held ORDER BY ctid DESC")
            session.execute("DROP TABLE held")
            session.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")

    back = transfer_back(plan_back(tmp_path / "back.db", tools), tools)

    assert checksums(back) == checksums(there)
    assert {table.name for table in there.tables if "order of the key" in table.algorithm} == {
        "every",
        "person",
        "team",
    }


def test_the_checksums_of_other_contents_are_others(file, tools, fresh_database, tmp_path):
    _, there = moved(tools, file)
    with connect(fresh_database) as session:
        session.execute("UPDATE person SET email = 'a@c' WHERE id = 1; UPDATE pair SET note = '' WHERE note IS NULL")

    back = transfer_back(plan_back(tmp_path / "back.db", tools), tools)

    others = {name for name, found in checksums(back).items() if found != checksums(there)[name]}
    assert others == {"person", "pair"}


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("UPDATE every SET ratio = 'NaN' WHERE id = 1", "ratio"),
        ("UPDATE every SET aware = 'infinity' WHERE id = 1", "aware"),
        ("UPDATE every SET naive = '0044-03-15 10:00 BC' WHERE id = 1", "naive"),
    ],
)
def test_a_value_that_sqlite_has_no_form_for_is_named_and_no_file_is_made(  # noqa: PLR0917 - fixtures and parameters
    file, tools, fresh_database, tmp_path, statement, column
):
    moved(tools, file)
    with connect(fresh_database) as session:
        session.execute(statement)

    with pytest.raises(BadSourceData, match=f"every.{column} of the row with id 1"):
        transfer_back(plan_back(tmp_path / "back.db", tools), tools)

    assert not (tmp_path / "back.db").exists()
    assert not (tmp_path / ".back.db.partial").exists()
