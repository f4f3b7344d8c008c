"""How do the kept rows of a table go into PostgreSQL, and how is it proved that they are there?

They go over in blocks, in binary or as lines. Then PostgreSQL's COPY writes the table in the same form, and that is
hashed. A fresh table is written in the order it was loaded, so both checksums are equal; where rows of very different
sizes changed places, sums over lines that do not depend on the order decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TypeVar

import psycopg
from psycopg import sql

from ops.adapters.transfer import source
from ops.adapters.transfer.copy_out import last_binary_rows, last_printed_blocks
from ops.adapters.transfer.printed import (
    ANY_ORDER,
    BINARY_END,
    BINARY_HEAD,
    BINARY_IN_ORDER,
    IN_ORDER,
    UnorderedSum,
    digests_of,
    digests_of_rows,
    order_text,
    printed_blocks,
    set_settings,
    sum_text,
)
from ops.adapters.transfer.rows import read_batches
from ops.errors import DataDiffers
from ops.model.transfer.columns import ESCAPED, RAW
from ops.model.transfer.lines import loaded_columns, printed_columns
from ops.model.transfer.plan import LoadedTable, PartLines
from ops.model.transfer.schema import Pair

_BLOCK_BYTES = 1 << 20
_TRIGGERS = """
SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled <> 'D'
"""
_STATES = {"O": sql.SQL("ENABLE"), "R": sql.SQL("ENABLE REPLICA"), "A": sql.SQL("ENABLE ALWAYS")}
T = TypeVar("T")
Connect = Callable[[], AbstractContextManager[psycopg.Connection]]


def load_table(
    copy: Path, connect: Connect, pair: Pair, parts: Sequence[PartLines], on_rows: Callable[[int], None]
) -> LoadedTable:
    """Load one table into an empty one and compare; its kept rows are gone afterwards.

    Args:
        copy: our copy of the source, at hand should the order of rows differ.
        connect: opens a session with the new database.
        pair: the table on both sides.
        parts: what the examination kept of it, in order.
        on_rows: hears how many more rows were sent, and of each block that came back; may raise to end it.

    Raises: DataDiffers; psycopg's errors (a value that the target refuses).
    """
    filled = [part for part in parts if part.rows]
    checksums, rows = [part.checksum for part in filled], sum(part.rows for part in filled)
    is_binary = all(part.is_binary for part in parts)
    with connect() as session:
        _send(session, pair, parts, on_rows)
        session.execute("BEGIN READ ONLY")
        set_settings(session)
        counts = [part.rows for part in filled]
        if is_binary:
            printed = digests_of_rows(_told(last_binary_rows(session, _held_query(pair)), on_rows), counts)
        else:
            printed = digests_of(_told(last_printed_blocks(session, printed_query(pair)), on_rows), counts)
    if printed != checksums:
        with connect() as session:
            _compare_unordered(copy, session, pair, parts, on_rows)
    for part in parts:
        Path(part.path).unlink()
    if pair.is_in_key_order:
        return LoadedTable(
            pair.table.shown,
            rows,
            order_text(checksums, is_binary=is_binary),
            BINARY_IN_ORDER if is_binary else IN_ORDER,
        )
    return LoadedTable(pair.table.shown, rows, sum_text(part.total for part in parts), ANY_ORDER)


def _told(blocks: Iterator[T], on_rows: Callable[[int], None]) -> Iterator[T]:
    """The blocks, each told before it is worked on: no more rows, but a sign of life."""
    for block in blocks:
        on_rows(0)
        yield block


def printed_query(pair: Pair) -> sql.Composed:
    """The query whose printed lines are those of the table."""
    table = sql.Identifier(pair.table.schema, pair.table.name)
    return sql.SQL("SELECT {} FROM {}").format(sql.SQL(printed_columns(pair)), table)


def _held_query(pair: Pair) -> sql.Composed:
    """The query whose rows are those of the table, with every value as it is held."""
    table = sql.Identifier(pair.table.schema, pair.table.name)
    return sql.SQL("SELECT {} FROM {}").format(sql.SQL(loaded_columns(pair)), table)


def _send(session: psycopg.Connection, pair: Pair, parts: Sequence[PartLines], on_rows: Callable[[int], None]) -> None:
    table = sql.Identifier(pair.table.schema, pair.table.name)
    form = sql.SQL("FREEZE, FORMAT binary" if all(part.is_binary for part in parts) else "FREEZE")
    statement = sql.SQL("COPY {} ({}) FROM STDIN ({})").format(table, sql.SQL(loaded_columns(pair)), form)
    with session.transaction(), session.cursor() as cursor:
        set_settings(session)
        states = _disable_triggers(session, table)
        # In the transaction that truncates it, a table may be loaded as if it had always been there: no later vacuum.
        cursor.execute(sql.SQL("TRUNCATE ONLY {}").format(table))
        with cursor.copy(statement) as copy:
            for block, rows in _blocks(parts):
                copy.write(block)
                on_rows(rows)
        wanted = sum(part.rows for part in parts)
        if cursor.rowcount != wanted:
            raise DataDiffers(f"{cursor.rowcount} rows of {wanted} arrived in {pair.table.shown}")
        for again in states:
            session.execute(again)


def _disable_triggers(session: psycopg.Connection, table: sql.Identifier) -> list[sql.Composed]:
    """The source holds already what they would write, here or elsewhere. Gives what makes each what it was."""
    again = []
    for name, state in session.execute(_TRIGGERS, [table.as_string(session)]).fetchall():
        session.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}").format(table, sql.Identifier(name)))
        again.append(sql.SQL("ALTER TABLE {} {} TRIGGER {}").format(table, _STATES[state], sql.Identifier(name)))
    return again


def _blocks(parts: Sequence[PartLines]) -> Iterator[tuple[bytes, int]]:
    """What COPY reads, with about how many rows it holds."""
    is_binary = all(part.is_binary for part in parts)
    if is_binary:
        yield BINARY_HEAD, 0
    for part in parts:
        path, sent_bytes, told = Path(part.path), 0, 0
        size_bytes = path.stat().st_size
        with path.open("rb") as rows:
            while block := rows.read(_BLOCK_BYTES):
                sent_bytes += len(block)
                so_far = part.rows * sent_bytes // size_bytes
                yield block, so_far - told
                told = so_far
    if is_binary:
        yield BINARY_END, 0


def _compare_unordered(
    copy: Path, session: psycopg.Connection, pair: Pair, parts: Sequence[PartLines], on_rows: Callable[[int], None]
) -> None:
    """Compare what both sides hold, whatever the order. Raises: DataDiffers."""
    ours, theirs = UnorderedSum(), UnorderedSum()
    with closing(source.connect(copy)) as reading:
        reading.text_factory = bytes
        for part in parts:
            marks = ESCAPED if part.has_marks or part.is_binary else RAW
            for batch in read_batches(reading, pair, marks, span=part.span, is_judged=False):
                ours.update(batch.check)
                on_rows(0)
    with session.transaction():
        set_settings(session)
        for block in _told(printed_blocks(session, printed_query(pair)), on_rows):
            theirs.update(block)
    if (ours.count, ours.hexdigest()) != (theirs.count, theirs.hexdigest()):
        raise DataDiffers(
            f"{pair.table.shown} in PostgreSQL is not what the source holds; nothing was changed",
            cause=f"{ours.count} rows ({ours.hexdigest()[:8]}) in the source,"
            f" {theirs.count} ({theirs.hexdigest()[:8]}) in PostgreSQL",
            hint="report it: a value of a type that inv transfer writes differently than PostgreSQL prints it",
        )
