"""How do the values of one column, joined to one text, become fields of COPY - and are all of them clearly sound?

SQLite joins the values of a batch of rows, so that a whole column is judged and written by operations that run at the
speed of memory, never value by value. What is not clearly sound is not judged here: the SQL of `checks` looks at each
value then and names the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ops.model.transfer.checks import MOMENT_DIGITS, any_fault, is_rounded
from ops.model.transfer.lines import escaped_value
from ops.model.transfer.moments import SHAPES, are_moments
from ops.model.transfer.schema import Column, Kind

TEXTS: frozenset[Kind] = frozenset({"text", "char", "json", "jsonb", "enum", "other"})
"""Kinds whose values are written as they are, whatever characters they hold."""
ESCAPED_KINDS: frozenset[Kind] = TEXTS | {"array", "bytes"}
"""Kinds whose values COPY reads with escapes."""
_CLASSES: dict[Kind, frozenset[bytes]] = {
    "int": frozenset({b"null", b"integer"}),
    "bool": frozenset({b"null", b"integer"}),
    "float8": frozenset({b"null", b"integer", b"real"}),
    "text": frozenset({b"null", b"text"}),
    "char": frozenset({b"null", b"text"}),
    "other": frozenset({b"null", b"text"}),
}
"""SQLite sorts by class first (numbers, texts, bytes), so the lowest and the highest value tell the classes of all."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What stands between joined values, and for a missing one."""

    field: bytes
    missing: bytes
    is_escaped: bool
    """Whether SQLite escapes texts before it joins them: slow, and right for any text."""


RAW = Marks(b"\x1f", b"\x1d", is_escaped=False)
ESCAPED = Marks(b"\t", b"\\N", is_escaped=True)


def joined(column: Column, expression: str, marks: Marks) -> str:
    """SQLite: all values of a batch as one text."""
    if marks.is_escaped and column.kind in ESCAPED_KINDS:
        expression = escaped_value(column, expression)
    # Literals: SQLite would call char() for every row.
    return f"group_concat(ifnull({expression}, '{marks.missing.decode()}'), '{marks.field.decode()}')"


def is_ambiguous(column: Column, block: bytes, rows: int, missing: int, marks: Marks) -> bool:
    """Whether a text holds one of the marks, so that the block cannot be taken apart.

    Args:
        column: of these values.
        block: what `joined` gave.
        rows: how many values it holds.
        missing: how many of them are NULL.
        marks: as for `joined`.
    """
    if marks.is_escaped or column.kind not in ESCAPED_KINDS:
        return False
    return block.count(marks.field) != rows - 1 or block.count(marks.missing) != missing


def facts(column: Column, name: str) -> tuple[str, ...]:
    """SQLite: aggregates over a batch that `are_facts_sound` judges.

    Args:
        column: the target's.
        name: the quoted name in SQLite.
    """
    if column.kind in SHAPES:
        # How many are there and no bytes: bytes sort behind all else, and would be joined as the text they spell.
        return (f"ifnull(sum({name} COLLATE BINARY < x''), 0)",)
    if column.kind not in _CLASSES:
        return (f"max({any_fault(column, name, is_text_known=column.kind in TEXTS)})",)
    classes = tuple(f"typeof({function}({name} COLLATE BINARY))" for function in ("min", "max"))
    if column.kind in {"int", "bool"}:
        return (*classes, f"min({name} COLLATE BINARY)", f"max({name} COLLATE BINARY)")
    if column.kind == "float8":
        return (*classes, f"max({is_rounded(name)})")
    return classes if column.length is None else (*classes, f"max(length({name}))")


def are_facts_sound(column: Column, found: Sequence[object], present: int) -> bool:
    """Whether no value is of another class, out of bounds or too long, by what `facts` gave.

    `present` is how many values are not NULL, by the marks in the block.
    """
    if column.kind in SHAPES:
        return found[0] == present
    if column.kind not in _CLASSES:
        return not found[0]
    if not _CLASSES[column.kind].issuperset(found[:2]):
        return False
    if column.kind == "float8":
        return not found[2]
    rest = [number for number in found[2:] if isinstance(number, int)]
    if column.kind in {"int", "bool"}:
        low, high = (0, 1) if column.kind == "bool" else column.bounds
        return all(low <= number <= high for number in rest)
    return column.length is None or all(number <= column.length for number in rest)


def is_sound(column: Column, block: bytes, rows: int, missing: int, marks: Marks) -> bool:
    """Whether every value of a block has the one form of its kind, as far as `facts` does not say it."""
    if missing and not column.is_nullable:
        return False
    if column.kind in SHAPES:
        stripped = _without_missing(block, marks)
        return are_moments(stripped, rows - missing, column.kind, marks.field) and not _is_finer(column, stripped)
    if column.kind in _DIGITS:  # a number with a fraction can lie between two whole ones
        return not block.translate(None, _DIGITS[column.kind] + marks.field + marks.missing)
    return column.kind not in TEXTS or not is_text_broken(block)


_DIGITS: dict[Kind, bytes] = {"int": b"-0123456789", "bool": b"01"}


def _is_finer(column: Column, block: bytes) -> bool:
    """Whether one of these moments is finer than the target keeps: it would be rounded."""
    if column.precision is None:
        return False
    width = len(SHAPES[column.kind])
    ends = (block[at :: width + 1] for at in range(width - (MOMENT_DIGITS - column.precision), width))
    return bool(b"".join(ends).strip(b"0"))


def missing_in(block: bytes, marks: Marks) -> int:
    """How many values of a block are NULL, for kinds whose values hold no mark."""
    return block.count(marks.missing)


def _without_missing(block: bytes, marks: Marks) -> bytes:
    if marks.missing not in block:
        return block
    return (block + marks.field).replace(marks.missing + marks.field, b"")[:-1]


def fields(column: Column, block: bytes, marks: Marks, *, is_printed: bool = False) -> list[bytes]:
    """The values of a sound block as COPY reads them, or as it prints them."""
    if not marks.is_escaped and column.kind in ESCAPED_KINDS:
        block = with_escapes(block)
    if column.kind == "bool":
        block = block.translate(_AS_LETTERS)
    if not marks.is_escaped:
        block = block.replace(marks.missing, b"\\N")
    values = block.split(marks.field)
    if column.kind in _FRACTIONS or (is_printed and column.kind == "interval"):
        # PostgreSQL prints no zeros at the end of a fraction.
        return [value.rstrip(b"0").rstrip(b".") if value[-1] == _ZERO else value for value in values]
    return values


_AS_LETTERS = bytes.maketrans(b"01", b"ft")
_FRACTIONS: frozenset[Kind] = frozenset({"timestamptz", "timestamp", "time"})
_ZERO = ord("0")
_SPECIAL = b"\\\b\t\n\v\f\r"
_ESCAPES = tuple(
    (bytes([code]), b"\\" + letter)
    for code, letter in zip(b"\\\b\t\n\v\f\r", (b"\\", b"b", b"t", b"n", b"v", b"f", b"r"), strict=True)
)


def with_escapes(block: bytes) -> bytes:
    """The block with the escapes of COPY."""
    if len(block.translate(None, _SPECIAL)) == len(block):
        return block
    for raw, written in _ESCAPES:
        block = block.replace(raw, written)
    return block


def lines(columns: Sequence[Sequence[bytes]], rows: int) -> bytes:
    """Lines of COPY from the fields of all columns, each with its line end."""
    if not columns:
        return b"\n" * rows
    return b"\n".join(map(b"\t".join, zip(*columns, strict=True))) + b"\n"


def is_text_broken(block: bytes) -> bool:
    """Whether it holds a NUL character or is no UTF-8."""
    if b"\0" in block:
        return True
    if block.isascii():
        return False
    try:
        block.decode()
    except UnicodeDecodeError:
        return True
    return False
