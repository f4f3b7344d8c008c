"""Which values of a column could the target not take, said in SQLite's SQL?

By then all forms with one meaning are in the form that SQLAlchemy stores (`normal_form`), so each kind has one shape.
"""

from __future__ import annotations

from dataclasses import dataclass

from ops.model.transfer.lines import array_of, as_argument, json_text, literal
from ops.model.transfer.schema import MOMENTS, Column

_DAY = "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]"
_CLOCK = "[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]"
_HIGHEST_SINGLE = "3.4028235677973366e38"
MOMENT_DIGITS = 6
"""Of the fraction of a moment."""


@dataclass(frozen=True, slots=True)
class Check:
    """A condition on a value that is not NULL, true for a fault, with the reason in SQL (an expression)."""

    is_bad: str
    reason: str


def shape(column: Column, name: str) -> str:
    """SQLite: true where the value is in the one form of its kind; moments, UUIDs and numbers only."""
    match column.kind:
        case "int":
            return f"typeof({name}) = 'integer'"
        case "timestamptz" | "timestamp" | "interval":
            is_shaped = f"typeof({name}) = 'text' AND {name} GLOB '{_DAY} {_CLOCK}'"
            return f"({is_shaped} AND {_is_day(name)} AND {_is_hour(name, 12)})"
        case "date":
            return f"(typeof({name}) = 'text' AND {name} GLOB '{_DAY}' AND {_is_day(name)})"
        case "time":
            return f"(typeof({name}) = 'text' AND {name} GLOB '{_CLOCK}' AND {_is_hour(name, 1)})"
        case "uuid":
            return f"(typeof({name}) = 'text' AND length({name}) = 32 AND {name} NOT GLOB '*[^0-9a-f]*')"
        case _:
            return "1"


def _is_day(name: str) -> str:
    """A day that the calendar has. Most days need no look at it."""
    sure = f"substr({name}, 9, 2) BETWEEN '01' AND '28' AND substr({name}, 6, 2) BETWEEN '01' AND '12'"
    known = f"({sure} OR date(julianday(substr({name}, 1, 10))) IS substr({name}, 1, 10))"
    return f"{known} AND substr({name}, 1, 4) > '0000'"


def _is_hour(name: str, at: int) -> str:
    return f"substr({name}, {at}, 2) < '24'"


def checks_of(column: Column, name: str) -> tuple[Check, ...]:  # noqa: PLR0911 - one block for each kind
    """The faults that a value of this column can have; the first that holds is its reason."""
    kind = column.kind
    if kind == "int":
        low, high = column.bounds
        return (
            Check(f"typeof({name}) <> 'integer'", f"'is ' || typeof({name}) || ', not an integer'"),
            Check(f"{name} NOT BETWEEN {_integer(low)} AND {high}", literal(f"is too large for {column.type}")),
        )
    if kind == "bool":
        return (
            Check(f"typeof({name}) <> 'integer'", f"'is ' || typeof({name}) || ', not 0 or 1'"),
            Check(f"{name} NOT IN (0, 1)", "'is neither 0 nor 1'"),
        )
    if kind in {"float8", "float4"}:
        found = [Check(f"typeof({name}) NOT IN ('real', 'integer')", f"'is ' || typeof({name}) || ', not a number'")]
        if kind == "float4":
            too_large = f"abs({name}) >= {_HIGHEST_SINGLE} AND abs({name}) < 9e999"
            found.append(Check(too_large, literal(f"is too large for {column.type}")))
        rounded = is_rounded(name) if kind == "float8" else f"ops_float4(CAST({name} AS REAL)) IS NULL"
        more = Check(f"{rounded} OR {is_rounded(name)}", literal(f"has more digits than {column.type} keeps"))
        return (*found, more)
    if kind == "numeric":
        precision, scale = ("NULL" if one is None else str(one) for one in (column.precision, column.scale))
        bad = f"ops_numeric({as_argument(name)}, {precision}, {scale}) IS NULL"
        return (
            Check(f"typeof({name}) = 'blob'", "'is bytes, not a number'"),
            Check(f"typeof({name}) = 'text' AND {name} = '' COLLATE BINARY", "'is an empty text'"),
            Check(bad, literal(f"is no {column.type}, or rounding would change it")),
        )
    if kind in MOMENTS or kind == "uuid":
        return (
            Check(f"typeof({name}) <> 'text'", f"'is ' || typeof({name}) || {literal(', not a ' + column.type)}"),
            Check(f"{name} = '' COLLATE BINARY", "'is an empty text'"),
            Check(f"NOT {shape(column, name)}", literal(f"is no {column.type}")),
            *_precision_checks(column, name),
        )
    if kind in {"json", "jsonb"}:
        said = f"ops_json(CAST({json_text(name)} AS BLOB), {int(kind == 'jsonb')})"
        is_bytes = Check(f"typeof({name}) = 'blob'", "'is blob, not text'")
        return (is_bytes, *_encoding_checks(name), Check(f"{said} IS NOT NULL", said))
    if kind == "array":
        is_bad = f"{array_of(column, name)} IS NULL"
        return (_is_text(name), *_encoding_checks(name), Check(is_bad, literal(f"is no JSON list for {column.type}")))
    if kind == "bytes":
        return (Check(f"typeof({name}) <> 'blob'", f"'is ' || typeof({name}) || ', not bytes'"),)
    return _text_checks(column, name)


def is_rounded(name: str) -> str:
    """SQLite: true for an integer that has more digits than a double keeps; SQLite compares the two exactly."""
    return f"{name} <> CAST({name} AS REAL)"


def _precision_checks(column: Column, name: str) -> tuple[Check, ...]:
    """What is finer than the target keeps would be rounded."""
    finer = MOMENT_DIGITS - column.precision if column.kind in MOMENTS and column.precision is not None else 0
    if not finer:
        return ()
    return (Check(f"substr({name}, -{finer}) <> '{'0' * finer}'", literal(f"is finer than {column.type}")),)


def _integer(number: int) -> str:
    """The lowest 64-bit integer is no literal in SQLite."""
    return f"({number + 1} - 1)" if number < 0 else str(number)


def _is_text(name: str) -> Check:
    return Check(f"typeof({name}) <> 'text'", f"'is ' || typeof({name}) || ', not text'")


def _encoding_checks(name: str) -> tuple[Check, ...]:
    return (
        Check(f"instr({name}, char(0)) > 0", "'holds a NUL character'"),
        Check(f"NOT ops_is_utf8(CAST({name} AS BLOB))", "'is no UTF-8'"),
    )


def _text_checks(column: Column, name: str) -> tuple[Check, ...]:
    found = [_is_text(name), *_encoding_checks(name)]
    if column.length is not None:
        too_long = f"length({name}) > {column.length}"
        found.append(
            Check(too_long, f"'has ' || length({name}) || {literal(f' characters, {column.type} takes fewer')}")
        )
    if column.kind == "enum":
        labels = ", ".join(map(literal, column.labels))
        # Not by the collation of the column: for PostgreSQL `A` is no label `a`.
        found.append(
            Check(f"{name} COLLATE BINARY NOT IN ({labels})", literal(f"is not among the values of {column.type}"))
        )
    return tuple(found)


def any_fault(column: Column, name: str, *, is_text_known: bool = False) -> str:
    """SQLite: 1 where the value is faulty.

    Args:
        column: the target's.
        name: the quoted name in SQLite.
        is_text_known: NUL characters and UTF-8 were looked at otherwise.
    """
    skipped = {check.is_bad for check in _encoding_checks(name)} if is_text_known else set()
    bad = " OR ".join(f"({check.is_bad})" for check in checks_of(column, name) if check.is_bad not in skipped)
    if column.is_nullable:
        return f"({name} IS NOT NULL AND ({bad}))"
    return f"({name} IS NULL OR {bad})"


def fault_reason(column: Column, name: str) -> str:
    """SQLite: why the value is faulty, NULL where it is not."""
    branches = " ".join(f"WHEN {check.is_bad} THEN {check.reason}" for check in checks_of(column, name))
    missing = "NULL" if column.is_nullable else literal("is NULL, the target wants a value")
    return f"CASE WHEN {name} IS NULL THEN {missing} {branches} END"
