"""Does every value of any table arrive equal, or is it named with its row?

Tables of random kinds and of values of every storage class, judged by `meaning`, which shares nothing with the
transfer. Rows with a fault are taken out and the rest goes over, so that each table is loaded.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.adapters.transfer.bridge import SqlitePostgresBridge
from tests.adapters.transfer import meaning
from tests.adapters.transfer.meaning import REFUSED, Broken, Either
from tests.adapters.transfer.one_table import examined, written
from tests.conftest import connect
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres

LABELS = ("a b", "c'd", "", "\\N", "ä")
KINDS = {
    "smallint": meaning.whole(2), "integer": meaning.whole(4), "bigint": meaning.whole(8), "boolean": meaning.boolean,
    "text": meaning.words(), "varchar(3)": meaning.words(3), "char(4)": meaning.words(4, padded=4),
    "strange": meaning.words(labels=LABELS), "double precision": meaning.double, "real": meaning.single,
    "numeric": meaning.decimal(), "numeric(6,2)": meaning.decimal(6, 2), "numeric(40,20)": meaning.decimal(40, 20),
    "timestamptz": meaning.moment("timestamptz"), "timestamp": meaning.moment("timestamp"),
    "timestamp(0)": meaning.moment("timestamp", timedelta(seconds=1)), "date": meaning.moment("date"),
    "time": meaning.moment("time"), "interval": meaning.moment("interval"), "uuid": meaning.uuid,
    "json": meaning.document(is_binary=False), "jsonb": meaning.document(is_binary=True), "bytea": meaning.data,
    "text[]": meaning.listed(lambda one: one if isinstance(one, str) and "\0" not in one else REFUSED),
    "bigint[]": meaning.listed(meaning.whole(8)),
}  # fmt: skip
DECLARED = ["", "TEXT", "TEXT COLLATE NOCASE", "TEXT COLLATE RTRIM", "INTEGER", "REAL", "NUMERIC", "BLOB"]

EDGES = [0, 1, -1, 2, 2**15, -(2**15), 2**31, 2**53 + 1, 2**63 - 1, -(2**63), -0.0, 0.5, 1.0, 0.1, 1e22, 1e308, 5e-324,
    9007199254740993.0, float("inf"), 3.4e38, 16777217.0, 1e-50, "", " ", "\x1c", "\x1d", "\x1e", "\x1f", "\\N", "\\.",
    "\t", "\n", "\r", "\\", "a\x1fb", "\0", "a\0b", "t", "1", "+1", " 1", "1-2", "1_0", "٣", "1.", ".5", "1e5", "-0",
    "null", "NaN", "Infinity", '{"a": 1, "a": 2}', '{"ä": [1e3, -0.0, "\\u001f"]}', "1e400",
    '"\\ud800"', "[1, 1.0, null]",
    '["a", null, "\\\\N", "\\t"]', "[]", "[[]]", "2023-02-29 00:00:00.000000", "2024-02-29 23:59:59.999999",
    "0000-01-01 00:00:00.000000", "0999-12-31 24:00:00.000000", "2024-01-01T10:00:00+02:00", "2024-01-01", "1900-02-29",
    "00:00:00.000000", "24:00:00.000000", "23:59:60.000000", "2024-01-01\x1f", "2024-01-01T00:00-01:00",
    b"", b"2024-01-01", b"2024-01-01 00:00:00.000000", b"\x00\xff", b"t", Broken(b"\xe9"), Broken(b"\xed\xa0\x80"),
    Broken(b"1\xff")]  # fmt: skip
LETTERS = st.characters(codec="utf-8") | st.sampled_from("\x1c\x1d\x1e\x1f\t\n\\N\0 ")
MOMENTS = st.datetimes(datetime(1, 1, 1)).map(lambda one: one.isoformat(" ", "microseconds"))  # noqa: DTZ001
VALUES = (
    st.none() | st.sampled_from(EDGES) | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
    | st.floats(allow_nan=False, width=32) | st.text(LETTERS, max_size=6) | st.binary(max_size=17) | MOMENTS
    | MOMENTS.map(lambda one: one[:10]) | MOMENTS.map(lambda one: one[11:])
    | MOMENTS.map(lambda one: one[:19] + ".000000") | st.uuids().map(lambda one: one.hex)
    | st.decimals(-10000, 10000, places=2).map(str) | st.integers(0, 1)
)  # fmt: skip


WHOLE = st.integers(-(2**15), 2**15 - 1) | st.integers(-(2**31), 2**31 - 1) | st.integers(-(2**63), 2**63 - 1)
WORDS = st.text(LETTERS, max_size=3) | st.sampled_from(LABELS)
DECIMALS = st.decimals(-10000, 10000, places=2).map(str) | st.floats(-9999, 9999).map(lambda one: round(one, 2))
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
).map(json.dumps)
FIT = {
    "integer": WHOLE, "smallint": WHOLE, "bigint": WHOLE, "boolean": st.integers(0, 1), "text": WORDS,
    "varchar(3)": WORDS, "char(4)": WORDS, "strange": st.sampled_from(LABELS),
    "double precision": st.floats(allow_nan=False) | WHOLE,
    "real": st.floats(allow_nan=False, width=32) | DECIMALS.map(float),
    "numeric": st.floats(allow_nan=False) | DECIMALS,
    "numeric(6,2)": DECIMALS, "numeric(40,20)": st.decimals(places=20, allow_nan=False, allow_infinity=False).map(str),
    "timestamptz": MOMENTS, "timestamp": MOMENTS, "timestamp(0)": MOMENTS.map(lambda one: one[:19] + ".000000"),
    "date": MOMENTS.map(lambda one: one[:10]), "time": MOMENTS.map(lambda one: one[11:]), "interval": MOMENTS,
    "uuid": st.uuids().map(lambda one: one.hex), "json": JSON, "jsonb": JSON, "bytea": st.binary(max_size=9),
    "text[]": st.lists(st.none() | WORDS, max_size=3).map(json.dumps),
    "bigint[]": st.lists(st.none() | WHOLE, max_size=3).map(json.dumps),
}  # fmt: skip


ANY = st.tuples(st.sampled_from([*KINDS]), st.sampled_from(DECLARED))
PLAIN = st.sampled_from([
    ("smallint", "SMALLINT"), ("integer", "INTEGER"), ("bigint", ""), ("boolean", "BOOLEAN"), ("text", "TEXT"),
    ("varchar(3)", "VARCHAR(3)"), ("text", "CLOB COLLATE NOCASE"), ("double precision", "FLOAT"),
    ("timestamptz", "DATETIME"), ("timestamp", "TIMESTAMP"), ("date", "DATE"), ("bytea", "BLOB"),
])  # fmt: skip
"""Kinds that go over as rows of binary COPY, as SQLAlchemy declares them."""


@st.composite
def tables(draw, one=ANY):
    """(encoding, rows per part, columns as (kind, declared), rows as (id, values))."""
    columns = draw(st.lists(one, min_size=1, max_size=4))
    ids = draw(st.lists(st.sampled_from([-(2**63), 2**63 - 1]) | WHOLE | st.integers(-3, 9), unique=True, max_size=9))
    # Most values of a column are fit for it, else hardly a row would be left.
    some = [st.sampled_from([FIT[kind]] * 5 + [VALUES, st.none()]).flatmap(lambda one: one) for kind, _ in columns]
    rows = [(one, [draw(value) for value in some]) for one in ids]
    encoding = draw(st.sampled_from(["UTF-8", "UTF-8", "UTF-8", "UTF-16le", "UTF-16be"]))
    return encoding, draw(st.sampled_from([2, 3, 150_000])), columns, rows


@pytest.fixture(scope="module")
def database(postgres_server):
    name = "any_table"
    with connect(postgres_server) as session:
        session.execute(f"DROP DATABASE IF EXISTS {name}")
        session.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield type(postgres_server)(
            postgres_server.host, postgres_server.port, postgres_server.user, postgres_server.password, name
        )
        session.execute(f"DROP DATABASE {name} WITH (FORCE)")


def held(file):
    """What the file holds, by row id: SQLite may have changed the class of a value when it took it."""
    with closing(sqlite3.connect(file)) as session:
        session.text_factory = lambda text: text.decode() if _is_utf8(text) else Broken(text)
        return {row[0]: row[1:] for row in session.execute("SELECT * FROM t")}


def _is_utf8(text):
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


_READ = {"json": "v{0}::text", "jsonb": "v{0}::text", "real": "ARRAY[v{0}::text::float8, v{0}::float8]"}
"""A number of single precision is what is printed for it, or what it is exactly."""


def read_back(session, columns):
    """What PostgreSQL holds, as `meaning` says it."""
    names = ", ".join(_READ.get(kind, "v{0}").format(at) for at, (kind, _) in enumerate(columns))
    session.execute("SET TimeZone = 'UTC'")
    rows = session.execute(f"SELECT id, {names} FROM t").fetchall()
    kinds = [kind for kind, _ in columns]
    return {row[0]: [_as_meant(kind, one) for kind, one in zip(kinds, row[1:], strict=True)] for row in rows}


def _as_meant(kind, value):
    if value is None:
        return None
    if kind == "double precision":
        return struct.pack("<d", value)
    if kind == "real":
        return None if value[0] is None else {struct.pack("<d", one) for one in value}
    if kind.startswith("numeric"):
        return Fraction(value)
    if kind == "timestamptz":
        return value.astimezone(UTC)
    return meaning.contents(value) if kind == "jsonb" else value


def is_as_meant(kind, meant, found):
    """Whether a value that arrived is the one that was meant."""
    if isinstance(meant, Either):
        meant = meant.value
    if kind == "real" and meant is not None:
        return found is not None and meant in found
    if kind == "json" and not isinstance(meant, str | None):  # a number whose digits SQLite chose
        found = meaning.contents(found)
    return type(meant) is type(found) and meant == found


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(tables())
def test_what_is_taken_arrives_equal_and_what_is_refused_is_named_with_its_row(database, table):
    check(database, table)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(tables(PLAIN))
def test_so_do_tables_of_plain_kinds_which_go_over_in_binary(database, table):
    check(database, table)


def check(database, table):
    """Examine a table, take the faulty rows out, load the rest, and compare what arrived with what was meant."""
    encoding, part_rows, columns, rows = table
    folder = Path(tempfile.mkdtemp(prefix="opstest-any-"))
    try:
        file = written(folder, encoding, columns, rows)
        there = held(file)
        with connect(database) as session:
            session.execute("DROP TABLE IF EXISTS t; DROP TYPE IF EXISTS strange")
            labels = ", ".join("'" + one.replace("'", "''") + "'" for one in LABELS)
            session.execute(f"CREATE TYPE strange AS ENUM ({labels})")
            named = ", ".join(f"v{at} {kind}" for at, (kind, _) in enumerate(columns))
            session.execute(f"CREATE TABLE t (id bigint PRIMARY KEY, {named})")
            bridge = SqlitePostgresBridge(database, folder / "work", RecordingReporter(), part_rows=part_rows)
            meant = {
                row_id: [None if one is None else KINDS[kind](one) for (kind, _), one in zip(columns, row, strict=True)]
                for row_id, row in there.items()
            }

            faults = {(one.column, one.row_id) for one in examined(bridge, database.database, file).faults}

            places = [(f"v{at}", row_id, one) for row_id, row in meant.items() for at, one in enumerate(row)]
            refused = {(name, row_id) for name, row_id, one in places if one is REFUSED}
            free = {(name, row_id) for name, row_id, one in places if isinstance(one, Either)}
            assert refused <= faults <= refused | free
            sound = {row_id: row for row_id, row in meant.items() if row_id not in {one for _, one in faults}}
            with closing(sqlite3.connect(file)) as source, source:
                source.executemany("DELETE FROM t WHERE id = ?", [[row_id] for row_id in meant.keys() - sound.keys()])
            assert examined(bridge, database.database, file, is_loaded=True).counts == ()
            arrived = read_back(session, columns)
            assert arrived.keys() == sound.keys()
            assert [
                (kind, there[row_id][at], arrived[row_id][at])
                for row_id, row in sound.items()
                for at, ((kind, _), one) in enumerate(zip(columns, row, strict=True))
                if not is_as_meant(kind, one, arrived[row_id][at])
            ] == []
    finally:
        shutil.rmtree(folder)
