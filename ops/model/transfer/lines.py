"""In which SQL does each side write a row as one line, so that equal rows give equal lines?

The line is PostgreSQL's own text form of COPY. SQLite builds it in SQL, so that neither loading nor comparing turns a
value into a Python object; PostgreSQL prints it by `COPY ... TO STDOUT`. What SQL cannot write exactly (shortest
digits of a float, decimals, jsonb) is written by the functions of `texts`, registered as `ops_*`.

Source: PostgreSQL manual, COPY, "Text Format".
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ops.model.transfer.schema import Column, Pair

SESSION_SETTINGS = (
    ("TimeZone", "UTC"), ("DateStyle", "ISO, YMD"), ("IntervalStyle", "postgres"), ("extra_float_digits", "1"),
    ("bytea_output", "hex"), ("synchronize_seqscans", "off"), ("synchronous_commit", "off"),
    ("maintenance_work_mem", "128MB"), ("statement_timeout", "0"), ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
)  # fmt: skip
"""How a session of a transfer is set up: every value has one text form."""
_ESCAPES = ((92, "\\\\"), (8, "\\b"), (9, "\\t"), (10, "\\n"), (11, "\\v"), (12, "\\f"), (13, "\\r"))


def quoted(name: str) -> str:
    """A name as both databases read it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text constant as both databases read it."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Lines:
    """Both sides' SQL for the rows of one table."""

    load: str
    """SQLite: the line that COPY reads."""
    check: str
    """SQLite: the line that PostgreSQL prints; the same as `load` but for intervals and padded text."""
    printed: str
    """PostgreSQL: the list of columns to print."""
    columns: str
    """PostgreSQL: the list of columns to load."""
    is_raw: bool = False
    """Whether SQLite leaves text as it is and `joined.escaped` makes lines of its blocks: quicker than SQL."""


def lines_of(pair: Pair, plain: Collection[str] = (), *, is_raw: bool = False) -> Lines:
    """The SQL of a table's lines.

    Args:
        pair: the table on both sides.
        plain: SQLite names of columns whose text holds nothing that needs escaping.
        is_raw: no text holds any of the characters that `joined.escaped` uses: leave escaping to it.
    """
    if is_raw:
        return _raw_lines(pair)
    loads = [_or_null(load_expression(column, quoted(name), name in plain)) for column, name in pair.columns]
    checks = [_or_null(check_expression(column, quoted(name), name in plain)) for column, name in pair.columns]
    return Lines(
        load=_joined(loads),
        check=_joined(checks),
        printed=", ".join(printed_expression(column) for column in pair.table.columns),
        columns=", ".join(quoted(column.name) for column in pair.table.columns),
    )


def _raw_lines(pair: Pair) -> Lines:
    lines = lines_of(pair, pair.names)

    def raw(expressions: list[str]) -> str:
        marked = [f"coalesce({one}, char(29))" for one in expressions]
        return " || char(31) || ".join(marked) or "''"

    return Lines(
        load=raw([load_expression(column, quoted(name), True, True) for column, name in pair.columns]),
        check=raw([check_expression(column, quoted(name), True, True) for column, name in pair.columns]),
        printed=lines.printed,
        columns=lines.columns,
        is_raw=True,
    )


def _joined(expressions: list[str]) -> str:
    return " || char(9) || ".join(expressions) or "''"


def _or_null(expression: str) -> str:
    return f"coalesce({expression}, '\\N')"


def _escaped(expression: str) -> str:
    for code, written in _ESCAPES:
        expression = f"replace({expression}, char({code}), '{written}')"
    return expression


def _trimmed(name: str) -> str:
    """A moment without the zeros at the end of its fraction, as PostgreSQL prints it."""
    return f"rtrim(rtrim({name}, '0'), '.')"


def check_expression(column: Column, name: str, is_plain: bool, is_raw: bool = False) -> str:
    """SQLite: the value as PostgreSQL will print it."""
    if column.kind == "interval":
        return _trimmed(name)
    if column.kind == "array":
        return _escaped(f"ops_array_json({name}, {literal(column.element)})")
    if column.kind == "char":
        return f"rtrim({name}, ' ')" if is_plain else _escaped(f"rtrim({name}, ' ')")
    return load_expression(column, name, is_plain, is_raw)


def load_expression(column: Column, name: str, is_plain: bool, is_raw: bool = False) -> str:  # noqa: C901, PLR0911, PLR0912 - one line for each kind
    """SQLite: the value as COPY reads it; NULL stays NULL."""
    match column.kind:
        case "int":
            return name
        case "bool":
            return f"CASE {name} WHEN 1 THEN 't' WHEN 0 THEN 'f' END"
        case "float8":
            return f"ops_float8({name})"
        case "float4":
            return f"ops_float4({name})"
        case "numeric":
            return f"ops_numeric({name}, {_sql(column.precision)}, {_sql(column.scale)})"
        case "timestamptz":
            return f"{_trimmed(name)} || '+00'"
        case "timestamp" | "time":
            return _trimmed(name)
        case "date":
            return name
        case "interval":
            return (
                f"strftime('%s', substr({name}, 1, 19)) || ' seconds ' || CAST(substr({name}, 21) AS INTEGER)"
                " || ' microseconds'"
            )
        case "uuid":
            return " || '-' || ".join(
                f"substr({name}, {at}, {size})" for at, size in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
            )
        case "json":
            return json_text(name) if is_plain else _escaped(json_text(name))
        case "jsonb":
            written = f"ops_jsonb({json_text(name)})"
            return written if is_raw else _escaped(written)
        case "array":
            return _escaped(f"ops_array({name}, {literal(column.element)})")
        case "bytes":
            mark = "char(28, 28) || 'x'" if is_raw else "'\\\\x'"
            return f"CASE WHEN {name} IS NOT NULL THEN {mark} || lower(hex({name})) END"  # hex(NULL) is empty
        case _:
            return name if is_plain else _escaped(name)


def json_text(name: str) -> str:
    """SQLite: a JSON value as text. SQLAlchemy's JSON columns there turn texts that are numbers into numbers."""
    return f"CASE typeof({name}) WHEN 'real' THEN ops_float8({name}) ELSE CAST({name} AS TEXT) END"


def printed_expression(column: Column) -> str:
    """PostgreSQL: the column as it is printed for the comparison."""
    name = quoted(column.name)
    if column.kind == "interval":
        return f"timestamp '1970-01-01' + {name}"
    if column.kind == "float4":
        return f"{name}::float8"
    if column.kind == "char":
        return f"rtrim({name}::text, ' ')"
    if column.kind == "array":
        return f"to_jsonb({name})"
    return name


def _sql(number: int | None) -> str:
    return "NULL" if number is None else str(number)
