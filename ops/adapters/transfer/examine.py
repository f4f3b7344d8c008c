"""Can the target take every single value of our copy?

One pass over each table looks at all values of all columns and keeps the lines that a load will send; two parts are
looked at side by side. Only columns in which something was found are looked at again, to name rows and reasons.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ops.adapters.side_by_side import Work, side_by_side
from ops.adapters.transfer import normal_form, source
from ops.adapters.transfer.scan import PART_ROWS, scan, spans_of
from ops.errors import LoadFailed
from ops.model.transfer.checks import fault_reason
from ops.model.transfer.fault import Fault, FaultCount, Fix
from ops.model.transfer.lines import quoted
from ops.model.transfer.plan import Examination, PartLines
from ops.model.transfer.schema import Kind, Pair

LISTED = 20
WORKERS = 2
_ROW, _WHY = '"ops: row"', '"ops: why"'
"""Names of our own in queries that name a table's columns too."""
_FORMS: frozenset[Kind] = frozenset({"timestamptz", "timestamp", "date", "time", "interval", "uuid", "int", "bool"})


@dataclass(slots=True)
class _Found:
    """What was found in one table."""

    faulty: frozenset[str] = frozenset()
    faults: list[Fault] = field(default_factory=list)
    counts: list[FaultCount] = field(default_factory=list)
    lines: tuple[PartLines, ...] = ()


def examine(
    copy: Path,
    pairs: Sequence[Pair],
    *,
    on_rows: Callable[[int], None],
    fixes: Sequence[Fix] = (),
    folder: Path | None,
    part_rows: int = PART_ROWS,
) -> Examination:
    """Look at every value; what is written in another form of the same meaning is unified in the copy first.

    Args:
        copy: our copy at the head revision, rules applied.
        pairs: all tables.
        on_rows: hears how many more rows were looked at.
        fixes: what the rules did, to be listed with what is unified here.
        folder: where the lines of each table are kept, so that a load need not read the rows again; None: nowhere.
        part_rows: how many rows are looked at by one process at a time.

    Raises: ArchiveUnwritable (no room for the lines), LoadFailed (two of our checks do not agree).
    """
    found = _scan_all(copy, pairs, folder, on_rows, part_rows)
    unified: list[Fix] = []
    for pair, one in zip(pairs, found, strict=True):
        forms = {name for column, name in pair.columns if name in one.faulty and column.kind in _FORMS}
        if forms:
            with source.opened(copy) as session:
                unified += normal_form.unify(session, pair, forms)
    by_name = {pair.table.full_name: pair for pair in pairs}
    explained = side_by_side(
        [_explaining(copy, pair, one, by_name) for pair, one in zip(pairs, found, strict=True)],
        workers=WORKERS,
        on_rows=_unheard,
    )
    faults, counts = [fault for one in explained for fault in one[0]], [count for one in explained for count in one[1]]
    if not counts:
        _scan_again(copy, pairs, found, folder, part_rows)
    return Examination(
        faults=tuple(faults),
        counts=tuple(counts),
        fixes=(*fixes, *unified),
        lines={pair.source.name: one.lines for pair, one in zip(pairs, found, strict=True) if one.lines},
    )


def _unheard(_rows: int) -> None:
    """For what is not counted again."""


def _scan_all(  # noqa: PLR0917 - two uses
    copy: Path,
    pairs: Sequence[Pair],
    folder: Path | None,
    on_rows: Callable[[int], None],
    part_rows: int,
    named: str = "",
) -> list[_Found]:
    """One pass over all parts of all tables, side by side."""
    parts = [
        (at, number, span)
        for at, pair in enumerate(pairs)
        for number, span in enumerate(spans_of(copy, pair, part_rows))
    ]
    works = [
        partial(scan, copy, pairs[at], span, folder / f"{named}{at}-{number}.lines" if folder else None)
        for at, number, span in parts
    ]
    scanned = side_by_side(works, workers=WORKERS, on_rows=on_rows)
    found = []
    for at in range(len(pairs)):
        ours = [one for (of, _, _), one in zip(parts, scanned, strict=True) if of == at]
        faulty = frozenset[str]().union(*(one.faulty for one in ours))
        kept = () if faulty else tuple(one.lines for one in ours if one.lines is not None)
        found.append(_Found(faulty, lines=kept))
    return found


def _scan_again(
    copy: Path, pairs: Sequence[Pair], found: Sequence[_Found], folder: Path | None, part_rows: int
) -> None:
    """Tables whose values were unified. Raises: LoadFailed, where two of our checks do not agree."""
    changed = [(pair, one) for pair, one in zip(pairs, found, strict=True) if one.faulty]
    again = _scan_all(copy, [pair for pair, _ in changed], folder, _unheard, part_rows, "again-")
    for (pair, one), now in zip(changed, again, strict=True):
        if now.faulty:
            raise LoadFailed(
                f"{pair.source.name} has values in {', '.join(sorted(now.faulty))} that only one of two checks takes",
                hint="report it, with the declared types of these columns",
            )
        one.lines = now.lines


def _explaining(
    copy: Path, pair: Pair, found: _Found, by_name: Mapping[str, Pair]
) -> Work[tuple[list[Fault], list[FaultCount]]]:
    def work(_on_rows: Callable[[int], None]) -> tuple[list[Fault], list[FaultCount]]:
        _explain(copy, pair, found, by_name)
        return found.faults, found.counts

    return work


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
    judged = {one.columns for one in pair.table.judgements if one.kind == "unique"}  # by the target's own server
    for unique in dict.fromkeys((pair.table.primary_key, *pair.table.uniques)):
        if unique in judged:
            continue
        names = [pair.name_of(column) for column in unique]
        # What was unified may be two forms of one value, which SQLite told apart.
        is_sure = found.faulty.isdisjoint(names) and any(frozenset(names) >= one for one in enforced)
        if not names or is_sure:
            continue
        # Not by the collation of the columns: for PostgreSQL `A` is not `a` again.
        columns = ", ".join(f"{quoted(name)} COLLATE BINARY" for name in names)
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
