"""Is every fault that a SQLite file can hold named with table, column, row and reason, and nothing written?"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ops.errors import ArchiveCorrupt, BadSourceData, ConfigurationError, DatabaseRefused, RevisionConflict
from ops.model.transfer.rules import parse_rules
from tests.adapters.transfer.running import moved, planned, tools_for
from tests.adapters.transfer.strange import STRANGE
from tests.conftest import connect

pytestmark = pytest.mark.postgres

PLANTED = (
    # column, value, the reason's beginning
    ("small", 32768, "is too large for smallint"),
    ("whole", 2147483648, "is too large for integer"),
    ("whole", -2147483649, "is too large for integer"),
    ("whole", 3.5, "is real, not an integer"),
    ("whole", "abc", "is text, not an integer"),
    ("whole", "", "is text, not an integer"),
    ("big", 1e19, "is real, not an integer"),
    ("flag", 2, "is neither 0 nor 1"),
    ("flag", -1, "is neither 0 nor 1"),
    ("flag", "yes", "is text, not 0 or 1"),
    ("word", "ninechars", "has 9 characters"),
    ("word", "a\0b", "holds a NUL character"),
    ("word", b"bytes", "is blob, not text"),
    ("story", "invalid", "is no UTF-8"),
    ("ratio", "much", "is text, not a number"),
    ("single", 1e39, "is too large for real"),
    ("price", 0.125, "is no numeric(10,2)"),
    ("price", 123456789.5, "is no numeric(10,2)"),
    ("price", "cheap", "is no numeric(10,2)"),
    ("price", "", "is an empty text"),
    ("price", float("inf"), "is no numeric(10,2)"),
    ("aware", "0000-00-00 00:00:00", "is no timestamp with time zone"),
    ("aware", "2023-02-29 10:00:00.000000", "is no timestamp with time zone"),
    ("aware", "2023-01-01 24:00:00.000000", "is no timestamp with time zone"),
    ("aware", "", "is an empty text"),
    ("aware", 1704164645, "is integer, not a timestamp with time zone"),
    ("naive", "yesterday", "is no timestamp without time zone"),
    ("naive", "2024-01-01 10:00:00.1234567", "is no timestamp without time zone"),
    ("day", "2024-13-01", "is no date"),
    ("day", "2024-01-01 10:00:00", "is no date"),
    ("clock", "25:00:00", "is no time without time zone"),
    ("span", "1 hour", "is no interval"),
    ("key", "0123", "is no uuid"),
    ("doc", '{"a": NaN}', "holds NaN, which is not JSON"),
    ("doc", "{a}", "is not JSON"),
    ("doc", '{"a": "b\0"}', "holds a NUL character"),
    ("docb", b"{}", "is blob, not text"),
    ("docb", '{"a": "\\u0000"}', "holds \\u0000"),
    ("docb", '{"a": 1, "a": 2}', "has the same key twice"),
    ("docb", "[Infinity]", "holds Infinity"),
    ("docb", '"\\ud800"', "holds half of a surrogate pair"),
    ("data", "text", "is text, not bytes"),
    ("mood", "angry", "is not among the values of mood"),
)


def change(file, *statements):
    with closing(sqlite3.connect(file, isolation_level=None)) as session, session:
        session.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            session.execute(*statement) if isinstance(statement, tuple) else session.execute(statement)
    session.close()


def loosened(file):
    """The same file as somebody's own tools would have made it: same columns, nothing enforced."""
    with closing(sqlite3.connect(file, isolation_level=None)) as session, session:
        session.execute("PRAGMA writable_schema = ON")
        session.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name IN ('every', 'pair')")
        session.execute("UPDATE sqlite_master SET sql = replace(sql, 'INTEGER PRIMARY', 'INTEGER PRIMARY') WHERE 0")
        session.execute("PRAGMA writable_schema = RESET")
    session.close()


def test_every_planted_fault_is_named_and_nothing_is_written(file, tools, fresh_database):
    loosened(file)
    for at, (column, value, _reason) in enumerate(PLANTED):
        change(file, (f'INSERT INTO every (id, must, "{column}") VALUES (?, ?, ?)', (100 + at, "x", value)))
    change(
        file,
        "UPDATE every SET story = CAST(x'636166e9' AS TEXT) WHERE story = 'invalid'",
        "INSERT INTO every (id, must) VALUES (200, NULL)",
        "INSERT INTO person (id, team_id) VALUES (300, 99)",
        "UPDATE team SET lead_id = 77 WHERE id = 7",
        'INSERT INTO pair (_rowid_, "left", "right") VALUES (50, NULL, 9)',
    )

    plan = planned(tools, file)
    with pytest.raises(BadSourceData) as caught:
        plan.refuse()

    found = {(fault.table, fault.column, fault.row_id): fault.reason for fault in plan.faults}
    for at, (column, value, reason) in enumerate(PLANTED):
        assert found.pop(("every", column, 100 + at), "").startswith(reason), (column, value)
    assert found == {
        ("every", "must", 200): "is NULL, the target wants a value",
        ("person", "team_id", 300): "has no row in team",
        ("team", "lead_id", 7): "has no row in person",
        ("pair", "left", 50): "is NULL, the target wants a value",
    }
    assert caught.value.exit_code == 70
    assert sum(one.count for one in plan.fault_counts) == len(PLANTED) + 4
    assert tools.database.copies() == ()
    with connect(fresh_database) as session:
        assert session.execute("SELECT count(*) FROM pg_class WHERE oid >= 16384").fetchone() == (0,)


def test_with_rules_everything_fits_and_the_counts_add_up(file, tools, fresh_database):
    change(
        file,
        "INSERT INTO every (id, must, flag) VALUES (100, 'x', 'yes'), (101, 'x', 'F')",
        "INSERT INTO every (id, must, word) VALUES (102, 'x', 'a' || char(0) || 'b')",
        "INSERT INTO every (id, must, story) VALUES (103, 'x', CAST(x'636166e9' AS TEXT))",
        "INSERT INTO every (id, must, naive) VALUES (104, 'x', ''), (105, 'x', 1704164645.5)",
        "INSERT INTO every (id, must, price) VALUES (106, 'x', 0.125)",
        "INSERT INTO every (id, must, aware) VALUES (107, 'x', '2024-07-01 12:00:00'), (108, 'x', '2024-07-01T12:00Z')",
        "INSERT INTO person (id, team_id, boss_id) VALUES (300, 99, NULL), (301, NULL, 300), (302, NULL, 301)",
        "UPDATE team SET lead_id = 302 WHERE id = 7",
        "UPDATE every SET aware = NULL WHERE id = 3",
    )
    rules = parse_rules(
        {
            "every.flag": {"booleans": "words"},
            "every.word": {"nul": "replace"},
            "every.story": {"charset": "cp1252"},
            "every.naive": {"empty": "null", "epoch": "seconds"},
            "every.price": {"round": True},
            "every.aware": {"zone": "Europe/Berlin"},
            "person.team_id": {"orphans": "drop"},
            "person.boss_id": {"orphans": "drop"},
            "team.lead_id": {"orphans": "null"},
        }
    )

    plan, report = moved(tools, file, rules)

    assert plan.faults == ()
    assert report.dropped == 3
    assert {(fix.column, fix.rule): fix.count for fix in report.fixes} == {
        ("flag", "word as boolean"): 2,
        ("word", "NUL characters: replace"): 1,
        ("story", "read as cp1252"): 1,
        ("naive", "empty text as NULL"): 1,
        ("naive", "seconds since 1970"): 1,
        ("price", "rounded"): 1,
        ("aware", "in Europe/Berlin"): 3,
        ("team_id", "its team is missing: drop"): 1,
        ("boss_id", "its person is missing: drop"): 2,
        ("lead_id", "its person is missing: null"): 1,
    }
    with connect(fresh_database) as session:
        session.execute("SET TimeZone = 'UTC'")
        found = session.execute(
            "SELECT flag, word, story, naive::text, price::text, aware::text FROM every WHERE id >= 100 ORDER BY id"
        ).fetchall()
        lead = session.execute("SELECT lead_id FROM team WHERE id = 7").fetchone()
    assert [tuple(value for value in row if value is not None) for row in found] == [
        (True,), (False,), ("a\ufffdb",), ("café",), (), ("2024-01-02 03:04:05.5",), ("0.12",),
        ("2024-07-01 10:00:00+00",), ("2024-07-01 12:00:00+00",),
    ]  # fmt: skip
    assert lead == (None,)


def test_rows_without_a_parent_are_listed_whole_and_the_counts_add_up_exactly(file, tools):
    change(
        file,
        "INSERT INTO person (id, team_id, boss_id, nick) VALUES (300, 99, NULL, 'no team'), (301, NULL, 300, 'x')",
        "INSERT INTO person (id, team_id, boss_id, email) VALUES (302, 98, NULL, CAST(x'636166e9' AS TEXT))",
        *(f"INSERT INTO person (id, boss_id) VALUES ({id_}, 77)" for id_ in range(400, 430)),
        "UPDATE team SET lead_id = 300 WHERE id = 7",
    )
    rules = parse_rules(
        {
            "person.team_id": {"orphans": "quarantine"},
            "person.boss_id": {"orphans": "drop"},
            "team.lead_id": {"orphans": "null"},
        }
    )

    plan, report = moved(tools, file, rules)

    (person,) = [table for table in plan.tables if table.name == "person"]
    assert (person.rows, person.dropped, person.quarantined) == (3, 31, 2)
    assert (report.rows + report.dropped + report.quarantined, report.quarantined) == (14 + 33, 2)
    lines = [json.loads(line) for line in Path(report.list_file).read_text().splitlines()]
    by_row = {(line["table"], line["row_id"]): line for line in lines}
    assert len(lines) == len(by_row) == 34
    assert by_row["person", 300] == {
        "table": "person", "row_id": 300, "done": "quarantined", "reason": "team_id: its team is missing: quarantine",
        "values": {"id": 300, "email": None, "team_id": 99, "boss_id": None, "nick": "no team"},
    }  # fmt: skip
    assert by_row["person", 302]["values"]["email"] == {"hex": "636166e9"}
    assert by_row["person", 429]["done"] == "dropped"
    assert (by_row["team", 7]["done"], by_row["team", 7]["values"]["lead_id"]) == ("parent set to NULL", 300)
    assert Path(report.list_file).stat().st_mode & 0o777 == 0o600


def test_a_plan_keeps_no_list(file, tools):
    change(file, "INSERT INTO person (id, team_id) VALUES (300, 99)")

    plan = planned(tools, file, parse_rules({"person.team_id": {"orphans": "quarantine"}}))

    assert plan.list_file.endswith(f"{plan.change_id}.jsonl")
    assert not Path(plan.list_file).exists()


def test_a_survey_shows_what_is_no_fault_and_yet_needs_an_eye(file, tools):
    loosened(file)
    change(
        file,
        "INSERT INTO every (id, must, aware, day) VALUES (100, 'x', '1704-01-02 03:04:05.000000', '2024-01-01')",
        "INSERT INTO every (id, must, doc) VALUES (101, 'x', 'null')",
        "INSERT INTO every (id, must, word) VALUES (102, 'x', 'ninechars'), (103, 'x', 'elevenchars')",
        "INSERT INTO person (id, email) VALUES (40, 'A@B'), (41, 'Ä@x'), (42, 'ä@X')",
    )
    with closing(sqlite3.connect(file, isolation_level=None)) as session, session:
        session.execute("PRAGMA writable_schema = ON")
        session.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'name VARCHAR(40)', 'name VARCHAR(40) COLLATE NOCASE')"
            " WHERE name = 'team'"
        )
        session.execute("PRAGMA writable_schema = RESET")
        session.execute("INSERT INTO team (id, name) VALUES (9, 'RED')")
    session.close()

    survey = planned(tools, file, is_dry=True).survey

    ranges = {(one.table, one.column): (one.lowest, one.highest) for one in survey.dates}
    assert ranges["every", "aware"] == ("0001-01-01 00:00:00.000000", "2024-02-29 23:59:59.999999")
    assert ranges["every", "day"] == ("2024-01-01", "2024-02-29")
    assert [(one.column, one.null_texts, one.sql_nulls) for one in survey.json_nulls] == [("doc", 1, 5)]
    assert [(one.column, one.longest, one.limit, one.values) for one in survey.too_long] == [("word", 11, 8, 2)]
    found = {(one.table, one.columns): one for one in survey.same_but_for_case}
    assert found["person", ("email",)].groups == 2
    assert found["team", ("name",)].is_case_ignored
    assert found["team", ("name",)].samples == ("'RED' and 'red'",)
    assert survey.sentences[0].startswith("every.aware is from 0001-01-01")


def test_other_forms_of_a_moment_and_a_key_are_brought_into_one(file, tools, fresh_database):
    change(
        file,
        "INSERT INTO every (id, must, aware) VALUES (100, 'x', '2024-01-01'), (101, 'x', '2024-01-01T10:00:00+02:00'),"
        " (102, 'x', '2024-01-01 10:00:00.5'), (103, 'x', '2024-01-01 10:00:00')",
        "INSERT INTO every (id, must, day) VALUES (104, 'x', '2024-01-01 00:00:00.000000')",
        "INSERT INTO every (id, must, \"key\") VALUES (105, 'x', '01234567-89AB-cdef-0123-456789ABCDEF')",
    )

    _, report = moved(tools, file)

    assert {fix.column: fix.count for fix in report.fixes} == {"aware": 4, "day": 1, "key": 1}
    with connect(fresh_database) as session:
        session.execute("SET TimeZone = 'UTC'")
        found = session.execute("SELECT aware::text FROM every WHERE id BETWEEN 100 AND 103 ORDER BY id").fetchall()
    assert [one for (one,) in found] == [
        "2024-01-01 00:00:00+00", "2024-01-01 08:00:00+00", "2024-01-01 10:00:00.5+00", "2024-01-01 10:00:00+00",
    ]  # fmt: skip


def test_a_time_that_the_clock_skipped_is_refused_and_not_taken_for_another(file, tools):
    change(
        file,
        "INSERT INTO every (id, must, aware) VALUES (100, 'x', '2024-03-31 02:30:00.000000')",
        "UPDATE every SET aware = NULL WHERE id = 3",
    )

    plan = planned(tools, file, parse_rules({"every.aware": {"zone": "Europe/Berlin"}}))

    assert [(fault.column, fault.row_id) for fault in plan.faults] == [("aware", 100)]


def test_values_that_are_equal_for_the_target_are_refused(file, tools):
    loosened(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as session, session:
        session.execute("CREATE TABLE loose AS SELECT * FROM person")
        session.execute("DROP TABLE person")
        session.execute("ALTER TABLE loose RENAME TO person")
        session.execute("INSERT INTO person (id, email) VALUES (40, 'a@b'), (41, 'c@d'), (41, 'e@f')")
    session.close()

    plan = planned(tools, file)

    counts = {(one.table, one.column): one.count for one in plan.fault_counts}
    assert counts == {("person", "email"): 4, ("person", "id"): 2}


def test_what_is_no_list_of_its_elements_is_no_array(tmp_path, fresh_database):
    strange = STRANGE["types that SQLite does not have"]
    given = tools_for(strange.project(tmp_path / "project").folder, fresh_database, tmp_path / "state")
    source = tmp_path / "source.db"
    given.migrator_of(source).upgrade("one", lock_timeout_s=5, statement_timeout_s=60)
    bad = ["{a,b}", '{"a": 1}', '"a"', "[1]", '["a", ["b"]]', '[["a"], ["b", "c"]]', "[[]]", '["\\u0000"]']
    change(source, *(("INSERT INTO kinds (id, words) VALUES (?, ?)", (at, text)) for at, text in enumerate(bad)))
    change(source, "INSERT INTO kinds (id, numbers) VALUES (90, '[1.5]'), (91, '[\"1\"]'), (92, '[true]')")
    change(source, "INSERT INTO kinds (id, words) VALUES (93, '[[\"a\"], [null]]')")

    plan = planned(given, source)

    assert {fault.row_id for fault in plan.faults} == {*range(len(bad)), 90, 91, 92}
    assert {fault.reason for fault in plan.faults} == {"is no JSON list for text[]", "is no JSON list for integer[]"}


def test_what_is_no_data_is_named_and_not_moved(file, tools):
    change(
        file,
        "CREATE VIRTUAL TABLE found USING fts5(line)",
        "INSERT INTO found VALUES ('a line')",
        "CREATE VIEW reds AS SELECT * FROM team",
        "CREATE TRIGGER loud AFTER DELETE ON team BEGIN DELETE FROM bare; END",
    )

    plan, report = moved(tools, file)

    assert plan.warnings == ("trigger loud is not copied", "view reds is not copied", "virtual found is not copied")
    assert report.rows == 14


def test_an_unknown_table_or_column_stops_the_transfer_and_is_named(file, tools):
    change(
        file, "CREATE TABLE extra (a)", "ALTER TABLE team ADD COLUMN colour TEXT", "ALTER TABLE bare DROP COLUMN line"
    )

    plan = planned(tools, file)
    with pytest.raises(RevisionConflict) as caught:
        plan.refuse()

    assert plan.differences == (
        "column bare.line is not in the source",
        "column team.colour is unknown to the target",
        "table extra (0 rows) is unknown to the target",
    )
    assert caught.value.exit_code == 50


def test_a_file_without_a_revision_is_recognised_only_as_the_first_one(file, tools):
    change(file, "DROP TABLE alembic_version")
    with pytest.raises(RevisionConflict) as caught:
        planned(tools, file)
    change(file, "ALTER TABLE person DROP COLUMN nick")

    _, report = moved(tools, file)

    assert caught.value.cause == "one: column person.nick is not in that revision"
    assert report.revisions == ("two",)
    assert report.rows == 14


def test_what_is_no_source_is_refused_and_never_made(tmp_path, tools):
    (tmp_path / "text.db").write_text("hello")

    with pytest.raises(DatabaseRefused):
        planned(tools, tmp_path / "missing.db")
    with pytest.raises(ArchiveCorrupt):
        planned(tools, tmp_path / "text.db")

    assert not (tmp_path / "missing.db").exists()


def test_a_rule_for_a_column_that_is_not_there_is_a_slip(file, tools):
    with pytest.raises(ConfigurationError, match=r"every\.flagg"):
        planned(tools, file, parse_rules({"every.flagg": {"booleans": "words"}}))


def test_an_index_that_lost_an_entry_refuses_the_file(file, tools):
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("CREATE INDEX planted ON team (name)")
        entry = session.execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master WHERE name = 'planted'")
        found = entry.fetchone()
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("PRAGMA writable_schema = ON")
        session.execute("DELETE FROM sqlite_master WHERE name = 'planted'")
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("INSERT INTO team (id, name) VALUES (70, 'unseen')")
        session.execute("PRAGMA writable_schema = ON")
        session.execute("INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?)", found)

    with pytest.raises(ArchiveCorrupt, match="is damaged; nothing was written") as refused:
        planned(tools, file)

    assert "planted" in refused.value.cause
