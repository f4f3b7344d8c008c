"""Do rows of binary COPY hold what their lines would, and does all else go as lines?"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from psycopg import sql

from ops.adapters.transfer.bridge import SqlitePostgresBridge
from ops.adapters.transfer.copy_out import last_binary_rows, messages_of
from ops.adapters.transfer.examine import examine
from ops.adapters.transfer.load import load_table
from ops.adapters.transfer.printed import BINARY_END, BINARY_HEAD, binary_rows, digests_of_rows
from ops.adapters.transfer.scan import spans_of
from ops.errors import DataDiffers, LoadFailed
from ops.model.transfer.schema import pair_up
from tests.adapters.transfer.meaning import Broken
from tests.adapters.transfer.one_table import examined, written
from tests.conftest import connect
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres

COLUMNS = [
    ("smallint", "SMALLINT"), ("integer", "INTEGER"), ("bigint", "BIGINT"), ("boolean", "BOOLEAN"), ("text", "TEXT"),
    ("varchar(5)", "VARCHAR(5)"), ("double precision", "FLOAT"), ("timestamptz", "DATETIME"),
    ("timestamp", "DATETIME"), ("date", "DATE"), ("bytea", "BLOB"),
]  # fmt: skip
ROWS = [
    [-(2**15), -(2**31), -(2**63), 0, "", "", float("-inf"), "0001-01-01 00:00:00.000000",
     "0001-01-01 00:00:00.000001", "0001-01-01", b""],
    [2**15 - 1, 2**31 - 1, 2**63 - 1, 1, "tab\tline\nback\\slash\x1d\x1f", "ü€💥ab", 5e-324,
     "9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999", "9999-12-31", b"\0\xff"],
    [0, 0, 0, 0, "\\N", "\\.", 1e308, "2000-01-01 00:00:00.000000", "2024-02-29 12:00:00.500000", "1970-01-01", b"\\x"],
    [None] * 11,
]  # fmt: skip


@pytest.fixture
def endpoint(fresh_database):
    with connect(fresh_database) as session:
        session.execute("CREATE TYPE mood AS ENUM ('glad')")
    return fresh_database


def target(endpoint, columns, key="id bigint PRIMARY KEY"):
    with connect(endpoint) as session:
        session.execute(
            f"CREATE TABLE t ({', '.join([key, *(f'v{at} {kind}' for at, (kind, _) in enumerate(columns))])})"
        )


def bridge_of(endpoint, folder, **more):
    return SqlitePostgresBridge(endpoint, folder / "work", RecordingReporter(), **more)


def rows_of(endpoint):
    with connect(endpoint) as session:
        session.execute("SET TimeZone = 'UTC'")
        return session.execute("SELECT * FROM t ORDER BY id").fetchall()


def forms(found):
    """Whether each part was made as rows of binary COPY."""
    return [part.is_binary for parts in found.lines.values() for part in parts]


def test_values_of_every_plain_kind_arrive_as_they_do_in_lines(endpoint, tmp_path):
    target(endpoint, COLUMNS)
    file = written(tmp_path, "UTF-8", COLUMNS, enumerate(ROWS, start=-1))

    found = examined(bridge_of(endpoint, tmp_path, part_rows=3), endpoint.database, file, is_loaded=True)
    in_binary = rows_of(endpoint)
    by_lines = examined(bridge_of(endpoint, tmp_path, is_binary=False), endpoint.database, file, is_loaded=True)

    assert forms(found) == [True, True]
    assert forms(by_lines) == [False]
    assert rows_of(endpoint) == in_binary
    assert in_binary[1] == (
        0, 2**15 - 1, 2**31 - 1, 2**63 - 1, True, "tab\tline\nback\\slash\x1d\x1f", "ü€💥ab", 5e-324,
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999), date(9999, 12, 31), b"\0\xff",  # noqa: DTZ001
    )  # fmt: skip
    assert in_binary[0][6:9] == ("", float("-inf"), datetime(1, 1, 1, tzinfo=UTC))
    assert in_binary[3] == (2, *[None] * 11)


@pytest.mark.parametrize(
    ("kind", "declared", "values"),
    [
        ("timestamp", "DATETIME", ["2024-01-01T10:00:00.000000", "2024-01-01", "2024-01-01 10:00:00"]),
        ("timestamptz", "DATETIME", ["2024-01-01 10:00:00.00+00:30"]),
        ("date", "DATE", ["2024-01-01 00:00:00.000000"]),
        ("boolean", "FLOAT", [1, 0, 1]),
        ("bigint", "REAL", [1, 2**40]),
    ],
)
def test_what_is_unified_goes_over_in_binary_then(kind, declared, values, endpoint, tmp_path):
    target(endpoint, [(kind, declared)])
    file = written(tmp_path, "UTF-8", [(kind, declared)], enumerate([one] for one in values))

    found = examined(bridge_of(endpoint, tmp_path), endpoint.database, file, is_loaded=True)

    assert sum(fix.count for fix in found.fixes) > 0
    assert forms(found) == [True]
    assert len(rows_of(endpoint)) == len(values)


@pytest.mark.parametrize(
    ("kind", "declared", "value"),
    [
        ("smallint", "INTEGER", 2**15), ("integer", "INTEGER", -(2**31) - 1), ("bigint", "INTEGER", 1.5),
        ("bigint", "INTEGER", "x"), ("bigint", "INTEGER", b"1"), ("boolean", "BOOLEAN", 2), ("boolean", "BOOLEAN", "t"),
        ("text", "TEXT", b"bytes"), ("text", "TEXT", "a\0b"), ("text", "TEXT", Broken(b"\xe9")),
        ("varchar(3)", "TEXT", "abcd"), ("varchar(3)", "TEXT", "äöü€"), ("double precision", "FLOAT", "x"),
        ("double precision", "FLOAT", b"1"), ("timestamp", "DATETIME", "0000-01-01 00:00:00.000000"),
        ("timestamp", "DATETIME", "2023-02-29 00:00:00.000000"),
        ("timestamp", "DATETIME", "2024-01-01 24:00:00.000000"),
        ("timestamp", "DATETIME", "2024-01-01 23:59:60.000000"), ("timestamp", "DATETIME", 1700000000),
        ("timestamp", "DATETIME", b"2024-01-01 00:00:00.000000"), ("timestamp", "DATETIME", ""),
        ("date", "DATE", "2024-13-01"), ("date", "DATE", "0000-01-01"), ("date", "DATE", b"2024-01-01"),
        ("bytea", "BLOB", "text"), ("bytea", "BLOB", 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [0, 9000], ids=["first", "in a later batch"])
def test_a_value_that_does_not_fit_is_found_wherever_it_stands(  # noqa: PLR0917 - parameters and fixtures
    kind, declared, value, before, endpoint, tmp_path
):
    target(endpoint, [(kind, declared)])
    file = written(tmp_path, "UTF-8", [(kind, declared)], [])
    rows = [*([None] for _ in range(before)), [value]]
    place = "CAST(? AS TEXT)" if isinstance(value, Broken) else "?"
    with closing(sqlite3.connect(file)) as session, session:
        given = ([number, one.data if isinstance(one, Broken) else one] for number, (one,) in enumerate(rows))
        session.executemany(f"INSERT INTO t VALUES (?, {place})", given)

    found = examined(bridge_of(endpoint, tmp_path), endpoint.database, file)

    assert [(fault.column, fault.row_id) for fault in found.faults] == [("v0", before)]


def test_a_missing_value_that_the_target_wants_is_found(endpoint, tmp_path):
    target(endpoint, [("bigint NOT NULL", "INTEGER")])
    file = written(tmp_path, "UTF-8", [("bigint", "INTEGER")], [(1, [1]), (2, [None])])

    found = examined(bridge_of(endpoint, tmp_path), endpoint.database, file)

    assert [(fault.row_id, fault.reason) for fault in found.faults] == [(2, "is NULL, the target wants a value")]


@pytest.mark.parametrize(
    ("columns", "encoding", "key"),
    [
        ([("text", "TEXT")], "UTF-16le", "id bigint PRIMARY KEY"),
        ([("text", "")], "UTF-8", "id bigint PRIMARY KEY"),
        ([("text", "TEXT")], "UTF-8", "id bigint"),
        ([("double precision", "")], "UTF-8", "id bigint PRIMARY KEY"),
        ([("timestamp(3)", "DATETIME")], "UTF-8", "id bigint PRIMARY KEY"),
        ([("mood", "TEXT")], "UTF-8", "id bigint PRIMARY KEY"),
        ([("bigint", "INTEGER")] * 100, "UTF-8", "id bigint PRIMARY KEY"),
    ],
)
def test_other_tables_go_as_lines(columns, encoding, key, endpoint, tmp_path):
    target(endpoint, columns, key)
    file = written(tmp_path, encoding, columns, [(1, [None] * len(columns))])

    found = examined(bridge_of(endpoint, tmp_path), endpoint.database, file, is_loaded=True)

    assert forms(found) == [False]
    assert len(rows_of(endpoint)) == 1


def test_large_values_among_small_ones_arrive(endpoint, tmp_path):
    columns = [("text", "TEXT"), ("bytea", "BLOB")]
    target(endpoint, columns)
    rows = [[f"{number}", b"small"] for number in range(1000)]
    rows[0][0], rows[500][1], rows[501][0], rows[999] = "x" * 3_000_000, b"\0" * 5_000_000, "ü" * 40_000, [None, None]
    file = written(tmp_path, "UTF-8", columns, enumerate(rows))

    found = examined(bridge_of(endpoint, tmp_path, part_rows=600), endpoint.database, file, is_loaded=True)

    assert forms(found) == [True, True]
    assert [list(row[1:]) for row in rows_of(endpoint)] == rows


def test_a_server_that_holds_other_rows_is_told(endpoint, tmp_path):
    target(endpoint, [("bigint", "INTEGER")])
    file = written(tmp_path, "UTF-8", [("bigint", "INTEGER")], [(1, [7]), (2, [8])])
    bridge = bridge_of(endpoint, tmp_path)
    copy = bridge.new_folder() / "copy.db"
    bridge.copy_source(file, copy)
    (pair,), _ = pair_up(bridge.source_tables(copy), bridge.target_tables(endpoint.database))
    (parts,) = bridge.examine(copy, [pair], (), is_kept=True).lines.values()
    rows = Path(parts[0].path)
    assert rows.read_bytes().endswith(b"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x08")

    rows.write_bytes(rows.read_bytes()[:-1] + b"\x09")  # as if a bit fell over on the way

    with pytest.raises(DataDiffers, match="t in PostgreSQL is not what the source holds"):
        load_table(copy, lambda: connect(endpoint), pair, parts, lambda _rows: None)
    bridge.remove_folder(copy.parent)


QUERY = sql.SQL(
    "SELECT g, repeat('x', g % 3000), NULL::text, repeat('d', (g = 77)::int * 3000000) FROM generate_series(1, 9000) g"
)


def test_the_rows_are_those_of_libpq_whatever_their_lengths(postgres_server):
    with connect(postgres_server) as session:
        expected = b"".join(row for rows in binary_rows(session, QUERY) for row in rows)

    session = connect(postgres_server)
    blocks = list(last_binary_rows(session, QUERY))

    assert b"".join(row for rows in blocks for row in rows) == expected
    assert expected.startswith(BINARY_HEAD)
    assert expected.endswith(BINARY_END)
    assert session.closed


def message(kind, body):
    return kind + (len(body) + 4).to_bytes(4, "big") + body


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 4096])
@pytest.mark.parametrize("is_head_alone", [True, False])
def test_a_checksum_for_each_part_whatever_pieces_the_rows_come_in(size, is_head_alone):
    rows = [b"\0\x02", b"d\0\0\0\x05", b"", b"Z" * 300, b"\n" * 6, b"\0" * 5]
    first = [BINARY_HEAD, *rows] if is_head_alone else [BINARY_HEAD + rows[0], *rows[1:]]
    stream = b"".join([
        message(b"H", bytes(7)), message(b"N", b"SDEBUG\0Md\0\0"), *(message(b"d", one) for one in first),
        message(b"d", BINARY_END), message(b"c", b""), message(b"C", b"COPY 6\0"), message(b"Z", b"I"),
    ])  # fmt: skip
    expected = [digests_of_rows([[BINARY_HEAD, *part, BINARY_END]], [len(part)])[0] for part in (rows[:2], rows[2:])]

    def found(counts):
        pieces = iter([stream[start : start + size] for start in range(0, len(stream), size)])
        return digests_of_rows(messages_of(lambda _most: next(pieces)), counts)

    assert found([2, 4]) == expected
    assert found([2, 3]) != expected
    assert len(found([2, 3])) == 3


@pytest.mark.parametrize(
    "ids", [range(10), [*range(5), *range(6, 11)], [-(2**63), 0, 2**63 - 1], [], [2**63 - 2, 2**63 - 1]]
)
@pytest.mark.parametrize("part_rows", [1, 3, 5, 10, 11])
def test_parts_are_of_so_many_rows_and_hold_all_ids_there_can_be(ids, part_rows, endpoint, tmp_path):
    target(endpoint, [])
    file = tmp_path / "source.db"
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        session.executemany("INSERT INTO t VALUES (?)", [[one] for one in ids])
    bridge = bridge_of(endpoint, tmp_path)
    (pair,), _ = pair_up(bridge.source_tables(file), bridge.target_tables(endpoint.database))

    spans = spans_of(file, pair, part_rows)

    assert (spans[0][0], spans[-1][1]) == (-(2**63), 2**63 - 1)
    assert [first for first, _ in spans[1:]] == [last + 1 for _, last in spans[:-1]]
    sizes = [sum(first <= one <= last for one in ids) for first, last in spans]
    assert sum(sizes) == len(ids)
    assert all(size == part_rows for size in sizes[:-1])
    assert sizes[-1] <= part_rows


@pytest.mark.parametrize(
    ("parents", "children", "orphans"),
    [
        (range(1, 6), [1, 5, None, 3], []),
        (range(1, 6), [1, 6, 0, 5], [1, 2]),
        ([1, 2, 4, 5], [1, 3, 5], [1]),
        ([1, 2, 4, 5], [1, 4, 5], []),
        ([-3, -2, -1], [-1, -3, -4], [2]),
        ([], [None], []),
        ([], [1], [0]),
        ([7], [None, None], []),
    ],
)
def test_a_row_without_a_parent_is_found_with_and_without_gaps_among_the_parents(
    parents, children, orphans, endpoint, tmp_path
):
    with connect(endpoint) as session:
        session.execute("CREATE TABLE parent (id bigint PRIMARY KEY)")
        session.execute("CREATE TABLE t (id bigint PRIMARY KEY, v0 bigint REFERENCES parent)")
    file = written(tmp_path, "UTF-8", [("bigint", "INTEGER")], enumerate([one] for one in children))
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        session.executemany("INSERT INTO parent VALUES (?)", [[one] for one in parents])

    found = examined(bridge_of(endpoint, tmp_path), endpoint.database, file)

    assert [(fault.table, fault.row_id) for fault in found.faults] == [("t", one) for one in orphans]


@pytest.mark.parametrize("value", ["x" * 5000, "a\0b"], ids=["large", "NUL"])
def test_a_key_that_is_no_row_id_is_not_taken_for_one(value, endpoint, tmp_path):
    """`INTEGER PRIMARY KEY DESC` is a column of its own beside the row id."""
    target(endpoint, [("text", "TEXT")])
    file = tmp_path / "source.db"
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("CREATE TABLE t (id INTEGER PRIMARY KEY DESC, v0 TEXT)")
        rows = [(number, value if number == 700 else "small") for number in range(1000, 400, -1)]
        session.executemany("INSERT INTO t VALUES (?, ?)", rows)

    found = examined(bridge_of(endpoint, tmp_path), endpoint.database, file, is_loaded=True)

    if "\0" in value:
        assert [fault.row_id for fault in found.faults] == [301]
    else:
        assert rows_of(endpoint) == sorted(rows)


def test_rows_that_were_not_read_are_missed(endpoint, tmp_path):
    target(endpoint, [("text", "TEXT")])
    file = written(tmp_path, "UTF-8", [("text", "TEXT")], enumerate(["a"] for _ in range(5)))
    bridge = bridge_of(endpoint, tmp_path)
    (pair,), _ = pair_up(bridge.source_tables(file), bridge.target_tables(endpoint.database))
    counted = replace(pair, source=replace(pair.source, rows=6))

    for is_binary in (True, False):
        with pytest.raises(LoadFailed, match="t has 6 rows, and 5 of them were read"):
            examine(file, [counted], on_rows=lambda _rows: None, folder=tmp_path, is_binary=is_binary)


def test_a_large_row_is_joined_once_and_gives_a_sign_of_life_meanwhile():
    body = bytes(8 << 20)
    stream = message(b"d", BINARY_HEAD + body) + message(b"d", BINARY_END) + message(b"Z", b"I")
    at = 0

    def receive(size):
        nonlocal at
        at += size
        return stream[at - size : at]

    blocks = list(messages_of(receive))

    assert b"".join(row for rows in blocks for row in rows) == BINARY_HEAD + body + BINARY_END
    assert sum(not rows for rows in blocks) > 20
    assert digests_of_rows(blocks, [1]) == digests_of_rows([[BINARY_HEAD, body]], [1])


@pytest.mark.parametrize("is_broken", [False, True], ids=["absent", "broken"])
def test_without_its_libraries_every_table_goes_as_lines_and_broken_ones_are_told(
    is_broken, endpoint, tmp_path, monkeypatch
):
    target(endpoint, [("text", "TEXT")])
    file = written(tmp_path, "UTF-8", [("text", "TEXT")], [(1, ["a"])])
    monkeypatch.delitem(sys.modules, "ops.adapters.transfer.binary_rows")
    if is_broken:
        (tmp_path / "pgpq.py").write_text("raise ImportError('libfoo.so: cannot open shared object file')\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "pgpq")
    else:
        monkeypatch.setitem(sys.modules, "pgpq", None)
    report = RecordingReporter()

    found = examined(SqlitePostgresBridge(endpoint, tmp_path / "work", report), endpoint.database, file, is_loaded=True)

    assert forms(found) == [False]
    assert len(rows_of(endpoint)) == 1
    assert ["libfoo.so" in one for one in report.warnings] == [True] * is_broken
