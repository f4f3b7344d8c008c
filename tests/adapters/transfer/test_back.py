"""Does the way back lose nothing, and does it never harm a file that is there?"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from ops.actions.transfer_back import plan_back, transfer_back
from ops.adapters.sqlite.fingerprint import table_summaries
from ops.errors import BadSourceData
from tests.adapters.transfer.running import moved
from tests.conftest import connect

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
