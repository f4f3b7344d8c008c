"""How is a part of a table looked at, and its lines kept?

A table is cut into parts of so many rows, so that one large table keeps every core busy too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ops.adapters.durable_files import open_new
from ops.adapters.transfer import source
from ops.adapters.transfer.printed import UnorderedSum, new_digest
from ops.adapters.transfer.rows import HIGHEST, LOWEST, MarkInText, Span, read_batches
from ops.errors import ArchiveUnwritable
from ops.model.transfer.columns import ESCAPED, RAW, Marks
from ops.model.transfer.lines import quoted
from ops.model.transfer.plan import PartLines
from ops.model.transfer.schema import Pair

PART_ROWS = 150_000


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was found in a part."""

    faulty: frozenset[str]
    """SQLite names of columns in which a value is not clearly sound."""
    lines: PartLines | None
    """None where they were not to be kept, or where a column is faulty."""


def spans_of(copy: Path, pair: Pair, part_rows: int) -> tuple[Span, ...]:
    """The first and the last row id of each part of so many rows, in order; together all ids there can be."""
    name, row_id = quoted(pair.source.name), pair.source.row_id
    bounds = f"SELECT (SELECT min({row_id}) FROM {name}), (SELECT max({row_id}) FROM {name})"  # noqa: S608 - quoted
    last_of_part = f"SELECT {row_id} FROM {name} NOT INDEXED WHERE {row_id} >= ? ORDER BY {row_id} LIMIT 1 OFFSET ?"  # noqa: S608
    found, first = [], LOWEST
    with closing(source.connect(copy, is_brief=True)) as session:
        lowest, highest = session.execute(bounds).fetchone()
        if lowest is not None and highest - lowest + 1 == pair.source.rows and highest < HIGHEST:  # without a gap
            ends = range(lowest + part_rows - 1, highest + 1, part_rows)
            return tuple(zip((LOWEST, *(end + 1 for end in ends)), (*ends, HIGHEST), strict=True))
        while row := session.execute(last_of_part, [first, part_rows - 1]).fetchone():
            if row[0] == HIGHEST:
                break
            found.append((first, int(row[0])))
            first = int(row[0]) + 1
    return (*found, (first, HIGHEST))


def scan(copy: Path, pair: Pair, span: Span, file: Path | None, on_rows: Callable[[int], None]) -> Scanned:
    """One pass over a part, which keeps its lines in `file`; a second one where a text holds a mark of ours.

    Raises: ArchiveUnwritable.
    """
    counted = 0

    def count(rows: int) -> None:
        nonlocal counted
        counted += rows
        on_rows(rows)

    def count_once(rows: int) -> None:
        nonlocal counted
        on_rows(max(0, rows - counted))
        counted = max(0, counted - rows)

    try:
        return _scan(copy, pair, span, RAW, file, count)
    except MarkInText:
        return _scan(copy, pair, span, ESCAPED, file, count_once)


def _scan(  # noqa: PLR0917 - one use
    copy: Path, pair: Pair, span: Span, marks: Marks, file: Path | None, on_rows: Callable[[int], None]
) -> Scanned:
    faulty, digest, rows = frozenset[str](), new_digest(), 0
    total = None if pair.is_in_key_order else UnorderedSum()
    with closing(source.connect(copy)) as session, written(file) as write:
        session.text_factory = bytes
        for batch in read_batches(session, pair, marks, span=span):
            faulty |= batch.faulty
            if not faulty:
                write(batch.load)
                digest.update(batch.check)
                if total is not None:
                    total.update(batch.check)
            rows += batch.rows
            on_rows(batch.rows)
    if faulty or file is None:
        return Scanned(faulty, None)
    summed = total.total if total is not None else 0
    return Scanned(faulty, PartLines(str(file), rows, digest.hexdigest(), span, summed, has_marks=marks.is_escaped))


@contextmanager
def written(file: Path | None) -> Iterator[Callable[[bytes], object]]:
    """What is given to the function is in a new file then; None: it is nowhere. Raises: ArchiveUnwritable."""
    if file is None:
        yield lambda _block: None
        return
    try:
        file.unlink(missing_ok=True)
        with open(open_new(file), "wb") as out:  # noqa: PTH123 - a descriptor has no path
            yield out.write
    except OSError as exc:
        raise ArchiveUnwritable(f"{file} cannot be written", cause=exc.strerror, hint="df -h") from exc
