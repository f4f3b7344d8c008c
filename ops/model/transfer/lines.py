"""In which form does each side write a value, so that equal values give equal text?

The form is that of PostgreSQL's COPY, unescaped. SQLite writes a value by SQL; what SQL cannot write exactly (shortest
digits of a float, decimals, jsonb) is written by the functions of `texts`, registered as `ops_*`. What can be done to a
whole column at once (zeros at the end of moments, booleans, escapes) is left to `columns`.

Source: PostgreSQL manual, COPY, "Text Format".
"""

from __future__ import annotations

from ops.model.transfer.schema import Column, Pair

SESSION_SETTINGS = (
    ("client_encoding", "UTF8"), ("TimeZone", "UTC"), ("DateStyle", "ISO, YMD"), ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"), ("bytea_output", "hex"), ("synchronize_seqscans", "off"),
    ("synchronous_commit", "off"), ("maintenance_work_mem", "128MB"), ("statement_timeout", "0"), ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
)  # fmt: skip
"""How a session of a transfer is set up: every value has one text form, and a moment without a zone is UTC."""
_ESCAPES = ((92, "\\\\"), (8, "\\b"), (9, "\\t"), (10, "\\n"), (11, "\\v"), (12, "\\f"), (13, "\\r"))


def quoted(name: str) -> str:
    """A name as both databases read it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text constant as both databases read it."""
    return "'" + text.replace("'", "''") + "'"


def loaded_columns(pair: Pair) -> str:
    """PostgreSQL: the list of columns to load."""
    return ", ".join(quoted(column.name) for column in pair.table.columns)


def printed_columns(pair: Pair) -> str:
    """PostgreSQL: the list of what is printed for the comparison."""
    return ", ".join(printed_expression(column) for column in pair.table.columns)


def escaped(expression: str) -> str:
    """SQLite: a text with the escapes of COPY."""
    for code, written in _ESCAPES:
        expression = f"replace({expression}, char({code}), '{written}')"
    return expression


def escaped_value(column: Column, expression: str) -> str:
    r"""SQLite: a value of this column with the escapes of COPY.

    SQLite keeps what each of the replacements gives until the row is done, and of bytes only the `\x` has one.
    """
    return f"'\\' || {expression}" if column.kind == "bytes" else escaped(expression)


def as_argument(name: str) -> str:
    """SQLite: a value as a function of ours takes it: text goes over as bytes, since it may be no UTF-8."""
    return f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END"


def array_of(column: Column, name: str, function: str = "ops_array") -> str:
    """SQLite: a JSON list as an array, NULL where it is none of the column's elements."""
    return f"{function}({as_argument(name)}, {literal(column.element)}, {_sql(column.length)})"


def check_expression(column: Column, name: str) -> str:
    """SQLite: the value as PostgreSQL will print it; `columns` does the rest, as with `load_expression`."""
    match column.kind:
        case "interval":
            return name
        case "array":
            return array_of(column, name, "ops_array_json")
        case "char":
            return f"rtrim({name}, ' ')"
        case _:
            return load_expression(column, name)


def load_expression(column: Column, name: str) -> str:  # noqa: PLR0911 - one line for each kind
    """SQLite: the value as COPY reads it, once `columns` has seen to moments, booleans and escapes; NULL stays NULL."""
    match column.kind:
        case "float8":
            return f"ops_float8(CAST({name} AS REAL))"  # a text, which may be no UTF-8, is refused by its class
        case "float4":
            return f"ops_float4(CAST({name} AS REAL))"
        case "numeric":
            return f"ops_numeric({as_argument(name)}, {_sql(column.precision)}, {_sql(column.scale)})"
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
            return json_text(name)
        case "jsonb":
            return f"ops_jsonb(CAST({json_text(name)} AS BLOB))"
        case "array":
            return array_of(column, name)
        case "bytes":
            return f"CASE WHEN {name} IS NOT NULL THEN '\\x' || lower(hex({name})) END"  # hex(NULL) is empty
        case _:
            return name


def json_text(name: str) -> str:
    """SQLite: a JSON value as text. SQLAlchemy's JSON columns there turn texts that are numbers into numbers."""
    return f"CASE typeof({name}) WHEN 'real' THEN ops_float8({name}) ELSE CAST({name} AS TEXT) END"


def printed_expression(column: Column) -> str:
    """PostgreSQL: the column as it is printed for the comparison."""
    name = quoted(column.name)
    match column.kind:
        case "timestamptz":
            return f"{name}::timestamp"  # in UTC: the session's zone
        case "interval":
            return f"timestamp '1970-01-01' + {name}"
        case "float4":
            return f"{name}::float8"
        case "char":
            return f"rtrim({name}::text, ' ')"
        case "array":
            return f"to_jsonb({name})"
        case _:
            return name


def _sql(number: int | None) -> str:
    return "NULL" if number is None else str(number)
