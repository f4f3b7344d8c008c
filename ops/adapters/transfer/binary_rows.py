"""How are the rows of a SQLite table read as rows of binary COPY, a batch at a time, and judged on the way?

Three libraries do it without a Python object for a value: ADBC's SQLite driver reads columns, Arrow judges and
converts them, pgpq writes rows. What is not clearly sound ends it; the lines of `rows` tell then what it was.

ADBC takes the class of a column from the first rows that it reads and turns what comes later into it, silently where
it can: so a row of ours comes first, and SQLite gives something that is found out in place of a value of another class.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import adbc_driver_manager  # not its dbapi, which imports ten times as much
import adbc_driver_sqlite
import pgpq
import pyarrow as pa
import pyarrow.compute as pc

from ops.adapters.transfer import source
from ops.adapters.transfer.printed import BINARY_END, new_row_digest
from ops.adapters.transfer.rows import HIGHEST, LOWEST, Span, batch_size
from ops.adapters.transfer.scan import spans_of, written
from ops.model.transfer.lines import quoted
from ops.model.transfer.moments import SHAPES
from ops.model.transfer.plan import PartLines
from ops.model.transfer.schema import Column, Kind, Pair

_BATCH_BYTES = 4 << 20
"""Of the values of a batch, several times over while they are turned: a value with more than its share is read again,
among fewer rows."""
_FIXED_BYTES = 32
"""About what a value of any kind takes at least."""
_FEWER = 16
_MISMATCH, _LARGE = 1, 2
_MOST_BYTES = (1 << 31) - 1
"""Of one value; SQLite's own limit is below."""
_SAMPLES: dict[Kind, str] = {"int": "0", "bool": "0", "float8": "0.0", "bytes": "x''"}
_CLASSES: dict[Kind, pa.DataType] = {
    "int": pa.int64(), "bool": pa.int64(), "float8": pa.float64(), "bytes": pa.binary(),
}  # fmt: skip
_INTEGERS = {2: pa.int16(), 4: pa.int32(), 8: pa.int64()}
_MOMENT = pa.timestamp("us")
_TYPES: dict[Kind, pa.DataType] = {
    "bool": pa.bool_(), "float8": pa.float64(), "bytes": pa.binary(), "text": pa.string(),
    "timestamp": _MOMENT, "timestamptz": pa.timestamp("us", "UTC"), "date": pa.date32(),
}  # fmt: skip
_FIRST_DAY = -719162
"""The first day of the year 1, counted from 1970; both databases know no year 0 here."""
_MICROSECONDS_A_DAY = 86_400_000_000
_SEPARATORS = ((10, b" "), (19, b"."))
"""What Arrow would also read otherwise in a moment of that length."""


pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps more of what is given back


class NotBinary(Exception):
    """A value is not clearly sound, or not of the class that its column promises."""


@dataclass(frozen=True, slots=True)
class BinaryBatch:
    """Some rows of a table, as COPY reads and writes them."""

    rows: int
    """How many more were looked at."""
    data: bytes
    """Some of all rows seen so far: the writer keeps some back for later."""


def scan_binary(
    copy: Path, pair: Pair, span: Span, file: Path | None, on_rows: Callable[[int], None]
) -> PartLines | None:
    """One pass over a part, which keeps rows of binary COPY in `file`; None where one cannot be made so.

    Raises: ArchiveUnwritable.
    """
    digest, rows = new_row_digest(), 0
    try:
        with written(file) as write:
            for batch in read_binary(copy, pair, span):
                write(batch.data)
                digest.update(batch.data)
                rows += batch.rows
                on_rows(batch.rows)
    except NotBinary:
        return None
    return PartLines(str(file), rows, digest.hexdigest(), span, is_binary=True)


def checksums_of(file: Path, pair: Pair, part_rows: int, rows: int) -> list[str] | None:
    """The checksums of so many rows of a table, as `scan_binary` makes them for each part; None where it cannot."""
    parts = [scan_binary(file, pair, span, None, lambda _rows: None) for span in spans_of(file, pair, part_rows)]
    known = [part for part in parts if part is not None]
    is_whole = len(known) == len(parts) and sum(part.rows for part in known) == rows
    return [part.checksum for part in known if part.rows] if is_whole else None


def read_binary(copy: Path, pair: Pair, span: Span) -> Iterator[BinaryBatch]:
    """The rows of a part of a table in the order of their ids. Raises: NotBinary."""
    schema = pa.schema([(column.name, _type(column)) for column in pair.table.columns])
    encoder = pgpq.ArrowToPostgresBinaryEncoder(schema)
    encoder.write_header()
    with closing(source.connect(copy, is_brief=True)) as session:
        _refuse_other_encoding(session)
        rows = min(batch_size(session, pair), max(1, _BATCH_BYTES // (_FIXED_BYTES * len(pair.names))))
    try:
        with (
            adbc_driver_sqlite.connect(f"file:{quote(str(copy))}?mode=ro") as database,
            adbc_driver_manager.AdbcConnection(database) as connection,
        ):
            for columns in _batches(connection, pair, span, rows):
                arrays = [_sound(column, one) for column, one in zip(pair.table.columns, columns, strict=True)]
                batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
                yield BinaryBatch(batch.num_rows, encoder.write_batch(batch))
            yield BinaryBatch(0, encoder.finish().removesuffix(BINARY_END))
    except (adbc_driver_manager.Error, pa.ArrowException, OSError) as exc:
        raise NotBinary(str(exc)) from exc


def _refuse_other_encoding(session: sqlite3.Connection) -> None:
    """A text that is no UTF-16 would be read as another one."""
    if session.execute("PRAGMA encoding").fetchone()[0] != "UTF-8":
        raise NotBinary("texts are not stored as UTF-8")


@contextmanager
def _asked(connection: adbc_driver_manager.AdbcConnection, query: str, rows: int) -> Iterator[pa.RecordBatchReader]:
    """The answer to a query, so many rows at a time."""
    with adbc_driver_manager.AdbcStatement(connection) as statement:
        statement.set_options(**{"adbc.sqlite.query.batch_rows": str(rows)})
        statement.set_sql_query(query)
        answer, _ = statement.execute_query()
        with pa.RecordBatchReader.from_stream(answer) as reader:
            yield reader


def _type(column: Column) -> pa.DataType:
    return _INTEGERS[column.size_bytes] if column.kind == "int" else _TYPES[column.kind]


def _batches(
    connection: adbc_driver_manager.AdbcConnection, pair: Pair, span: Span, rows: int
) -> Iterator[Sequence[pa.Array]]:
    """The columns of so many rows at a time; where values are large, of fewer."""
    with _asked(connection, _query(pair, span, rows), rows) as reader:
        is_first = True
        for batch in reader:
            *columns, flags = batch.slice(1 if is_first else 0).columns
            is_first = False
            if not len(flags):
                continue
            worst = pc.max(flags).as_py()
            if worst == _MISMATCH:
                raise NotBinary("a value has another class than its column")
            if worst != _LARGE and not any(_holds_nul(array) for array in columns):
                yield columns
                continue
            if rows == 1:
                raise NotBinary("a text holds NUL")
            ids = columns[pair.names.index(pair.source.key)]
            del columns, batch
            yield from _batches(connection, pair, (ids[0].as_py(), ids[-1].as_py()), max(1, rows // _FEWER))


def _query(pair: Pair, span: Span, rows: int) -> str:
    """A row that gives each column its class, then the rows of the table with a column that tells of their bytes."""
    sized = [quoted(name) for column, name in pair.columns if column.kind in {"text", "bytes"}]
    most = _BATCH_BYTES // rows // max(1, len(sized)) if rows > 1 else _MOST_BYTES
    blobs = [quoted(name) for column, name in pair.columns if column.kind == "bytes"]
    wrong, large = (
        " OR ".join(f"{blob} < x''" for blob in blobs),
        " OR ".join(f"octet_length({blob}) > {most}" for blob in blobs),
    )
    flag = f"iif({wrong}, {_MISMATCH}, iif({large}, {_LARGE}, 0))" if blobs else "0"
    values = [
        quoted(name) if name == pair.source.key else _value(column, quoted(name), most) for column, name in pair.columns
    ]
    samples = [_SAMPLES.get(column.kind, "''") for column in pair.table.columns]
    first, last = (_integer(bound) for bound in span)
    bounds = [f"{pair.source.row_id} >= {first}"] * (span[0] != LOWEST)
    bounds += [f"{pair.source.row_id} <= {last}"] * (span[1] != HIGHEST)
    where = f" WHERE {' AND '.join(bounds)}" if bounds else ""
    return (
        f"SELECT {', '.join(samples)}, 0 UNION ALL SELECT {', '.join(values)}, {flag}"  # noqa: S608 - quoted
        f" FROM {quoted(pair.source.name)} NOT INDEXED{where}"
    )


def _value(column: Column, name: str, most: int) -> str:
    """SQLite: the value; where it is too long or of another class than its column, something short that is found out.

    SQLite sorts by class: numbers, texts, bytes. For a text the NUL tells, which none may hold: it is read again, alone
    in the end. Elsewhere a letter is no value of the column.
    """
    match column.kind:
        case "text":
            return f"iif(octet_length({name}) <= {most} AND {name} < x'', {name}, iif({name} IS NULL, NULL, char(0)))"
        case "bytes":
            return f"iif(octet_length({name}) <= {most} AND {name} >= x'', {name}, NULL)"
        case "int" | "bool" | "float8":
            return f"iif({name} < '', {name}, iif({name} IS NULL, NULL, 'x'))"
        case _:
            size = len(SHAPES[column.kind])
            return f"iif(octet_length({name}) <= {size} AND {name} < x'', {name}, iif({name} IS NULL, NULL, 'x'))"


def _integer(number: int) -> str:
    """The lowest 64-bit integer is no literal in SQLite."""
    return f"({number + 1} - 1)" if number < 0 else str(number)


def _sound(column: Column, array: pa.Array) -> pa.Array:
    """The values as the target's type. Raises: NotBinary, pa.ArrowInvalid."""
    if array.type != _CLASSES.get(column.kind, pa.string()):
        raise NotBinary(f"{column.name} was read as {array.type}")
    if array.null_count and not column.is_nullable:
        raise NotBinary(f"{column.name} has no value somewhere")
    match column.kind:
        case "bool":
            _refuse_outside(array, 0, 1)
        case "text":
            _refuse_text(column, array)
        case "timestamp" | "timestamptz":
            _refuse_other_shapes(column, array)
            moments = pc.cast(array, _MOMENT)
            _refuse_outside(moments.view(pa.int64()), _FIRST_DAY * _MICROSECONDS_A_DAY, None)
            return moments.view(_type(column))
        case "date":
            _refuse_other_shapes(column, array)
            days = pc.cast(array, pa.date32())
            _refuse_outside(days.view(pa.int32()), _FIRST_DAY, None)
            return days
        case _:
            pass
    return pc.cast(array, _type(column))


def _refuse_outside(array: pa.Array, low: int, high: int | None) -> None:
    found = pc.min_max(array).as_py()
    if found["min"] is not None and (found["min"] < low or (high is not None and found["max"] > high)):
        raise NotBinary("out of bounds")


def _refuse_text(column: Column, array: pa.Array) -> None:
    array.validate(full=True)  # each is UTF-8
    if column.length is not None:
        longest = pc.max(pc.utf8_length(array)).as_py()
        if longest is not None and longest > column.length:
            raise NotBinary("a text is too long")


def _refuse_other_shapes(column: Column, array: pa.Array) -> None:
    size = len(SHAPES[column.kind])
    found = pc.min_max(pc.binary_length(array)).as_py()
    if {found["min"], found["max"]} - {size, None}:
        raise NotBinary("a moment of another length")
    data, there = _bytes_of(array), len(array) - array.null_count
    for at, mark in _SEPARATORS:
        if at < size and data[at::size].count(mark) != there:
            raise NotBinary("a moment of another form")


def _holds_nul(array: pa.Array) -> bool:
    return bool(array.type == pa.string()) and b"\0" in _bytes_of(array)


def _bytes_of(array: pa.Array) -> bytes:
    """All values of texts, one behind another."""
    _, offsets, data = array.buffers()
    ends = memoryview(offsets).cast("i")
    first, last = ends[array.offset], ends[array.offset + len(array)]
    return bytes(memoryview(data)[first:last]) if data is not None else b""
