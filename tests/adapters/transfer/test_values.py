"""Is a value that PostgreSQL would hold as another one refused with its row, and one that is good taken?

Each was found by trying; `test_any_table` looks for more.
"""

from __future__ import annotations

import resource
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from ops.adapters.transfer.bridge import SqlitePostgresBridge
from ops.adapters.transfer.examine import examine
from ops.adapters.transfer.load import load_table
from ops.errors import ArchiveUnwritable, LoadFailed
from ops.model.transfer.rules import parse_rules
from ops.model.transfer.schema import pair_up
from tests.adapters.transfer.meaning import Broken
from tests.adapters.transfer.one_table import examined, written
from tests.conftest import connect
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres

BAD = Broken(b"\xe9")


@pytest.fixture(params=[True, False], ids=["binary", "lines"])
def bridge(request, tmp_path, fresh_database):
    work = tmp_path / "work # 1%20"
    return SqlitePostgresBridge(fresh_database, work, RecordingReporter(), part_rows=3, is_binary=request.param)


def target(endpoint, *kinds):
    """The table in PostgreSQL."""
    with connect(endpoint) as session:
        session.execute("CREATE TYPE mood AS ENUM ('a b', 'c')")
        named = ", ".join(f"v{at} {kind}" for at, kind in enumerate(kinds))
        session.execute(f"CREATE TABLE t (id bigint PRIMARY KEY, {named})")


def arrived(endpoint, what="v0"):
    """What it holds then."""
    with connect(endpoint) as session:
        return [row[0] for row in session.execute(f"SELECT {what} FROM t ORDER BY id")]


@pytest.mark.parametrize(
    ("kind", "declared", "values", "refused"),
    [
        ("boolean", "", [0, 0.5, 1], {1}),
        ("boolean", "", [0, 1, "t", 2, -1], {2, 3, 4}),
        ("boolean", "REAL", [0, 1, 2, 0.5], {2, 3}),
        ("integer", "REAL", [1, 1.5, 2**31, -(2**31), None], {1, 2}),
        ("bigint", "FLOAT", [2.0**63, -(2**63), 1e300, float("inf"), "x"], {0, 2, 3, 4}),
        ("uuid UNIQUE", "UUID UNIQUE", ["0" * 31 + "a", "00000000-0000-0000-0000-00000000000A", "f" * 32], {0, 1}),
        ("timestamp", "", ["\x1d", "2024-01-01 00:00:00.000000"], {0}),
        ("timestamp", "", [b"2024-01-01 00:00:00.000000", None], {0}),
        ("date", "", ["\\N", b"2024-01-01", "2024-01-31T22:00-02:00"], {0, 1, 2}),
        ("time", "", ["24:00:00", "23:59:59.999999"], {0}),
        ("timestamp(0)", "", ["2024-01-01 00:00:00.500000", "2024-01-01 00:00:00.000000", None], {0}),
        ("timestamptz(3)", "", ["2024-01-01 00:00:00.000100", "2024-01-01 00:00:00.001000"], {0}),
        ("time(1)", "", ["00:00:00.050000", "00:00:00.500000"], {0}),
        ("interval(0)", "", ["1970-01-01 00:00:00.500000", "1970-01-01 00:00:01.000000"], {0}),
        ("double precision", "", [2**53 + 1, 2**53, -(2**53) - 1, 1e300], {0, 2}),
        ("real", "", [0.1, 0.123456789, 1e-50, 2**24 + 1, 1e39, float("inf")], {1, 2, 3, 4}),
        ("numeric", "TEXT", ["1_000", "٣", "1e140000", "1e-17000", "1e5", "+1.50"], {0, 1, 2, 3}),
        ("jsonb", "TEXT", ["1e140000", "[1e-17000]", "1e100", f"1e{10**20}", "[" * 900 + "]" * 900], {0, 1, 3, 4}),
        ("jsonb", "TEXT", ['{"a":' * 600 + "1" + "}" * 600, '{"a":' * 290 + "1" + "}" * 290], {0}),
        ("json", "TEXT", ["[" * 100_000, f"1e{10**20}", "1" * 5000], {0}),
        ("bigint[]", "TEXT", ["[" + "1" * 5000 + "]", "[" * 7 + "1" + "]" * 7, "[" * 6 + "1" + "]" * 6], {0, 1}),
        ("mood", "TEXT COLLATE NOCASE", ["A B", "c"], {0}),
        ("mood", "TEXT COLLATE RTRIM", ["c ", "c"], {0}),
        ("integer[]", "TEXT", ["[1e999]", "[9999999999]", "[1.5]", "[2147483647, null]"], {0, 1, 2}),
        ("double precision[]", "TEXT", ["[1e999]", "[9007199254740993]", "[0.1, 3]"], {0, 1}),
        ("varchar(3)[]", "TEXT", ['["abc "]', '["abc"]'], {0}),
        *((kind, "", [BAD, None], {0}) for kind in (
            "double precision", "real", "numeric", "numeric(5,2)", "jsonb", "json", "text[]", "uuid", "timestamp",
            "integer", "boolean", "text", "varchar(5)", "bytea", "mood")),
        ("uuid", "", ["abcdefghijklmnop", b"abcdefghijklmnop"], {0}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mark", ["", "\x1f"], ids=["", "a mark beside it"])
def test_what_would_change_is_refused_with_its_row(  # noqa: PLR0917 - parameters and fixtures
    kind, declared, values, refused, mark, bridge, fresh_database, tmp_path
):
    target(fresh_database, kind, "text")
    file = written(tmp_path, "UTF-8", [(kind, declared), ("text", "TEXT")], enumerate([one, mark] for one in values))

    found = examined(bridge, fresh_database.database, file)

    assert {fault.row_id for fault in found.faults} == refused
    with closing(sqlite3.connect(file)) as session, session:
        session.executemany("DELETE FROM t WHERE id = ?", [[row_id] for row_id in refused])
    assert examined(bridge, fresh_database.database, file, is_loaded=True).counts == ()
    assert len(arrived(fresh_database, "id")) == len(values) - len(refused)


@pytest.mark.parametrize(
    ("kind", "declared", "values", "expected"),
    [
        ("boolean", "", [0, 0.0, 1, 1.0], [False, False, True, True]),
        ("numeric", "", [-0.0, "-0.00", 1e22], ["0.0", "0.00", "10000000000000000000000"]),
        ("numeric(40,20)", "TEXT", ["12345678901234567890.12345678901234567890"], [
            "12345678901234567890.12345678901234567890"]),
        ("bigint[]", "TEXT", ["[9007199254740993.0]"], [[9007199254740993]]),
        ("varchar(3)", "TEXT COLLATE NOCASE", ["A", "a"], ["A", "a"]),
        ("bigint", "REAL", [0, 1, None, -(2**31) - 1, 2**53, -(2**63)], [0, 1, None, -(2**31) - 1, 2**53, -(2**63)]),
        ("bigint", "REAL UNIQUE CHECK (v0 > 0)", [1, 2**62], [1, 2**62]),
        ("boolean", "DOUBLE", [0, 1, None], [False, True, None]),
        ("uuid", "UUID", [f"00000000-0000-0000-0000-{n:012}" for n in (0, 1)], [UUID(int=0), UUID(int=1)]),
        ("uuid", "UUID", ["12345678-1234-1234-1234-12345678e901"], [UUID("12345678-1234-1234-1234-12345678e901")]),
    ],
)  # fmt: skip
def test_what_is_the_same_in_another_form_arrives(  # noqa: PLR0917 - parameters and fixtures
    kind, declared, values, expected, bridge, fresh_database, tmp_path
):
    target(fresh_database, f"{kind} UNIQUE" if kind == "varchar(3)" else kind)
    file = written(tmp_path, "UTF-8", [(kind, declared)], enumerate([one] for one in values))

    examined(bridge, fresh_database.database, file, is_loaded=True)

    found = [str(one) if isinstance(one, Decimal) else one for one in arrived(fresh_database)]
    assert found == expected


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_a_file_of_any_encoding_is_read_the_same(encoding, bridge, fresh_database, tmp_path):
    kinds = {
        "jsonb": ('{"é": 1}', {"é": 1}), "timestamp": ("2024-01-01", datetime(2024, 1, 1)),  # noqa: DTZ001
        "date": ("2024-01-02", date(2024, 1, 2)), "text": ("é\x1f💥", "é\x1f💥"), "text[]": ('["é"]', ["é"]),
        "numeric(5,2)": ("1.50", Decimal("1.50")), "varchar(3)": ("é\0€", "é€"),
    }  # fmt: skip
    target(fresh_database, *kinds)
    columns, values = [(kind, "TEXT") for kind in kinds], [value for value, _ in kinds.values()]
    file = written(tmp_path, encoding, columns, [(1, values), (2, ['{"é": 1, "é": 2}', *[None] * (len(kinds) - 1)])])
    rules = parse_rules({"t.v6": {"nul": "strip"}})

    found = examined(bridge, fresh_database.database, file, rules)

    assert [(one.column, one.row_id, one.reason) for one in found.faults] == [("v0", 2, "has the same key twice")]
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("DELETE FROM t WHERE id = 2")
    examined(bridge, fresh_database.database, file, rules, is_loaded=True)
    assert [arrived(fresh_database, f"v{at}")[0] for at in range(len(kinds))] == [one for _, one in kinds.values()]


def test_a_rule_rounds_what_has_too_many_digits(bridge, fresh_database, tmp_path):
    target(fresh_database, "double precision", "real")
    columns = [("double precision", ""), ("real", "")]
    file = written(tmp_path, "UTF-8", columns, [(1, [2**53 + 1, 0.123456789]), (2, [0.1, 2**60 + 1])])
    rules = parse_rules({"t.v0": {"round": True}, "t.v1": {"round": True}})

    found = examined(bridge, fresh_database.database, file, rules, is_loaded=True)

    assert sum(fix.count for fix in found.fixes) >= 3
    assert arrived(fresh_database) == [2.0**53, 0.1]
    assert [round(one, 6) for one in arrived(fresh_database, "v1::float8")] == [0.123457, 2.0**60]


def test_nine_hundred_columns_are_read(bridge, fresh_database, tmp_path):
    kinds = [("varchar(5)", "integer", "timestamp")[at % 3] for at in range(900)]
    target(fresh_database, *kinds)
    row = [("a\tb", 7, "2024-01-01 00:00:00.000000")[at % 3] for at in range(900)]
    file = written(tmp_path, "UTF-8", [(kind, "") for kind in kinds], [(1, row), (2, [None] * 900)])

    examined(bridge, fresh_database.database, file, is_loaded=True)

    assert arrived(fresh_database, "v0 || v1 || v899") == ["a\tb72024-01-01 00:00:00", None]


def test_triggers_of_the_target_write_nothing_and_are_there_again(bridge, fresh_database, tmp_path):
    target(fresh_database, "text")
    with connect(fresh_database) as session:
        session.execute("""
            CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN NEW.v0 := 'changed'; INSERT INTO t VALUES (NEW.id + 1000, 'more'); RETURN NEW; END $$""")
        session.execute(
            "CREATE TRIGGER loud BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id < 1000) EXECUTE FUNCTION loud()"
        )
        session.execute("CREATE TRIGGER always BEFORE DELETE ON t EXECUTE FUNCTION loud()")
        session.execute("CREATE TRIGGER off BEFORE DELETE ON t EXECUTE FUNCTION loud()")
        session.execute("ALTER TABLE t ENABLE ALWAYS TRIGGER always; ALTER TABLE t DISABLE TRIGGER off")
    file = written(tmp_path, "UTF-8", [("text", "TEXT")], [(1, ["a"])])
    (table,) = bridge.target_tables(fresh_database.database)

    examined(bridge, fresh_database.database, file, is_loaded=True)

    assert table.triggers == ("always", "loud")
    assert arrived(fresh_database) == ["a"]
    with connect(fresh_database) as session:
        states = session.execute("SELECT tgname, tgenabled::text FROM pg_trigger ORDER BY 1").fetchall()
    assert states == [("always", "A"), ("loud", "O"), ("off", "D")]


def test_a_session_that_lost_its_settings_takes_no_moment_for_another(fresh_database, tmp_path):
    target(fresh_database, "timestamptz", "double precision")
    moment = "2024-06-01 12:00:00.000000"
    file = written(tmp_path, "UTF-8", [("timestamptz", ""), ("double precision", "")], [(1, [moment, 0.1])])
    bridge = SqlitePostgresBridge(fresh_database, tmp_path / "work", RecordingReporter())
    folder = bridge.new_folder()
    bridge.copy_source(file, folder / "copy.db")
    (pair,), _ = pair_up(bridge.source_tables(folder / "copy.db"), bridge.target_tables(fresh_database.database))
    (parts,) = bridge.examine(folder / "copy.db", [pair], (), is_kept=True).lines.values()

    def behind_a_pooler():
        session = connect(fresh_database)
        session.execute("SET TimeZone = 'Asia/Tokyo'; SET extra_float_digits = -5; SET client_encoding = 'LATIN1'")
        return session

    load_table(folder / "copy.db", behind_a_pooler, pair, parts, lambda _rows: None)

    assert arrived(fresh_database) == [datetime(2024, 6, 1, 12, tzinfo=UTC)]


def test_rows_that_are_looked_at_again_are_not_counted_again(bridge, fresh_database, tmp_path):
    target(fresh_database, "text")
    rows = [(number, ["\x1f" if number == 9000 else "a"]) for number in range(1, 9001)]
    file = written(tmp_path, "UTF-8", [("text", "TEXT")], rows)
    pairs, _ = pair_up(bridge.source_tables(file), bridge.target_tables(fresh_database.database))
    heard = []

    examine(file, pairs, on_rows=heard.append, folder=None)

    assert min(heard) >= 0
    assert sum(heard) == 9000


def test_no_room_for_the_kept_lines_is_said_so(bridge, fresh_database, tmp_path):
    target(fresh_database, "text")
    file = written(tmp_path, "UTF-8", [("text", "TEXT")], [(1, ["a" * 3_000_000])])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    folder = bridge.new_folder()
    pairs, _ = pair_up(bridge.source_tables(file), bridge.target_tables(fresh_database.database))

    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(ArchiveUnwritable, match="cannot be written"):
            examine(file, pairs, on_rows=lambda _rows: None, folder=folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_first_failure_of_a_load_is_the_one_that_is_told(bridge, fresh_database, tmp_path):
    target(fresh_database, "text")
    file = written(tmp_path, "UTF-8", [("text", "TEXT")], [(1, ["a"]), (2, ["a"])])
    with connect(fresh_database) as session:
        session.execute("ALTER TABLE t ADD CONSTRAINT apart EXCLUDE USING btree (v0 WITH =)")

    with pytest.raises(LoadFailed) as failed:
        examined(bridge, fresh_database.database, file, is_loaded=True)

    assert "apart" in failed.value.cause
