"""How do the rows that the server is asked about get beside the target's own tables, and out again without a trace?

In a temporary table, of the columns that are judged only, and as the types that they will have; what a type makes of a
text is to be seen first, so such a column is a text there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection

import psycopg
from psycopg import sql

from ops.adapters.transfer import source
from ops.adapters.transfer.rows import MarkInText, read_batches
from ops.errors import LoadFailed
from ops.model.transfer.checks import any_fault
from ops.model.transfer.columns import ESCAPED, RAW
from ops.model.transfer.judgement import ROW
from ops.model.transfer.lines import quoted
from ops.model.transfer.schema import Column, Pair

_GIVEN_NAME, _TYPED_NAME = '"ops: given"', '"ops: typed"'
GIVEN, TYPED = f"pg_temp.{_GIVEN_NAME}", f"pg_temp.{_TYPED_NAME}"
"""The rows as they were sent, and as the target would hold them."""
ROW_NAME = quoted(ROW)
_SOUND = "ops: sound"
_ID = Column(ROW, "int", "bigint", is_nullable=False, size_bytes=8, base_type="bigint")
_GENERATED = """
SELECT a.attname, pg_get_expr(d.adbin, d.adrelid), format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s::regclass AND a.attgenerated <> '' ORDER BY a.attnum
"""


@contextmanager
def sound_rows(copy: Path, pair: Pair, read: Sequence[Column], bad: set[str]) -> Iterator[tuple[Connection, Pair]]:
    """The rows whose values of these columns can be read as their types, as a pair of their own."""
    table = replace(pair.table, columns=(_ID, *read))
    names = [pair.name_of(column.name) for column in read]
    row_id = pair.source.row_id
    with source.opened(copy) as reading:
        part = Pair(table, pair.source, (_unquoted(row_id), *names))
        if bad.intersection(names):
            faults = " OR ".join(any_fault(column, quoted(name)) for column, name in zip(read, names, strict=True))
            columns = ", ".join(map(quoted, names))
            reading.execute(f"CREATE TABLE {quoted(_SOUND)} ({ROW_NAME} INTEGER PRIMARY KEY, {columns})")
            reading.execute(
                f"INSERT INTO {quoted(_SOUND)} SELECT {row_id}, {columns} FROM {quoted(pair.source.name)}"  # noqa: S608
                f" WHERE NOT coalesce({faults}, 0)"
            )
            part = Pair(table, replace(pair.source, name=_SOUND, row_id=ROW_NAME), (ROW, *names))
        reading.text_factory = bytes
        try:
            yield reading, part
        finally:
            reading.execute(f"DROP TABLE IF EXISTS {quoted(_SOUND)}")


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def give_rows(session: psycopg.Connection, pair: Pair, read: Sequence[Column], reading: Connection, part: Pair) -> None:
    """Put the rows into a temporary table; what has a form to be judged as the text that it is."""
    named = "".join(f", {quoted(one.name)}::{_held_as(one)} AS {quoted(one.name)}" for one in read)
    columns = f"SELECT 0::bigint AS {ROW_NAME}{named} FROM {_place(pair)}"  # noqa: S608 - quoted
    session.execute(raw(f"CREATE TEMP TABLE {_GIVEN_NAME} ON COMMIT DROP AS {columns} WITH NO DATA"))
    for marks in (RAW, ESCAPED):
        try:
            with session.transaction(), session.cursor().copy(raw(f"COPY {GIVEN} FROM STDIN")) as lines:
                for batch in read_batches(reading, part, marks, is_judged=False):
                    if batch.faulty:
                        raise LoadFailed(f"{pair.source.name} holds other values than were examined")
                    lines.write(batch.load)
        except MarkInText:
            continue
        return


def _held_as(column: Column) -> str:
    return "text" if column.kind == "other" or column.is_cut else column.base_type


def make_typed(session: psycopg.Connection, pair: Pair, read: Sequence[Column]) -> None:
    """The rows as the target would hold them, generated columns included."""
    named = "".join(f", {quoted(one.name)}::{one.base_type} AS {quoted(one.name)}" for one in read)
    made = session.execute(_GENERATED, [_place(pair)]).fetchall()
    wanted = {name for one in pair.table.judgements for name in one.columns}
    more = "".join(f", ({written})::{type_} AS {quoted(name)}" for name, written, type_ in made if name in wanted)
    inner = f"SELECT {ROW_NAME}{named} FROM {GIVEN}"  # noqa: S608 - quoted
    outer = f"SELECT j.*{more} FROM ({inner}) AS j"  # noqa: S608 - quoted, and the server's own words
    session.execute(raw(f"CREATE TEMP VIEW {_TYPED_NAME} AS {outer}"))


def _place(pair: Pair) -> str:
    return f"{quoted(pair.table.schema)}.{quoted(pair.table.name)}"


def raw(text: str) -> sql.SQL:
    """SQL of names that are quoted and of what the server itself wrote."""
    return sql.SQL(text)
