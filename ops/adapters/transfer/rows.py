"""How are the rows of a SQLite table read as lines of COPY, a batch at a time, and judged on the way?

One query a batch joins each column to one text. That costs SQLite half of what joining rows does, and a column can be
judged and written as a whole (`columns`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ops.model.transfer.columns import (
    ESCAPED,
    ESCAPED_KINDS,
    TEXTS,
    Marks,
    are_facts_sound,
    facts,
    fields,
    is_ambiguous,
    is_sound,
    joined,
    lines,
    missing_in,
)
from ops.model.transfer.lines import check_expression, escaped_value, load_expression, quoted
from ops.model.transfer.schema import Column, Pair

BLOCK_BYTES = 1 << 20
ANSWER_BYTES = 4 * BLOCK_BYTES
_LARGEST_BATCH = 8192
_STREAMED_ROWS = 256
_ASKED_AT_ONCE = 1000
"""SQLite gives 2,000 columns in one answer, and its own number is among them; several are asked for each of ours."""
LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1
"""The row ids that SQLite can give."""
Span = tuple[int, int]
"""The first and the last row id of a part of a table."""
_COUNTED = TEXTS | {"array"}


class MarkInText(Exception):
    """A text holds one of our marks: the table is to be read with `ESCAPED`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a table."""

    rows: int
    load: bytes
    """Lines that COPY reads, each with its line end; nothing to use where `faulty` is not empty."""
    check: bytes
    """The lines that PostgreSQL prints for them."""
    faulty: frozenset[str] = frozenset()
    """SQLite names of columns in which a value is not clearly sound."""


class _Asked:
    """What is asked of SQLite about one column, and how the answer is read."""

    def __init__(self, column: Column, name: str, marks: Marks, *, is_judged: bool) -> None:
        self.column, self.name, self._marks, self._is_judged = column, name, marks, is_judged
        self.load = joined(column, load_expression(column, quoted(name)), marks)
        self.check = joined(column, check_expression(column, quoted(name)), marks)
        self.is_counted = column.kind in _COUNTED
        blocks = (self.load,) if self.load == self.check else (self.load, self.check)
        counts = (f"count({quoted(name)})",) if self.is_counted else ()
        self.selected = (*blocks, *counts, *(facts(column, quoted(name)) if is_judged else ()))
        self._blocks = len(blocks)

    def read(self, rows: int, found: Sequence[Any]) -> tuple[list[bytes], list[bytes]] | None:
        """The fields to load and to compare; None where a value is not clearly sound. Raises: MarkInText."""
        blocks = [bytes(block or b"") for block in found[: self._blocks]]
        load, check = blocks[0], blocks[-1]
        rest = found[self._blocks :]
        if self.is_counted:
            missing, rest = rows - rest[0], rest[1:]
        else:
            missing = missing_in(check, self._marks)
        if any(is_ambiguous(self.column, block, rows, missing, self._marks) for block in blocks):
            raise MarkInText(self.name)
        if self._is_judged and not (
            are_facts_sound(self.column, rest, rows - missing)
            and is_sound(self.column, check, rows, missing, self._marks)
        ):
            return None
        loaded = fields(self.column, load, self._marks)
        printed = fields(self.column, check, self._marks, is_printed=True) if self._blocks > 1 else loaded
        if self._marks.is_escaped and self.is_counted and loaded.count(self._marks.missing) != missing:
            return None
        return (loaded, printed) if len(loaded) == len(printed) == rows else None


def read_batches(
    session: sqlite3.Connection, pair: Pair, marks: Marks, *, span: Span = (LOWEST, HIGHEST), is_judged: bool = True
) -> Iterator[Batch]:
    """All rows of a table in the order of their ids.

    Args:
        session: gives text as bytes.
        pair: the table on both sides.
        marks: `RAW`, or `ESCAPED` after `MarkInText`.
        span: only the rows of this part.
        is_judged: look at every value; else the values are known to be sound.

    Raises: MarkInText.
    """
    asked = [_Asked(column, name, marks, is_judged=is_judged) for column, name in pair.columns]
    for rows, found in _aggregates(session, pair, span, [one for each in asked for one in each.selected]):
        faulty, loads, checks, at = set(), [], [], 0
        for each in asked:
            read = each.read(rows, found[at : at + len(each.selected)])
            at += len(each.selected)
            if read is None:
                faulty.add(each.name)
            else:
                loads.append(read[0])
                checks.append(read[1])
        if faulty:
            yield Batch(rows, b"", b"", frozenset(faulty))
            continue
        load = lines(loads, rows)
        is_same = all(one is other for one, other in zip(loads, checks, strict=True))
        yield Batch(rows, load, load if is_same else lines(checks, rows))


def printed_lines(session: sqlite3.Connection, pair: Pair) -> Iterator[bytes]:
    """The lines that PostgreSQL prints for all rows of a table whose values are sound, in blocks and any order."""
    if pair.source.row_id:
        yield from (batch.check for batch in read_batches(session, pair, ESCAPED, is_judged=False))
        return
    texts = [f"ifnull(CAST({_escaped_check(column, name)} AS TEXT), '\\N')" for column, name in pair.columns]
    cursor = session.execute(f"SELECT {', '.join(texts) or '0'} FROM {quoted(pair.source.name)}")  # noqa: S608 - quoted
    for rows in _handfuls(cursor):
        columns = zip(*rows, strict=True)
        printed = [
            fields(column, ESCAPED.field.join(values), ESCAPED, is_printed=True)
            for (column, _), values in zip(pair.columns, columns, strict=False)
        ]
        yield lines(printed, len(rows))


def _handfuls(cursor: sqlite3.Cursor) -> Iterator[list[tuple[bytes, ...]]]:
    """So many rows at a time as are about one block, at most `_STREAMED_ROWS`."""
    rows: list[tuple[bytes, ...]] = []
    held_bytes = 0
    for row in cursor:
        rows.append(row)
        held_bytes += sum(map(len, row)) if row != (0,) else 0
        if len(rows) == _STREAMED_ROWS or held_bytes >= BLOCK_BYTES:
            yield rows
            rows, held_bytes = [], 0
    if rows:
        yield rows


def _escaped_check(column: Column, name: str) -> str:
    expression = check_expression(column, quoted(name))
    return escaped_value(column, expression) if column.kind in ESCAPED_KINDS else expression


def _aggregates(
    session: sqlite3.Connection, pair: Pair, span: Span, values: Sequence[str]
) -> Iterator[tuple[int, Sequence[Any]]]:
    """Aggregates over a table's rows, a batch at a time: (rows, values).

    A batch with an answer of more than `ANSWER_BYTES` is read again in parts, so that memory stays flat where large
    rows come behind small ones; only a row that is larger by itself is read whole. A range of ids costs half of a
    subquery with a limit, which copies every value.
    """
    table = pair.source
    if not table.row_id:
        raise ValueError(f"{table.name} has no row ids: make_simple gives them to a copy of ours")
    name, row_id = quoted(table.name), table.row_id
    shares = [values[at : at + _ASKED_AT_ONCE] for at in range(0, len(values), _ASKED_AT_ONCE)] or [["0"]]
    end = f"SELECT {row_id} FROM {name} NOT INDEXED WHERE {row_id} BETWEEN ? AND ? ORDER BY {row_id} LIMIT 1 OFFSET ?"  # noqa: S608
    queries = [
        f"SELECT count(*), {', '.join(share)} FROM {name} NOT INDEXED WHERE {row_id} BETWEEN ? AND ?"  # noqa: S608
        for share in shares
    ]
    (first, highest), most = span, batch_size(session, pair)
    limit = most
    longest = session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, ANSWER_BYTES)
    try:
        while True:
            (last,) = session.execute(end, [first, highest, limit - 1]).fetchone() or (highest,)
            try:
                found = [session.execute(query, [first, last]).fetchone() for query in queries]
            except (sqlite3.DataError, MemoryError):
                if limit > 1:
                    limit = max(1, limit // 8)
                    continue
                session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)
                rows, answers = 1, _one_by_one(session, pair, last, values)
            else:
                rows, answers = found[0][0], [answer for _, *share in found for answer in share]
            if rows:
                yield rows, answers
            session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, ANSWER_BYTES)
            limit = min(most, 2 * limit)
            if last == highest:
                return
            first = last + 1
    finally:
        session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)


def _one_by_one(session: sqlite3.Connection, pair: Pair, row: int, values: Sequence[str]) -> list[Any]:
    """The answers about one large row, each of a query of its own: SQLite keeps what it makes until a query ends."""
    there = f"FROM {quoted(pair.source.name)} NOT INDEXED WHERE {pair.source.row_id} = ?"
    return [session.execute(f"SELECT {value} {there}", [row]).fetchone()[0] for value in values]


def batch_size(session: sqlite3.Connection, pair: Pair) -> int:
    """So many rows that their lines are about one block, judged by the first of them."""
    if not pair.names:
        return _LARGEST_BATCH
    sizes = ", ".join(f"avg(coalesce(length(CAST({quoted(name)} AS BLOB)), 2) + 1)" for name in pair.names)
    query = f"SELECT {sizes} FROM (SELECT * FROM {quoted(pair.source.name)} LIMIT 1000)"  # noqa: S608 - quoted
    average = sum(size or 0 for size in session.execute(query).fetchone()) or 1
    return int(max(16, min(_LARGEST_BATCH, BLOCK_BYTES / average)))
