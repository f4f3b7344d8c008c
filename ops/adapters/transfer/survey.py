"""What in our copy deserves a person's eye? Asked for a plan that is only looked at: it reads tables once more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ops.adapters.transfer import source
from ops.model.transfer.columns import TEXTS
from ops.model.transfer.lines import as_argument, literal, quoted
from ops.model.transfer.schema import MOMENTS, Column, Pair
from ops.model.transfer.survey import DateRange, JsonNulls, SameButForCase, Survey, TooLong

_SAMPLES = 3
_SHOWN_LETTERS = 30


def survey(copy: Path, pairs: Sequence[Pair]) -> Survey:
    """Look at dates, JSON nulls, lengths and capital letters of all tables."""
    with closing(source.connect(copy)) as session:
        session.text_factory = lambda data: data.decode("utf-8", "replace")
        return Survey(
            dates=tuple(one for pair in pairs for one in _dates(session, pair)),
            json_nulls=tuple(one for pair in pairs for one in _json_nulls(session, pair)),
            too_long=tuple(one for pair in pairs for one in _too_long(session, pair)),
            same_but_for_case=tuple(one for pair in pairs for one in _same_but_for_case(session, pair)),
        )


def _dates(session: sqlite3.Connection, pair: Pair) -> Iterator[DateRange]:
    found = [name for column, name in pair.columns if column.kind in MOMENTS - {"time", "interval"}]
    wanted = [f"{function}({quoted(name)})" for name in found for function in ("min", "max")]
    values = _row(session, pair, wanted)
    for name, lowest, highest in zip(found, values[::2], values[1::2], strict=True):
        if lowest is not None:
            yield DateRange(pair.source.name, name, str(lowest), str(highest))


def _json_nulls(session: sqlite3.Connection, pair: Pair) -> Iterator[JsonNulls]:
    found = [name for column, name in pair.columns if column.kind in {"json", "jsonb"}]
    wanted = [
        f"total({condition})"
        for name in map(quoted, found)
        for condition in (f"typeof({name}) = 'text' AND trim({name}) = 'null'", f"{name} IS NULL")
    ]
    values = _row(session, pair, wanted)
    for name, texts, nulls in zip(found, values[::2], values[1::2], strict=True):
        if texts:
            yield JsonNulls(pair.source.name, name, int(texts), int(nulls))


def _too_long(session: sqlite3.Connection, pair: Pair) -> Iterator[TooLong]:
    found = [(column.length, name) for column, name in pair.columns if column.length and column.kind in TEXTS]
    wanted = [
        said
        for length, name in found
        for said in (f"max(length({quoted(name)}))", f"total(length({quoted(name)}) > {length})")
    ]
    values = _row(session, pair, wanted)
    for (length, name), longest, over in zip(found, values[::2], values[1::2], strict=True):
        if over:
            yield TooLong(pair.source.name, name, int(longest), length, int(over))


def _row(session: sqlite3.Connection, pair: Pair, wanted: Sequence[str]) -> Sequence[Any]:
    if not wanted:
        return ()
    query = f"SELECT {', '.join(wanted)} FROM {quoted(pair.source.name)}"  # noqa: S608 - quoted
    found: Sequence[Any] = session.execute(query).fetchone()
    return found


def _same_but_for_case(session: sqlite3.Connection, pair: Pair) -> Iterator[SameButForCase]:
    ignoring = _case_ignored(session, pair)
    keys = [*dict.fromkeys((pair.table.primary_key, *pair.table.uniques))]
    wanted = [tuple(pair.name_of(column) for column in key) for key in keys if key]
    wanted += [(name,) for name in ignoring if (name,) not in wanted]
    kinds: dict[str, Column] = {name: column for column, name in pair.columns}
    for names in wanted:
        if any(kinds[name].kind in TEXTS for name in names):
            groups, samples = _groups(session, pair, names)
            if groups or ignoring.intersection(names):
                yield SameButForCase(pair.source.name, names, bool(ignoring.intersection(names)), groups, samples)


def _groups(session: sqlite3.Connection, pair: Pair, names: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    there = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in names)
    lowered = ", ".join(f"ops_lower({as_argument(quoted(name))})" for name in names)
    exact = f" || {literal(', ')} || ".join(f"({quoted(name)} COLLATE BINARY)" for name in names)
    groups = (
        f"SELECT min({exact}) AS first, max({exact}) AS last FROM {quoted(pair.source.name)}"  # noqa: S608 - quoted
        f" WHERE {there} GROUP BY {lowered} HAVING first <> last COLLATE BINARY"
    )
    (count,) = session.execute(f"SELECT count(*) FROM ({groups})").fetchone()  # noqa: S608 - our own
    samples = session.execute(f"{groups} LIMIT {_SAMPLES}").fetchall() if count else []
    return count, tuple(f"{one[:_SHOWN_LETTERS]!r} and {other[:_SHOWN_LETTERS]!r}" for one, other in samples)


def _case_ignored(session: sqlite3.Connection, pair: Pair) -> frozenset[str]:
    """The columns that the source compares by NOCASE. An index on an empty table of the same kind tells."""
    (ddl,) = session.execute("SELECT sql FROM sqlite_master WHERE name = ?", [pair.source.name]).fetchone()
    if "NOCASE" not in str(ddl).upper():
        return frozenset()
    found = set()
    with closing(sqlite3.connect(":memory:")) as empty:
        source.set_up(empty)
        empty.execute(str(ddl))
        for at, name in enumerate(pair.names):
            empty.execute(f'CREATE INDEX "ops: {at}" ON {quoted(pair.source.name)} ({quoted(name)})')
            (collation,) = empty.execute(f"SELECT coll FROM pragma_index_xinfo('ops: {at}') LIMIT 1").fetchone()  # noqa: S608
            if collation.upper() == "NOCASE":
                found.add(name)
    return frozenset(found)
