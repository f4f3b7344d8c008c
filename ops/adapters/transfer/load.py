"""How does a table go from our copy of a SQLite file into PostgreSQL, and how is it proved to be there?

SQLite joins the rows to lines of COPY by itself, Python hands the blocks on and hashes them on the way. Then PostgreSQL
prints the table, and its lines are hashed too. A fresh table is printed in the order it was loaded, so both checksums
are equal; where rows of very different sizes changed places, sums that do not depend on the order decide.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from ops.adapters.transfer import source
from ops.adapters.transfer.examine import RAW, TEXTS, batches
from ops.adapters.transfer.printed import UnorderedSum, digest_of_printed, new_digest, printed_blocks
from ops.errors import DataDiffers
from ops.model.transfer.joined import escaped
from ops.model.transfer.lines import Lines, lines_of, quoted
from ops.model.transfer.plan import LoadedTable
from ops.model.transfer.schema import Pair

BLOCK_BYTES = 1 << 20
_LARGEST_BATCH = 8192
_STREAMED_ROWS = 256


@dataclass(frozen=True, slots=True)
class _Stream:
    rows: int
    checksum: str


def load_table(
    copy: Path, session: psycopg.Connection, pair: Pair, plain: Collection[str], on_rows: Callable[[int], None]
) -> LoadedTable:
    """Load one table into an empty one and compare.

    Raises: DataDiffers; psycopg's errors (a value that the target refuses).
    """
    lines = plain_lines(pair, plain)
    with closing(source.connect(copy)) as reading:
        reading.text_factory = bytes
        sent = _send(reading, session, pair, lines, on_rows)
        query = printed_query(pair, lines)
        if digest_of_printed(session, query) != sent.checksum:
            _compare_unordered(reading, session, pair, lines)
    return LoadedTable(pair.table.shown, sent.rows, sent.checksum)


def printed_query(pair: Pair, lines: Lines) -> sql.Composed:
    """The query whose printed lines are those of the table."""
    table = sql.Identifier(pair.table.schema, pair.table.name)
    printed = sql.SQL(lines.printed)
    return sql.SQL("SELECT {} FROM {}").format(printed, table)


def _send(
    reading: sqlite3.Connection, session: psycopg.Connection, pair: Pair, lines: Lines, on_rows: Callable[[int], None]
) -> _Stream:
    table = sql.Identifier(pair.table.schema, pair.table.name)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FREEZE)").format(table, sql.SQL(lines.columns))
    digest, rows = new_digest(), 0
    is_same = lines.load == lines.check
    with session.transaction(), session.cursor() as cursor:
        # In the transaction that truncates it, a table may be loaded as if it had always been there: no later vacuum.
        cursor.execute(sql.SQL("TRUNCATE ONLY {}").format(table))
        with cursor.copy(statement) as copy:
            wanted = [lines.load] if is_same else [lines.load, lines.check]
            for count, load, check in line_blocks(reading, pair, wanted, is_raw=lines.is_raw):
                copy.write(load)
                digest.update(check)
                rows += count
                on_rows(count)
        if cursor.rowcount != rows:
            raise DataDiffers(f"{cursor.rowcount} rows of {rows} arrived in {pair.table.shown}")
    return _Stream(rows, digest.hexdigest())


def plain_lines(pair: Pair, plain: Collection[str] | None) -> Lines:
    """The quickest lines for a table: without escapes where no text needs one, else with escapes made block by block.

    Args:
        pair: the table.
        plain: columns whose text needs no escapes; with `RAW` among them no text holds a separator of ours.
    """
    texts = {name for column, name in pair.columns if column.kind in TEXTS}
    has_arrays = any(column.kind == "array" for column in pair.table.columns)  # their text may hold a separator
    if plain is not None and RAW in plain and not texts <= set(plain) and not has_arrays:
        return lines_of(pair, is_raw=True)
    return lines_of(pair, plain or ())


def line_blocks(
    reading: sqlite3.Connection, pair: Pair, expressions: list[str], *, is_raw: bool = False
) -> Iterator[tuple[int, bytes, bytes]]:
    """The rows of a table as (rows, lines by the first expression, lines by the last), blocks with line ends."""
    if not pair.source.row_id:
        yield from _streamed(reading, pair, expressions)
        return
    joined = [f"group_concat({one}, char({30 if is_raw else 10}))" for one in expressions]
    for count, values in batches(reading, pair.source, joined, _batch_size(reading, pair)):
        blocks = [(escaped(value or b"") if is_raw else bytes(value or b"")) + b"\n" for value in values]
        yield count, blocks[0], blocks[-1]


def _streamed(reading: sqlite3.Connection, pair: Pair, expressions: list[str]) -> Iterator[tuple[int, bytes, bytes]]:
    """As `line_blocks`, of a table without row ids in a file that is not ours to change."""
    cursor = reading.execute(f"SELECT {', '.join(expressions)} FROM {quoted(pair.source.name)}")  # noqa: S608 - quoted
    while rows := cursor.fetchmany(_STREAMED_ROWS):
        yield len(rows), b"".join(row[0] + b"\n" for row in rows), b"".join(row[-1] + b"\n" for row in rows)


def _batch_size(reading: sqlite3.Connection, pair: Pair) -> int:
    """So many rows that their lines are about one block, judged by the first of them."""
    if not pair.names:
        return _LARGEST_BATCH
    size = " + ".join(f"coalesce(length(CAST({quoted(name)} AS BLOB)), 2) + 1" for name in pair.names)
    query = f"SELECT avg({size}) FROM (SELECT * FROM {quoted(pair.source.name)} LIMIT 1000)"  # noqa: S608 - quoted
    average = reading.execute(query).fetchone()[0] or 1
    return int(max(16, min(_LARGEST_BATCH, BLOCK_BYTES / average)))


def _compare_unordered(reading: sqlite3.Connection, session: psycopg.Connection, pair: Pair, lines: Lines) -> None:
    """Compare what both sides hold, whatever the order. Raises: DataDiffers."""
    ours, theirs = UnorderedSum(), UnorderedSum()
    for _count, block, _ in line_blocks(reading, pair, [lines.check], is_raw=lines.is_raw):
        ours.update(block)
    for block in printed_blocks(session, printed_query(pair, lines)):
        theirs.update(block)
    if (ours.count, ours.hexdigest()) != (theirs.count, theirs.hexdigest()):
        raise DataDiffers(
            f"{pair.table.shown} in PostgreSQL is not what the source holds; nothing was changed",
            cause=f"{ours.count} rows ({ours.hexdigest()[:8]}) in the source,"
            f" {theirs.count} ({theirs.hexdigest()[:8]}) in PostgreSQL",
            hint="report it: a value of a type that inv transfer writes differently than PostgreSQL prints it",
        )
