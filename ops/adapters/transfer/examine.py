"""Can the target take every single value of our copy?

One pass over each table looks at all values of all columns and keeps the lines that a load will send; two tables are
looked at side by side. Only columns in which something was found are looked at again, to name rows and reasons.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ops.adapters.transfer import normal_form, source
from ops.adapters.transfer.printed import new_digest
from ops.adapters.transfer.rows import MarkInText, read_batches
from ops.errors import ArchiveUnwritable, LoadFailed
from ops.model.transfer.checks import fault_reason
from ops.model.transfer.columns import ESCAPED, RAW, Marks
from ops.model.transfer.fault import Fault, FaultCount, Fix
from ops.model.transfer.lines import quoted
from ops.model.transfer.plan import Examination, TableLines
from ops.model.transfer.schema import Kind, Pair

LISTED = 20
WORKERS = 2
_ROW, _WHY = '"ops: row"', '"ops: why"'
"""Names of our own in queries that name a table's columns too."""
_FORMS: frozenset[Kind] = frozenset({"timestamptz", "timestamp", "date", "time", "interval", "uuid", "int", "bool"})


@dataclass(slots=True)
class _Found:
    """What was found in one table."""

    faulty: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    counts: list[FaultCount] = field(default_factory=list)
    lines: TableLines | None = None


def examine(
    copy: Path, pairs: Sequence[Pair], *, on_rows: Callable[[int], None], fixes: Sequence[Fix] = (), folder: Path | None
) -> Examination:
    """Look at every value; what is written in another form of the same meaning is unified in the copy first.

    Args:
        copy: our copy at the head revision, rules applied.
        pairs: all tables.
        on_rows: hears how many more rows were looked at, from several threads.
        fixes: what the rules did, to be listed with what is unified here.
        folder: where the lines of each table are kept, so that a load need not read the rows again; None: nowhere.
    """
    files = {pair.source.name: folder / f"{at}.lines" if folder else None for at, pair in enumerate(pairs)}
    with ThreadPoolExecutor(WORKERS) as pool:
        scans = {
            pair.source.name: pool.submit(_scan, copy, pair, files[pair.source.name], on_rows)
            for pair in sorted(
                pairs, key=lambda pair: -pair.source.rows
            )  # the longest first, so that none is left last
        }
        found = [scans[pair.source.name].result() for pair in pairs]
    unified: list[Fix] = []
    for pair, one in zip(pairs, found, strict=True):
        forms = {name for column, name in pair.columns if name in one.faulty and column.kind in _FORMS}
        if forms:
            with source.opened(copy) as session:
                unified += normal_form.unify(session, pair, forms)
    with ThreadPoolExecutor(WORKERS) as pool:
        by_name = {pair.table.full_name: pair for pair in pairs}
        list(pool.map(lambda two: _explain(copy, two[0], two[1], by_name), zip(pairs, found, strict=True)))
        if not any(one.counts for one in found):
            again = [(pair, one) for pair, one in zip(pairs, found, strict=True) if one.faulty]
            list(pool.map(lambda two: _scan_again(copy, two[0], two[1], files[two[0].source.name]), again))
    return Examination(
        faults=tuple(fault for one in found for fault in one.faults),
        counts=tuple(count for one in found for count in one.counts),
        fixes=(*fixes, *unified),
        lines={pair.source.name: one.lines for pair, one in zip(pairs, found, strict=True) if one.lines},
    )


def _scan(copy: Path, pair: Pair, file: Path | None, on_rows: Callable[[int], None]) -> _Found:
    """One pass over a table, which keeps its lines; a second one where a text holds a mark of ours."""
    counted = 0

    def count(rows: int) -> None:
        nonlocal counted
        counted += rows
        on_rows(rows)

    try:
        return _scan_with(RAW, copy, pair, file, count)
    except MarkInText:
        on_rows(-counted)
        return _scan_with(ESCAPED, copy, pair, file, on_rows)


def _scan_with(marks: Marks, copy: Path, pair: Pair, file: Path | None, on_rows: Callable[[int], None]) -> _Found:
    found, digest, rows = _Found(), new_digest(), 0
    with closing(source.connect(copy)) as session, _written(file) as write:
        session.text_factory = bytes
        for batch in read_batches(session, pair, marks):
            found.faulty |= batch.faulty
            if not found.faulty:
                write(batch.load)
                digest.update(batch.check)
            rows += batch.rows
            on_rows(batch.rows)
    if not found.faulty and file is not None:
        found.lines = TableLines(str(file), rows, digest.hexdigest(), has_marks=marks.is_escaped)
    return found


def _scan_again(copy: Path, pair: Pair, found: _Found, file: Path | None) -> None:
    """After its values were unified. Raises: LoadFailed, where two of our checks do not agree."""
    again = _scan(copy, pair, file, lambda _rows: None)
    if again.faulty:
        raise LoadFailed(
            f"{pair.source.name} has values in {', '.join(sorted(again.faulty))} that only one of two checks takes",
            hint="report it, with the declared types of these columns",
        )
    found.lines = again.lines


@contextmanager
def _written(file: Path | None) -> Iterator[Callable[[bytes], object]]:
    if file is None:
        yield lambda _block: None
        return
    try:
        with open(file, "wb", buffering=0, opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
            yield out.write
    except OSError as exc:
        raise ArchiveUnwritable(f"{file} cannot be written", cause=exc.strerror, hint="df -h") from exc


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
