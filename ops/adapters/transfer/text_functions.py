"""How do our functions get the text of a SQLite file, whatever bytes it holds?

sqlite3 raises for text that is no UTF-8, so text goes over as bytes (`CAST(... AS BLOB)`). Those are in the encoding of
the file: most files keep UTF-8, some UTF-16.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ops.model.transfer import arrays, texts

_UTF8 = "UTF-8"
Function = tuple[str, int, Callable[..., Any]]
"""Name in SQL, number of arguments."""


def text_functions(encoding: str) -> tuple[Function, ...]:
    """SQL functions that take text as bytes of this encoding (`PRAGMA encoding`: `UTF-8`, `UTF-16le`, `UTF-16be`)."""

    def text_of(value: object) -> object:
        """Raises: UnicodeDecodeError."""
        return value.decode(encoding) if isinstance(value, bytes) else value

    def decoded(function: Callable[..., object], otherwise: object = None) -> Callable[..., object]:
        def call(value: object, *others: object) -> object:
            try:
                value = text_of(value)
            except UnicodeDecodeError:
                return otherwise
            return function(value, *others)

        return call

    return (
        ("ops_numeric", 3, decoded(texts.numeric_text)),
        ("ops_moment", 3, decoded(texts.moment_text)),
        ("ops_epoch", 2, decoded(texts.epoch_text)),
        (
            "ops_uuid",
            2,
            lambda value, class_: texts.uuid_text(value) if class_ == "blob" else decoded(texts.uuid_text)(value),
        ),
        ("ops_jsonb", 1, decoded(texts.jsonb_text)),
        ("ops_json", 2, decoded(_json_problem, "is no UTF-8")),
        ("ops_array", 3, decoded(arrays.array_text)),
        ("ops_array_json", 3, decoded(arrays.array_json)),
        (
            "ops_lower",
            1,
            lambda value: value.decode(encoding, "replace").lower() if isinstance(value, bytes) else value,
        ),
        ("ops_is_utf8", 1, decoded(lambda _text: 1, 0)),
        ("ops_decode", 2, lambda data, charset: _read_as(data, charset) if encoding == _UTF8 else None),
        ("ops_without_nul", 2, partial(_without_nul, encoding)),
        ("ops_round", 2, decoded(texts.rounded)),
    )


def _without_nul(encoding: str, data: bytes, instead: str) -> bytes:
    if encoding == _UTF8:
        return data.replace(b"\0", instead.encode())
    return data.decode(encoding, "surrogatepass").replace("\0", instead).encode(encoding, "surrogatepass")


def _read_as(data: bytes, charset: str) -> str | None:
    try:
        return data.decode(charset)
    except UnicodeDecodeError:
        return None


def _json_problem(value: object, is_binary: int) -> str | None:
    return texts.json_problem(value, is_binary=bool(is_binary))
