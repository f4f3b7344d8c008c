"""How does a JSON list in SQLite become an array of PostgreSQL, and the array a list again?

SQLAlchemy has no array for SQLite; histories that run on both store a list as JSON there
(`ARRAY(...).with_variant(JSON, "sqlite")`). Lists in lists are arrays of several dimensions, so they must all be of one
length.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from ops.model.transfer.floats import float8_text
from ops.model.transfer.texts import json_problem, json_quoted, uuid_text

ELEMENTS = {
    "text": "text", "varchar": "text", "citext": "text", "int2": "int2", "int4": "int4", "int8": "int8", "bool": "bool",
    "float8": "float8", "uuid": "uuid",
}  # fmt: skip
"""PostgreSQL's name of an element's type -> how its values are read; arrays of any other type travel as their text."""
_MOST_DIMENSIONS = 6
"""Source: PostgreSQL, MAXDIM."""
Element = bool | int | float | str | None


def array_text(value: object, element: str, length: int | None = None) -> str | None:
    """A JSON list as PostgreSQL reads an array; None where it is no list of such elements, of so many characters."""
    found = _list_of(value, element, length)
    return None if found is None else _nested(found, "{", ",", "}", _as_input)


def array_json(value: object, element: str, length: int | None = None) -> str | None:
    """A JSON list as `to_jsonb` prints the array that it becomes."""
    found = _list_of(value, element, length)
    return None if found is None else _nested(found, "[", ", ", "]", _as_json)


def stored_list(printed: str, element: str) -> str:
    """What `to_jsonb` printed, as SQLAlchemy stores a list in SQLite."""
    return json.dumps(json.loads(printed, parse_int=float if element == "float8" else None))


def _list_of(value: object, element: str, length: int | None) -> list[Any] | None:
    if not isinstance(value, str) or json_problem(value, is_binary=True):
        return None
    try:
        parsed = json.loads(value, parse_float=Decimal)  # exact: a large integer can be written with a point
        if not isinstance(parsed, list) or _depth(parsed) > _MOST_DIMENSIONS:
            return None
        found = [_checked(item, element, length) for item in parsed]
    except ValueError:
        return None
    return found if _is_even(found) else None


def _checked(item: object, element: str, length: int | None) -> Any:
    """The element in one form. Raises: ValueError, for what is none."""
    if isinstance(item, list):
        return [_checked(one, element, length) for one in item]
    if item is None:
        return None
    read = _READERS[element](item)
    if read is None or (length is not None and len(str(read)) > length):
        raise ValueError
    return read


def _is_even(items: list[Any]) -> bool:
    """Whether all lists of one depth have one length, and none of an inner one is empty."""
    inner = [item for item in items if isinstance(item, list)]
    if not inner:
        return True
    return (
        len(inner) == len(items)
        and all(item and len(item) == len(inner[0]) for item in inner)
        and len({_depth(item) for item in inner}) == 1
        and all(map(_is_even, inner))
    )


def _depth(item: object) -> int:
    return 1 + max(map(_depth, item), default=0) if isinstance(item, list) and item else 0


def _text(item: object) -> str | None:
    return item if isinstance(item, str) else None


def _integer(item: object, size_bytes: int) -> int | None:
    if isinstance(item, bool) or not isinstance(item, int | Decimal):
        return None
    half = 1 << (8 * size_bytes - 1)
    return int(item) if -half <= item < half and item == int(item) else None


def _boolean(item: object) -> bool | None:
    return item if isinstance(item, bool) else None


def _float(item: object) -> float | None:
    if isinstance(item, bool) or not isinstance(item, int | Decimal):
        return None
    try:
        number = float(item)
    except OverflowError:
        return None
    is_kept = math.isfinite(number) and (isinstance(item, Decimal) or number == item)
    return number if is_kept else None


def _uuid(item: object) -> str | None:
    digits = uuid_text(item) if isinstance(item, str) else None
    return None if digits is None else "-".join(digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))


_READERS: dict[str, Callable[[object], Element]] = {
    "text": _text, "int2": partial(_integer, size_bytes=2), "int4": partial(_integer, size_bytes=4),
    "int8": partial(_integer, size_bytes=8), "bool": _boolean, "float8": _float, "uuid": _uuid,
}  # fmt: skip


def _nested(items: list[Any], opening: str, between: str, closing: str, write: Callable[[Element], str]) -> str:
    written = (
        _nested(item, opening, between, closing, write) if isinstance(item, list) else write(item) for item in items
    )
    return opening + between.join(written) + closing


def _as_input(item: Element) -> str:
    if item is None:
        return "NULL"
    if isinstance(item, str):
        return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(item, float):
        return float8_text(item) or "NULL"
    return str(item).lower()


def _as_json(item: Element) -> str:
    if item is None:
        return "null"
    if isinstance(item, str):
        return json_quoted(item)
    if isinstance(item, float):
        text = format(Decimal(float8_text(item) or "0"), "f")
        return "0" if text == "-0" else text
    return str(item).lower()
