"""Which value of PostgreSQL does a value of SQLite mean? Said by Python alone, as a judge of the transfer.

`REFUSED`: it must be refused. `Either(value)`: it may be refused; where it is taken, it is this.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

REFUSED = object()
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive, as SQLAlchemy stores it
_STORED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Either:
    """Taken as this value, or refused."""

    value: Any


@dataclass(frozen=True, slots=True)
class Broken:
    """Text that is no UTF-8."""

    data: bytes


def whole(size_bytes: int) -> Callable[[Any], Any]:
    """Of smallint, integer and bigint."""

    def meaning(value: Any) -> Any:
        half = 1 << (8 * size_bytes - 1)
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return int(value) if is_whole and -half <= value < half else REFUSED

    return meaning


def boolean(value: Any) -> Any:
    """0 and 1, as floats too."""
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else REFUSED


def words(length: int | None = None, labels: tuple[str, ...] = (), padded: int = 0) -> Callable[[Any], Any]:
    """Of text, varchar, char and enums."""

    def meaning(value: Any) -> Any:
        if not isinstance(value, str) or "\0" in value or (length is not None and len(value) > length):
            return REFUSED
        return value.ljust(padded) if not labels or value in labels else REFUSED

    return meaning


def double(value: Any) -> Any:
    """Bits, so that -0 is not 0."""
    if not isinstance(value, int | float) or (isinstance(value, int) and int(float(value)) != value):
        return REFUSED
    return struct.pack("<d", value)


def single(value: Any) -> Any:
    """Sure where it is a number of single precision; else only if what is printed for it reads the same."""
    if not isinstance(value, int | float):
        return REFUSED
    try:
        (near,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:
        return REFUSED
    if math.isinf(near) and not math.isinf(value):
        return REFUSED
    return struct.pack("<d", value) if near == value else Either(struct.pack("<d", value))


def decimal(precision: int | None = None, scale: int = 0) -> Callable[[Any], Any]:
    """A fraction, so that every digit counts."""

    def meaning(value: Any) -> Any:
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            return REFUSED
        if not isinstance(value, int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
            return REFUSED
        said = Decimal(repr(value) if isinstance(value, float) else value)
        if abs(said.adjusted()) > 10_000:
            return Either(said)
        exact = Fraction(said)
        if precision is None:
            return exact
        is_kept = (exact * Fraction(10) ** scale).denominator == 1 and abs(exact) < Fraction(10) ** (precision - scale)
        return exact if is_kept else REFUSED

    return meaning


def moment(kind: str, step: timedelta = timedelta(microseconds=1)) -> Callable[[Any], Any]:
    """Sure in the form that SQLAlchemy stores; every other ISO form is taken as what Python reads, or refused."""

    def meaning(value: Any) -> Any:
        if not isinstance(value, str):
            return REFUSED
        text = f"1970-01-01 {value.strip()}" if kind == "time" else value.strip()
        try:
            read = datetime.fromisoformat(text)
            found = (read.astimezone(UTC) if read.tzinfo else read).replace(tzinfo=None)
        except (ValueError, OverflowError):
            return REFUSED
        if (found - EPOCH) % step:
            return REFUSED
        if kind == "date":
            is_stored = re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII)
            result: Any = found.date() if found.time() == time() and found.date() == read.date() else REFUSED
        else:
            is_stored = _STORED.fullmatch(text) and text.endswith(value)
            result = {"timestamp": found, "time": found.time(), "interval": found - EPOCH}.get(kind)
            result = found.replace(tzinfo=UTC) if kind == "timestamptz" else result
        return result if is_stored or result is REFUSED else Either(result)

    return meaning


def uuid(value: Any) -> Any:
    """Sure as 32 digits or 16 bytes."""
    if isinstance(value, bytes):
        return UUID(bytes=value) if len(value) == 16 else REFUSED
    try:
        found = UUID(value.strip()) if isinstance(value, str) else REFUSED
    except ValueError:
        return REFUSED
    return found if isinstance(value, str) and re.fullmatch("[0-9a-f]{32}", value) else Either(found)


def document(*, is_binary: bool) -> Callable[[Any], Any]:
    """Of json its text, of jsonb its contents."""

    def meaning(value: Any) -> Any:
        if not isinstance(value, int | float | str):
            return REFUSED
        if isinstance(value, float):
            return Either(contents(repr(value))) if math.isfinite(value) else REFUSED
        text = str(value)
        try:
            found = contents(text)
        except ValueError:
            return REFUSED
        if not is_binary:
            return text
        letters = "".join(_texts_in(found))
        return REFUSED if "\0" in letters or any("\ud800" <= one <= "\udfff" for one in letters) else found

    return meaning


def _texts_in(found: Any) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    for one in found.items() if isinstance(found, dict) else found if isinstance(found, list | tuple) else ():
        yield from _texts_in(one)


def contents(text: str) -> Any:
    """Raises: ValueError, also for a key that is there twice."""
    return json.loads(
        text, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse, object_pairs_hook=_without_doubles
    )


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("twice")
    return dict(pairs)


def data(value: Any) -> Any:
    """Of bytea."""
    return value if isinstance(value, bytes) else REFUSED


def listed(element: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Of a flat array."""

    def meaning(value: Any) -> Any:
        try:
            found = json.loads(value) if isinstance(value, str) else REFUSED
        except ValueError:
            return REFUSED
        if not isinstance(found, list) or any(isinstance(one, bool | dict | list) for one in found):
            return REFUSED
        meant = [None if one is None else element(one) for one in found]
        return REFUSED if REFUSED in meant else meant

    return meaning
