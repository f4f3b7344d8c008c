"""Can the target take every single value of our copy?

One pass over each table looks at all values of all columns; two tables are looked at side by side, since SQLite works
without Python's lock. Only columns in which something was found are looked at again, to name rows and reasons.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.adapters.transfer import normal_form, source
from ops.model.transfer.checks import any_fault, fault_reason
from ops.model.transfer.fault import Fault, FaultCount, Fix
from ops.model.transfer.joined import SHAPES, are_moments, has_separators, has_special, is_text_broken
from ops.model.transfer.lines import quoted
from ops.model.transfer.plan import Examination
from ops.model.transfer.schema import Column, Kind, Pair, SourceTable

ROWS_A_TIME = 4000
LISTED = 20
WORKERS = 2
_ROW, _WHY = '"ops: row"', '"ops: why"'
"""Names of our own in queries that name a table's columns too."""
RAW = ""
"""Among a table's plain columns: no text of it holds a separator of `joined.escaped`."""
TEXTS: frozenset[Kind] = frozenset({"text", "char", "json", "jsonb", "enum", "other"})
_FORMS: frozenset[Kind] = frozenset({"timestamptz", "timestamp", "date", "time", "interval", "uuid", "int", "bool"})


@dataclass(slots=True)
class _Found:
    """What was found in one table."""

    faulty: set[str] = field(default_factory=set)
    special: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    counts: list[FaultCount] = field(default_factory=list)
    has_separators: bool = False


def examine(
    copy: Path, pairs: Sequence[Pair], *, on_rows: Callable[[int], None], fixes: Sequence[Fix] = ()
) -> Examination:
    """Look at every value; what is written in another form of the same meaning is unified in the copy first.

    Args:
        copy: our copy at the head revision, rules applied.
        pairs: all tables.
        on_rows: hears how many more rows were looked at, from several threads.
        fixes: what the rules did, to be listed with what is unified here.
    """
    with ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(lambda pair: _scan(copy, pair, on_rows), pairs))
    unified: list[Fix] = []
    for pair, one in zip(pairs, found, strict=True):
        forms = {name for column, name in pair.columns if name in one.faulty and column.kind in _FORMS}
        if forms:
            with source.opened(copy) as session:
                unified += normal_form.unify(session, pair, forms)
    with ThreadPoolExecutor(WORKERS) as pool:
        by_name = {pair.table.full_name: pair for pair in pairs}
        list(pool.map(lambda two: _explain(copy, two[0], two[1], by_name), zip(pairs, found, strict=True)))
    plain = {
        pair.source.name: (
            *(name for column, name in pair.columns if column.kind in TEXTS and name not in one.special),
            *(() if one.has_separators else (RAW,)),
        )
        for pair, one in zip(pairs, found, strict=True)
    }
    return Examination(
        faults=tuple(fault for one in found for fault in one.faults),
        counts=tuple(count for one in found for count in one.counts),
        fixes=(*fixes, *unified),
        plain=plain,
    )


def _scan(copy: Path, pair: Pair, on_rows: Callable[[int], None]) -> _Found:
    """One pass over a table. Texts and moments are judged as joined blocks, all else by SQL."""
    found = _Found()
    joined = [(column, name) for column, name in pair.columns if column.kind in TEXTS or column.kind in SHAPES]
    tests = [f"max({_test(column, quoted(name))})" for column, name in pair.columns]
    blocks = [f"group_concat({quoted(name)})" for _, name in joined]
    counts = [f"count({quoted(name)})" for _, name in joined]
    with closing(source.connect(copy)) as session:
        session.text_factory = bytes
        for rows, values in batches(session, pair.source, [*tests, *blocks, *counts], ROWS_A_TIME):
            found.faulty |= {name for name, flag in zip(pair.names, values, strict=False) if flag}
            seen = values[len(tests) :]
            for (column, name), data, count in zip(joined, seen, seen[len(joined) :], strict=False):
                _look_at(found, column, name, data or b"", count)
            on_rows(rows)
    return found


def _test(column: Column, name: str) -> str:
    """What SQL has to look at beside the joined block."""
    if column.kind in SHAPES:
        return "0" if column.is_nullable else f"{name} IS NULL"
    return any_fault(column, name, is_text_known=column.kind in TEXTS)


def _look_at(found: _Found, column: Column, name: str, data: bytes, count: int) -> None:
    if column.kind in SHAPES:
        if count and not are_moments(data, count, column.kind):
            found.faulty.add(name)
        return
    if is_text_broken(data):
        found.faulty.add(name)
    if name not in found.special and has_special(data):
        found.special.add(name)
    found.has_separators = found.has_separators or has_separators(data)


def batches(
    session: sqlite3.Connection, table: SourceTable, values: Sequence[str], rows_a_time: int
) -> Iterator[tuple[int, Sequence[Any]]]:
    """Aggregates over a table's rows in the order of their ids, a batch at a time: (rows, values).

    A batch whose joined text is too large for SQLite is read again in halves.
    """
    names, row_id = quoted(table.name), table.row_id
    query = (
        f"SELECT count(*), max({_ROW}), {', '.join(values) or '0'} FROM"  # noqa: S608 - quoted names, our own SQL
        f" (SELECT {row_id} AS {_ROW}, * FROM {names} WHERE {row_id} > ? ORDER BY {row_id} LIMIT ?)"
    )
    last, limit = -(1 << 63), rows_a_time
    while True:
        try:
            count, highest, *found = session.execute(query, [last, limit]).fetchone()
        except (sqlite3.DataError, MemoryError):
            if limit == 1:
                raise
            limit = max(1, limit // 8)
            continue
        if not count:
            return
        yield count, found
        last = highest
        if count < limit:
            return


def _explain(copy: Path, pair: Pair, found: _Found, by_name: Mapping[str, Pair]) -> None:
    """Name the rows of what was found, then look at keys: uniqueness and parents."""
    with closing(source.connect(copy)) as session:
        for column, name in pair.columns:
            if name in found.faulty:
                reason = fault_reason(column, quoted(name))
                named = f"SELECT {pair.source.row_id}, {reason} AS {_WHY} FROM {quoted(pair.source.name)}"  # noqa: S608
                listed = f"SELECT * FROM ({named}) WHERE {_WHY} IS NOT NULL"  # noqa: S608 - quoted
                _collect(session, found, pair.source.name, name, listed)
        _look_at_uniques(session, pair, found)
        for key in pair.table.foreign_keys:
            if key.parent in by_name:
                orphans = (
                    f"SELECT c.{pair.source.row_id}, 'has no row in {by_name[key.parent].source.name}' FROM"  # noqa: S608 - names
                    f" {quoted(pair.source.name)} AS c WHERE {normal_form.is_orphan(pair, key, by_name[key.parent])}"
                )
                _collect(session, found, pair.source.name, ", ".join(map(pair.name_of, key.columns)), orphans)


def _look_at_uniques(session: sqlite3.Connection, pair: Pair, found: _Found) -> None:
    enforced = {frozenset(columns) for columns in pair.source.enforced_uniques}
    for unique in dict.fromkeys((pair.table.primary_key, *pair.table.uniques)):
        names = [pair.name_of(column) for column in unique]
        if not names or any(frozenset(names) >= one for one in enforced):
            continue
        columns = ", ".join(map(quoted, names))
        there = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in names)
        doubles = (
            f"SELECT {_ROW}, 'is there more than once, the target wants it unique' FROM"  # noqa: S608 - quoted
            f" (SELECT {pair.source.row_id} AS {_ROW}, count(*) OVER (PARTITION BY {columns}) AS {_WHY}"
            f" FROM {quoted(pair.source.name)} WHERE {there}) WHERE {_WHY} > 1"
        )
        _collect(session, found, pair.source.name, ", ".join(names), doubles)


def _collect(session: sqlite3.Connection, found: _Found, table: str, column: str, listed: str) -> None:
    (count,) = session.execute(f"SELECT count(*) FROM ({listed})").fetchone()  # noqa: S608 - our own SQL
    if not count:
        return
    found.counts.append(FaultCount(table, column, count))
    rows = session.execute(f"{listed} ORDER BY 1 LIMIT {LISTED}").fetchall()
    found.faults += [Fault(table, column, row_id, str(why)) for row_id, why in rows]
