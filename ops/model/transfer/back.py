"""What does the way back to a SQLite file write, and which value of SQLite is a text that PostgreSQL printed?"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ops.errors import BadSourceData, OpsError, RevisionConflict
from ops.model.transfer.arrays import stored_list
from ops.model.transfer.plan import LoadedTable, TablePlan
from ops.model.transfer.schema import Column, Table

Stored = int | float | str | bytes | None
_HELD = b"\0"
"""Stands for a backslash while the other escapes are undone: no text of PostgreSQL holds it."""
_LETTERS = ((b"b", b"\b"), (b"f", b"\f"), (b"n", b"\n"), (b"r", b"\r"), (b"t", b"\t"), (b"v", b"\v"))
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class FileThere:
    """A SQLite database of the wanted name, which gives way and is kept. Times are aware UTC."""

    change_id: str
    rows: int
    revisions: tuple[str, ...]
    size_bytes: int
    open_by: tuple[str, ...]
    """`name (pid)` of the programs of this machine that have it open, as far as we may know."""
    kept: str
    """The name of the file, beside it, that will hold what it holds now."""
    kept_until: datetime


@dataclass(frozen=True, slots=True)
class BackPlan:
    """Everything that `inv transfer --to` will do."""

    file: str
    """The SQLite file to be made."""
    database: str
    revision: str
    tables: tuple[TablePlan, ...]
    differences: tuple[str, ...]
    there: FileThere | None
    """What has the file's name now."""
    target: tuple[Table, ...]

    @property
    def rows(self) -> int:
        """Rows to be written, as counted for the plan."""
        return sum(table.rows for table in self.tables)

    @property
    def forbidden(self) -> OpsError | None:
        """What forbids it; None where nothing does."""
        if self.differences:
            return RevisionConflict(
                f"{self.database} and a SQLite file at its revision do not have the same tables and columns",
                cause="; ".join(self.differences),
                hint="inv check shows the drift",
            )
        return None

    def refuse(self) -> None:
        """Raise what forbids it."""
        error = self.forbidden
        if error is not None:
            raise error


@dataclass(frozen=True, slots=True)
class BackReport:
    """A way back that is done. Durations are seconds."""

    file: str
    database: str
    revision: str
    rows: int
    size_bytes: int
    tables: tuple[LoadedTable, ...]
    kept: str
    """The file beside it that holds what it held before; empty where there was none."""
    kept_until: datetime | None
    cleaned: tuple[str, ...]
    create_s: float
    load_s: float
    finish_s: float
    away_s: float
    """For so long the file was locked."""
    total_s: float


def fields_of(line: bytes) -> list[bytes | None]:
    """The values of a line of COPY, without their escapes; None for NULL."""
    fields: list[bytes | None] = [None if field == rb"\N" else field for field in line.split(b"\t")]
    if b"\\" not in line:
        return fields
    return [field if field is None or b"\\" not in field else _unescaped(field) for field in fields]


def _unescaped(field: bytes) -> bytes:
    """Without the escapes of COPY; a text of 50 MB that is full of them must not become as many objects."""
    field = field.replace(rb"\\", _HELD)
    for letter, meant in _LETTERS:
        field = field.replace(b"\\" + letter, meant)
    return field.replace(_HELD, b"\\")


def readers_of(table: Table) -> Sequence[Callable[[bytes], Stored]]:
    """For each column, what turns its printed text into what SQLAlchemy would have stored in SQLite.

    A reader raises ValueError, saying why, for a value that SQLite has no form for.
    """
    return [_reader(column) for column in table.columns]


def _reader(column: Column) -> Callable[[bytes], Stored]:  # noqa: C901, PLR0911 - one line for each kind
    match column.kind:
        case "int":
            return int
        case "bool":
            return lambda text: int(text == b"t")
        case "float8" | "float4":
            return _number
        case "numeric":
            return _decimal
        case "timestamptz" | "timestamp" | "interval":
            return lambda text: _moment(text.decode())
        case "date":
            return _day
        case "time":
            return lambda text: _padded(text.decode())
        case "uuid":
            return lambda text: text.replace(b"-", b"").decode()
        case "array":
            return lambda text: stored_list(text.decode(), column.element)
        case "bytes":
            return lambda text: unhexlify(memoryview(text)[2:])
        case _:
            return bytes.decode


def _number(text: bytes) -> float:
    if text == b"NaN":
        raise ValueError("is NaN, which SQLite keeps as NULL")
    return float(text)


def _decimal(text: bytes) -> str:
    """Text that SQLite turns into a number by itself."""
    said = text.decode()
    if not _NUMBER.fullmatch(said) or Decimal(repr(float(said))) != Decimal(said):
        raise ValueError(f"is {said}, more than a number of SQLite holds")
    return said


def _moment(text: str) -> str:
    if not _MOMENT.fullmatch(text):
        raise ValueError(f"is {text}, which has no form in SQLite")
    return _padded(text)


def _day(text: bytes) -> str:
    said = text.decode()
    if not _DAY.fullmatch(said):
        raise ValueError(f"is {said}, which has no form in SQLite")
    return said


def _padded(text: str) -> str:
    """A clock with all six digits of its fraction, as SQLAlchemy writes it."""
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(6, '0')}"


def unfit(table: Table, values: Sequence[bytes | None], readers: Sequence[Callable[[bytes], Stored]]) -> BadSourceData:
    """The error for the first value of a row that SQLite cannot take, with the row's key."""
    key = ", ".join(
        f"{column.name} {(value or b'NULL').decode(errors='replace')[:40]}"
        for column, value in zip(table.columns, values, strict=True)
        if column.name in table.primary_key
    )
    for column, value, read in zip(table.columns, values, readers, strict=True):
        try:
            if value is not None:
                read(value)
        except ValueError as exc:
            return BadSourceData(
                f"{table.shown}.{column.name} of the row with {key or 'no key'} {exc}; no file was made",
                cause="SQLite has no form for it that the application reads",
                hint="correct the value in PostgreSQL: inv shell",
            )
    raise AssertionError
