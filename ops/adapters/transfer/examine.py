"""Can the target take every single value of our copy?

One pass over each table looks at all values of all columns and keeps the rows that a load will send; two parts are
looked at side by side, by threads as rows of binary COPY, else by processes as lines. Only columns in which something
was found are looked at again, to name rows and reasons.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ops.adapters.side_by_side import Begun, in_threads, side_by_side
from ops.adapters.transfer import normal_form, source
from ops.adapters.transfer.rows import Span
from ops.adapters.transfer.scan import PART_ROWS, scan, spans_of
from ops.errors import LoadFailed
from ops.model.transfer.binary import takes_binary
from ops.model.transfer.checks import fault_reason
from ops.model.transfer.fault import Fault, FaultCount, Fix
from ops.model.transfer.lines import quoted
from ops.model.transfer.plan import Examination, PartLines
from ops.model.transfer.schema import ForeignKey, Kind, Pair

LISTED = 20
WORKERS = 2
_ROW, _WHY = '"ops: row"', '"ops: why"'
"""Names of our own in queries that name a table's columns too."""
_FORMS: frozenset[Kind] = frozenset({"timestamptz", "timestamp", "date", "time", "interval", "uuid", "int", "bool"})


@dataclass(slots=True)
class _Found:
    """What was found in one table."""

    faulty: frozenset[str] = frozenset()
    """SQLite names of columns in which a value is not clearly sound."""
    lines: tuple[PartLines, ...] = ()


@dataclass(slots=True)
class _Explained:
    """Why rows of one table are faulty."""

    faults: list[Fault] = field(default_factory=list)
    counts: list[FaultCount] = field(default_factory=list)


def examine(
    copy: Path,
    pairs: Sequence[Pair],
    *,
    on_rows: Callable[[int], None],
    fixes: Sequence[Fix] = (),
    folder: Path | None,
    part_rows: int = PART_ROWS,
    is_binary: bool = True,
    refuse_damage: Callable[[], None] = lambda: None,
) -> Examination:
    """Look at every value; what is written in another form of the same meaning is unified in the copy first.

    Args:
        copy: our copy at the head revision, rules applied.
        pairs: all tables.
        on_rows: hears how many more rows were looked at.
        fixes: what the rules did, to be listed with what is unified here.
        folder: where the rows of each table are kept, so that a load need not read them again; None: nowhere.
        part_rows: how many rows are looked at by one thread or process at a time.
        is_binary: whether rows of binary COPY are made of the tables that take them.
        refuse_damage: raises where the copy is damaged; asked once, when what can be done before is done.

    Raises: ArchiveUnwritable (no room for the rows), LoadFailed (two of our checks do not agree, or rows were missed).
    """
    scanning = _Scanning(copy, pairs, folder, part_rows, refuse_damage, is_binary=is_binary)
    by_name = {pair.table.full_name: pair for pair in pairs}
    found, keys = scanning.with_keys(on_rows, by_name)
    unified: list[Fix] = []
    if any(one.faulty for one in found):
        for pair, one in zip(pairs, found, strict=True):
            forms = {name for column, name in pair.columns if name in one.faulty and column.kind in _FORMS}
            if forms:
                with source.opened(copy) as session:
                    unified += normal_form.unify(session, pair, forms)
        works = [partial(_explained, copy, pair, one, by_name) for pair, one in zip(pairs, found, strict=True)]
        keys = side_by_side(works, workers=WORKERS, on_rows=_unheard)
        if not any(one.counts for one in keys):
            scanning.again(found)
    return Examination(
        faults=tuple(fault for one in keys for fault in one.faults),
        counts=tuple(count for one in keys for count in one.counts),
        fixes=(*fixes, *unified),
        lines={pair.source.name: one.lines for pair, one in zip(pairs, found, strict=True) if one.lines},
    )


def _unheard(_rows: int) -> None:
    """For what is not counted again."""


@dataclass(frozen=True, slots=True)
class _Scanning:
    """Passes over the parts of tables, side by side."""

    copy: Path
    pairs: Sequence[Pair]
    folder: Path | None
    part_rows: int
    refuse_damage: Callable[[], None]
    is_binary: bool

    def with_keys(
        self, on_rows: Callable[[int], None], by_name: Mapping[str, Pair]
    ) -> tuple[list[_Found], list[_Explained]]:
        """A pass over all tables, and beside it a look at their keys, which holds where no value is faulty."""
        found = [_Found() for _ in self.pairs]
        keys = Begun(lambda: [_explained(self.copy, pair, _Found(), by_name) for pair in self.pairs])
        try:
            self._pass(range(len(self.pairs)), found, on_rows)
            self.refuse_damage()
            return found, [] if any(one.faulty for one in found) else keys.result()
        finally:
            keys.end()

    def again(self, found: Sequence[_Found]) -> None:
        """Tables whose values were unified. Raises: LoadFailed, where two of our checks do not agree."""
        changed = {at: one.faulty for at, one in enumerate(found) if one.faulty}
        self._pass(list(changed), found, _unheard)
        for at, before in changed.items():
            if found[at].faulty:
                raise LoadFailed(
                    f"{self.pairs[at].source.name} has values in {', '.join(sorted(before))} that only one of two"
                    " checks takes",
                    hint="report it, with the declared types of these columns",
                )

    def _pass(self, which: Sequence[int], found: Sequence[_Found], on_rows: Callable[[int], None]) -> None:
        """Scan these tables into `found`.

        Rows of binary COPY are made outside of Python's lock, in threads; what forks comes after them. A table of which
        a part cannot be made so is read as lines.
        """
        parts = self._parts([at for at in which if self.is_binary and takes_binary(self.pairs[at])])
        counted = [0] * len(parts)
        if parts:
            from ops.adapters.transfer.binary_rows import scan_binary  # its libraries are large, and an extra

        def work(number: int, report: Callable[[int], None]) -> PartLines | None:
            def count(rows: int) -> None:
                counted[number] += rows
                report(rows)

            at, span, file = parts[number]
            return scan_binary(self.copy, self.pairs[at], span, file, count)

        works = [partial(work, number) for number in range(len(parts))]
        made = in_threads(works, workers=WORKERS, on_rows=on_rows)
        slow = {at for at in which if at not in {part[0] for part in parts}}
        slow |= {at for (at, _, _), one in zip(parts, made, strict=True) if one is None}
        for at in which:
            ours = [one for (of, _, _), one in zip(parts, made, strict=True) if of == at and one is not None]
            found[at].faulty, found[at].lines = frozenset(), tuple(ours) if at not in slow and self.folder else ()
        again = sum(rows for (at, _, _), rows in zip(parts, counted, strict=True) if at in slow)
        self._read_lines(sorted(slow), found, _after(again, on_rows))
        for at in which:
            self._refuse_other_count(self.pairs[at], found[at])

    def _refuse_other_count(self, pair: Pair, found: _Found) -> None:
        """A net below all ways of reading: what was not read would be missed by nobody later."""
        read = sum(part.rows for part in found.lines)
        if found.lines and read != pair.source.rows:
            raise LoadFailed(
                f"{pair.source.name} has {pair.source.rows} rows, and {read} of them were read; nothing was written",
                hint="report it, with the declared types of its columns",
            )

    def _read_lines(self, which: Sequence[int], found: Sequence[_Found], on_rows: Callable[[int], None]) -> None:
        parts = self._parts(which)
        works = [partial(scan, self.copy, self.pairs[at], span, file) for at, span, file in parts]
        done = side_by_side(works, workers=WORKERS, on_rows=on_rows)
        for at in which:
            scanned = [one for (of, _, _), one in zip(parts, done, strict=True) if of == at]
            found[at].faulty = frozenset[str]().union(*(one.faulty for one in scanned))
            kept = tuple(one.lines for one in scanned if one.lines is not None)
            found[at].lines = () if found[at].faulty else kept

    def _parts(self, which: Sequence[int]) -> list[tuple[int, Span, Path | None]]:
        """Of these tables: which it is, the rows of the part, where they are kept."""
        return [
            (at, span, self.folder / f"{at}-{number}.rows" if self.folder else None)
            for at in which
            for number, span in enumerate(spans_of(self.copy, self.pairs[at], self.part_rows))
        ]


def _after(rows: int, on_rows: Callable[[int], None]) -> Callable[[int], None]:
    """Tell of more rows only after so many, which were told of before."""
    left = rows

    def tell(more: int) -> None:
        nonlocal left
        known = min(left, more)
        left -= known
        on_rows(more - known)

    return tell


def _explained(
    copy: Path, pair: Pair, found: _Found, by_name: Mapping[str, Pair], _on_rows: Callable[[int], None] = _unheard
) -> _Explained:
    """The rows of what was found, named; then a look at keys: uniqueness and parents."""
    said = _Explained()
    with closing(source.connect(copy)) as session:
        for column, name in pair.columns:
            if name in found.faulty:
                reason = fault_reason(column, quoted(name))
                named = f"SELECT {pair.source.row_id}, {reason} AS {_WHY} FROM {quoted(pair.source.name)}"  # noqa: S608
                listed = f"SELECT * FROM ({named}) WHERE {_WHY} IS NOT NULL"  # noqa: S608 - quoted
                _collect(session, said, pair.source.name, name, listed)
        _look_at_uniques(session, pair, found, said)
        for key in pair.table.foreign_keys:
            if key.parent in by_name and not _is_within_bounds(session, pair, found, key, by_name[key.parent]):
                orphans = (
                    f"SELECT c.{pair.source.row_id}, 'has no row in {by_name[key.parent].source.name}' FROM"  # noqa: S608 - names
                    f" {quoted(pair.source.name)} AS c WHERE {normal_form.is_orphan(pair, key, by_name[key.parent])}"
                )
                _collect(session, said, pair.source.name, ", ".join(map(pair.name_of, key.columns)), orphans)
    return said


def _is_within_bounds(session: sqlite3.Connection, pair: Pair, found: _Found, key: ForeignKey, parent: Pair) -> bool:
    """Whether the parent has every whole number between its bounds as an id, and the child names no other.

    Most tables that nothing is deleted from are so; that is known at once, where looking up each row takes long.
    """
    column, *more = key.columns
    is_number = next(one.kind == "int" for one in pair.table.columns if one.name == column)
    if more or not is_number or pair.name_of(column) in found.faulty or not parent.source.key:
        return False
    if [parent.name_of(one) for one in key.parent_columns] != [parent.source.key]:
        return False
    ids, of = quoted(parent.source.key), quoted(parent.source.name)
    bounds = ", ".join(f"(SELECT {what} FROM {of})" for what in (f"min({ids})", f"max({ids})", "count(*)"))  # noqa: S608
    lowest, highest, count = session.execute(f"SELECT {bounds}").fetchone()
    if not isinstance(lowest, int) or not isinstance(highest, int) or highest - lowest + 1 != count:
        return False
    name = quoted(pair.name_of(column))
    least, most = session.execute(f"SELECT min({name}), max({name}) FROM {quoted(pair.source.name)}").fetchone()  # noqa: S608
    return least is None or (isinstance(least, int) and isinstance(most, int) and lowest <= least and most <= highest)


def _look_at_uniques(session: sqlite3.Connection, pair: Pair, found: _Found, said: _Explained) -> None:
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
        _collect(session, said, pair.source.name, ", ".join(names), doubles)


def _collect(session: sqlite3.Connection, said: _Explained, table: str, column: str, listed: str) -> None:
    (count,) = session.execute(f"SELECT count(*) FROM ({listed})").fetchone()  # noqa: S608 - our own SQL
    if not count:
        return
    said.counts.append(FaultCount(table, column, count))
    rows = session.execute(f"{listed} ORDER BY 1 LIMIT {LISTED}").fetchall()
    said.faults += [Fault(table, column, row_id, str(why)) for row_id, why in rows]
