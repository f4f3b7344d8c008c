"""How does a JSON list in SQLite become an array of PostgreSQL, and the array a list again?

SQLAlchemy has no array for SQLite; histories that run on both store a list as JSON there
(`ARRAY(...).with_variant(JSON, "sqlite")`). Lists in lists are arrays of several dimensions, so they must all be of one
length.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ops.model.transfer.texts import float8_text, json_problem, json_quoted, uuid_text

ELEMENTS = {
    "text": "text", "varchar": "text", "citext": "text", "int2": "int", "int4": "int", "int8": "int", "bool": "bool",
    "float8": "float8", "uuid": "uuid",
}  # fmt: skip
"""PostgreSQL's name of an element's type -> how its values are read; arrays of any other type travel as their text."""
Element = bool | int | float | str | None


def array_text(value: object, element: str) -> str | None:
    """A JSON list as PostgreSQL reads an array; None where it is no list of such elements."""
    found = _list_of(value, element)
    return None if found is None else _nested(found, "{", ",", "}", _as_input)


def array_json(value: object, element: str) -> str | None:
    """A JSON list as `to_jsonb` prints the array that it becomes."""
    found = _list_of(value, element)
    return None if found is None else _nested(found, "[", ", ", "]", _as_json)


def stored_list(printed: str, element: str) -> str:
    """What `to_jsonb` printed, as SQLAlchemy stores a list in SQLite."""
    return json.dumps(json.loads(printed, parse_int=float if element == "float8" else None))


def _list_of(value: object, element: str) -> list[Any] | None:
    if not isinstance(value, str) or json_problem(value, is_binary=True):
        return None
    parsed = json.loads(value)
    try:
        found = [_checked(item, element) for item in parsed] if isinstance(parsed, list) else None
    except ValueError:
        return None
    return found if found is not None and _is_even(found) else None


def _checked(item: object, element: str) -> Any:
    """The element in one form. Raises: ValueError, for what is none."""
    if isinstance(item, list):
        return [_checked(one, element) for one in item]
    if item is None:
        return None
    read = _READERS[element](item)
    if read is None:
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
    return 1 + _depth(item[0]) if isinstance(item, list) and item else 0


def _text(item: object) -> str | None:
    return item if isinstance(item, str) else None


def _integer(item: object) -> int | None:
    is_whole = isinstance(item, int | float) and not isinstance(item, bool) and item == int(item)
    return int(item) if is_whole else None  # type: ignore[call-overload]


def _boolean(item: object) -> bool | None:
    return item if isinstance(item, bool) else None


def _float(item: object) -> float | None:
    return float(item) if isinstance(item, int | float) and not isinstance(item, bool) else None


def _uuid(item: object) -> str | None:
    digits = uuid_text(item) if isinstance(item, str) else None
    return None if digits is None else "-".join(digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))


_READERS: dict[str, Callable[[object], Element]] = {
    "text": _text, "int": _integer, "bool": _boolean, "float8": _float, "uuid": _uuid,
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
