"""How do all rows of a PostgreSQL database get into a SQLite file that Alembic made?

One snapshot of PostgreSQL is printed, table by table; every line is hashed as it comes. Then SQLite writes its own rows
as the same lines, and the sums of both must agree.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg import sql

from ops.adapters.postgres.integrity import SEQUENCE_USES
from ops.adapters.sqlite import sessions as files
from ops.adapters.transfer import source
from ops.adapters.transfer.load import printed_query
from ops.adapters.transfer.printed import (
    ANY_ORDER,
    BINARY_IN_ORDER,
    IN_ORDER,
    UnorderedSum,
    digests_of,
    order_text,
    printed_blocks,
    set_settings,
)
from ops.adapters.transfer.rows import printed_lines
from ops.errors import DataDiffers
from ops.model.transfer.back import Stored, fields_of, readers_of, unfit
from ops.model.transfer.binary import takes_binary
from ops.model.transfer.lines import quoted
from ops.model.transfer.plan import LoadedTable
from ops.model.transfer.schema import Pair

_LAST_VALUES = f"""
SELECT tn.nspname || '.' || t.relname, max(CASE s.relkind WHEN 'S' THEN pg_sequence_last_value(s.oid) END)
FROM ({SEQUENCE_USES}) u JOIN pg_class s ON s.oid = u.sequence AND s.relkind = 'S'
JOIN pg_class t ON t.oid = u.relation JOIN pg_namespace tn ON tn.oid = t.relnamespace GROUP BY 1
"""  # noqa: S608 - a constant


def row_counts(session: psycopg.Connection, pairs: Sequence[Pair]) -> dict[str, int]:
    """How many rows each table of PostgreSQL has, by `schema.table`."""
    found = {}
    for pair in pairs:
        table = sql.Identifier(pair.table.schema, pair.table.name)
        row = session.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
        found[pair.table.full_name] = int(row[0]) if row else 0
    return found


def fill(
    session: psycopg.Connection, file: Path, pairs: Sequence[Pair], on_rows: Callable[[int], None], part_rows: int,
    *, is_binary: bool,
) -> tuple[LoadedTable, ...]:  # fmt: skip
    """Fill the empty file from one snapshot, compare, and look whether the file holds together.

    `is_binary`: whether the way there sends rows of binary COPY where a table takes them; its checksums are told here.

    Raises: BadSourceData (a value that SQLite has no form for), DataDiffers; psycopg's and sqlite3's errors.
    """
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    set_settings(session)
    with source.opened(file) as writing:
        writing.execute("PRAGMA journal_mode = MEMORY")
        writing.execute("BEGIN")
        sums = [_fill_table(session, writing, pair, on_rows) for pair in pairs]
        _set_sequences(session, writing, pairs)
        writing.execute("COMMIT")
        loaded = [_compare(writing, pair, one, part_rows) for pair, one in zip(pairs, sums, strict=True)]
        _refuse_damage(writing)
    session.execute("COMMIT")
    return tuple(
        _as_on_the_way_there(file, pair, one, part_rows) if is_binary and takes_binary(pair) else one
        for pair, one in zip(pairs, loaded, strict=True)
    )


def _as_on_the_way_there(file: Path, pair: Pair, loaded: LoadedTable, part_rows: int) -> LoadedTable:
    from ops.adapters.transfer.binary_rows import checksums_of  # only where its libraries are wanted

    checksums = checksums_of(file, pair, part_rows, loaded.rows)
    if checksums is None:
        return loaded
    return replace(loaded, checksum=order_text(checksums, is_binary=True), algorithm=BINARY_IN_ORDER)


def _fill_table(
    session: psycopg.Connection, writing: sqlite3.Connection, pair: Pair, on_rows: Callable[[int], None]
) -> UnorderedSum:
    total = UnorderedSum()
    names, places = ", ".join(map(quoted, pair.names)), ", ".join("?" * len(pair.names))
    writing.execute(f"DELETE FROM {quoted(pair.source.name)}")  # noqa: S608 - quoted; rows that a revision made
    insert = f"INSERT INTO {quoted(pair.source.name)} ({names}) VALUES ({places})"  # noqa: S608 - quoted
    for block in printed_blocks(session, printed_query(pair)):
        lines = block.split(b"\n")[:-1]
        del block
        count = len(lines)
        total.update_lines(lines)
        writing.executemany(insert, _rows(lines, pair))
        on_rows(count)
    return total


def _rows(lines: list[bytes], pair: Pair) -> Iterator[list[Stored]]:
    """The rows of these lines; each line is let go before its row is written, for a row may be large."""
    readers = readers_of(pair.table)
    lines.reverse()
    while lines:
        values = fields_of(lines.pop())
        try:
            yield [None if value is None else read(value) for value, read in zip(values, readers, strict=True)]
        except ValueError as exc:
            raise unfit(pair.table, values, readers) from exc


def _compare(writing: sqlite3.Connection, pair: Pair, theirs: UnorderedSum, part_rows: int) -> LoadedTable:
    factory, writing.text_factory = writing.text_factory, bytes
    ours = UnorderedSum()
    parts = [min(part_rows, theirs.count - at) for at in range(0, theirs.count, part_rows)]  # as on the way there
    in_order = digests_of(_summed(printed_lines(writing, pair), ours), parts)
    writing.text_factory = factory
    if (ours.count, ours.hexdigest()) != (theirs.count, theirs.hexdigest()):
        raise DataDiffers(
            f"{pair.table.shown} in the file is not what PostgreSQL holds; no file was made",
            cause=f"{ours.count} rows ({ours.hexdigest()[:8]}) in the file,"
            f" {theirs.count} ({theirs.hexdigest()[:8]}) in PostgreSQL",
        )
    if pair.is_in_key_order:
        return LoadedTable(pair.table.shown, ours.count, order_text(in_order), IN_ORDER)
    return LoadedTable(pair.table.shown, ours.count, ours.hexdigest(), ANY_ORDER)


def _summed(blocks: Iterator[bytes], total: UnorderedSum) -> Iterator[bytes]:
    for block in blocks:
        total.update(block)
        yield block


def _set_sequences(session: psycopg.Connection, writing: sqlite3.Connection, pairs: Sequence[Pair]) -> None:
    """Ids that PostgreSQL gave out are not given again, where SQLite keeps count (AUTOINCREMENT)."""
    if writing.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone() is None:
        return
    last: dict[str, int] = dict(session.execute(_LAST_VALUES).fetchall())
    for pair in pairs:
        (ddl,) = writing.execute("SELECT sql FROM sqlite_master WHERE name = ?", [pair.source.name]).fetchone()
        given = last.get(pair.table.full_name)
        if given is None or "AUTOINCREMENT" not in str(ddl).upper():
            continue
        known = writing.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", [pair.source.name]).fetchone()
        writing.execute("DELETE FROM sqlite_sequence WHERE name = ?", [pair.source.name])
        highest = max(int(given), int(known[0]) if known else 0)
        writing.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [pair.source.name, highest])


def _refuse_damage(writing: sqlite3.Connection) -> None:
    found = [*files.damage(writing)]
    orphans = writing.execute("SELECT * FROM pragma_foreign_key_check LIMIT 5").fetchall()
    found += [f"row {row_id} of {table} has no row in {parent}" for table, row_id, parent, _ in orphans]
    if found:
        raise DataDiffers("the file does not hold together; it was not made", cause="; ".join(found))


def settle(file: Path) -> None:
    """Leave one file on disk that needs no other beside it."""
    with files.opened(file) as session:
        session.execute("PRAGMA journal_mode = DELETE")
