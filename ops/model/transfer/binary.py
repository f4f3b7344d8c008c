"""Which tables can go over as rows of binary COPY?

Rows of binary COPY cost a server half of what lines cost it, and a library makes them without a Python object for each
value. That is for tables of the usual types only; whether the values are what the declarations say is looked at when
they are read.
"""

from __future__ import annotations

from typing import Literal

from ops.model.transfer.checks import MOMENT_DIGITS
from ops.model.transfer.schema import Column, Pair

Affinity = Literal["integer", "text", "blob", "real", "numeric"]
_MOST_COLUMNS = 100
"""More would need another kind of query: SQLite's expressions may be a thousand deep."""
_TEXTS = ("text", "character varying")


def affinity(declared: str) -> Affinity:
    """What SQLite makes of values in a column so declared. Source: SQLite, "Datatypes In SQLite", 3.1."""
    words = declared.upper()
    if "INT" in words:
        return "integer"
    if any(word in words for word in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if "BLOB" in words or not words:
        return "blob"
    return "real" if any(word in words for word in ("REAL", "FLOA", "DOUB")) else "numeric"


def takes_binary(pair: Pair) -> bool:
    """Whether every column has a type with one binary form, and rows have an order that both sides keep."""
    declared = dict(zip(pair.source.columns, pair.source.declared, strict=False))
    return (
        pair.is_in_key_order
        and 0 < len(pair.names) <= _MOST_COLUMNS
        and all(name in declared and _is_plain(column, affinity(declared[name])) for column, name in pair.columns)
    )


def _is_plain(column: Column, held_as: Affinity) -> bool:
    """Whether a value cannot be stored as another one that reads as the same."""
    match column.kind:
        case "int" | "bool" | "date" | "bytes":
            return True
        case "timestamptz" | "timestamp":
            return column.precision in {None, MOMENT_DIGITS}
        case "text":
            return held_as == "text" and column.base_type.startswith(_TEXTS)
        case "float8":
            return held_as == "real"
        case _:
            return False
