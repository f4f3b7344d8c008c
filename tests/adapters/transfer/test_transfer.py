"""Does everything arrive, exactly, and does the stack work on it?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from ops.adapters.transfer.bridge import SqlitePostgresBridge
from tests.adapters.transfer import foreign
from tests.adapters.transfer.running import moved, planned
from tests.conftest import connect

pytestmark = pytest.mark.postgres


def rows(endpoint, query):
    with connect(endpoint) as session:
        session.execute("SET TimeZone = 'UTC'")
        return session.execute(query).fetchall()


def test_a_value_of_every_kind_arrives_as_it_was(file, tools, fresh_database):
    plan, report = moved(tools, file)

    assert plan.faults == ()
    assert {table.name: table.rows for table in report.tables} == {
        "team": 2, "person": 3, "every": 3, "pair": 3, "bare": 3,
    }  # fmt: skip
    (row,) = rows(
        fresh_database,
        "SELECT small, big, flag, word, story, ratio, single, price::text, aware::text, day::text, clock::text,"
        " span::text, key::text, doc::text, docb::text, data, mood::text, must FROM every WHERE id = 1",
    )
    assert row == (
        32767, 9223372036854775807, True, "tab\tend", foreign.EVERY[6], 0.1, pytest.approx(3.14), "12.50",
        "2024-02-29 23:59:59.999999+00", "2024-02-29", "01:02:03.5", "24:00:01.25",
        "01234567-89ab-cdef-0123-456789abcdef", foreign.EVERY[16],
        '{"a": [1000, "x\\ty", true], "bb": 1.50, "ü": "é\\u0001"}', b"\x00\xff\\", "happy", "",
    )  # fmt: skip
    assert rows(fresh_database, "SELECT span::text, aware::text FROM every WHERE id = 3") == [
        ("-00:00:00.5", "0001-01-01 00:00:00+00")
    ]
    assert report.problems == ()


def test_keys_and_indexes_are_what_alembic_makes_and_the_next_row_finds_its_number(
    file, tools, project, fresh_database
):
    _, report = moved(tools, file)

    assert project.migrator(fresh_database).current() == ("two",)
    defined = rows(fresh_database, "SELECT conname FROM pg_constraint WHERE contype = 'f' ORDER BY 1")
    assert [name for (name,) in defined] == ["fk_person_boss", "fk_person_team", "fk_team_lead"]
    assert rows(fresh_database, "INSERT INTO team (name) VALUES ('next') RETURNING id") == [(8,)]
    assert report.sequences["public.team_id_seq"] == 8
    assert [one.state for one in tools.journal.changes()] == ["started", "finished"]
    assert tools.journal.changes()[-1].recovery.name == report.kept


def test_a_plan_alone_leaves_no_trace(file, tools, fresh_database, tmp_path):
    before = file.read_bytes()

    plan = planned(tools, file)

    assert plan.rows == 14
    assert file.read_bytes() == before
    assert tools.journal.changes() == ()
    assert tools.database.copies() == ()
    assert list((tmp_path / "state" / "transfer").iterdir()) == []
    assert rows(fresh_database, "SELECT count(*) FROM pg_class WHERE oid >= 16384") == [(0,)]


def test_a_text_that_holds_our_marks_arrives_as_it_was(file, tools, fresh_database):
    marked = "a\x1fb\x1dc\x1e\x1c\\\t\n"
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("UPDATE every SET story = ? WHERE id = 1", [marked])

    plan, report = moved(tools, file)

    assert plan.faults == ()
    assert rows(fresh_database, "SELECT story FROM every WHERE id = 1") == [(marked,)]
    assert report.rows == 14


def test_a_table_of_several_parts_arrives_in_its_order_and_is_compared_part_by_part(
    file, tools, fresh_database, tmp_path
):
    in_twos = SqlitePostgresBridge(fresh_database, tmp_path / "work", tools.report, part_rows=2)
    with closing(sqlite3.connect(file)) as session, session:
        session.executemany("INSERT INTO team (id, name) VALUES (?, ?)", [(n, f"team {n}") for n in range(100, 107)])
        there = session.execute("SELECT id FROM team ORDER BY id").fetchall()

    plan, report = moved(replace(tools, bridge=in_twos), file)

    assert [part.rows for part in plan.lines["team"]] == [2, 2, 2, 2, 1]
    assert rows(fresh_database, "SELECT id FROM team ORDER BY ctid") == there
    assert next(table.rows for table in report.tables if table.name == "team") == 9
