"""How does PostgreSQL write a number of double or single precision?

Pure functions, registered as SQL functions of SQLite, as those of `texts`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from decimal import Decimal

_EXPONENT_FROM = 15
_LEAST, _EXPONENTS_FROM = 1e-4, 1e15
_WHOLE_FROM = 2.0**53
_BEFORE_EXPONENT = -4


def float8_text(value: object) -> str | None:
    """A double as PostgreSQL writes it: the shortest digits that read back as the same number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = float(value)
    if _LEAST <= abs(number) < _EXPONENTS_FROM:
        return repr(number).removesuffix(".0")
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    text = repr(number)
    if abs(number) >= _WHOLE_FROM and _is_between(number, text):
        tries = (f"{number:.{digits}e}" for digits in range(17))
        text = next(one for one in tries if float(one) == number and not _is_between(number, one))
    sign, digits, exponent = Decimal(text).normalize().as_tuple()
    if not isinstance(exponent, int) or digits == (0,):
        return "-0" if sign else "0"
    point = len(digits) + exponent - 1
    written = "".join(map(str, digits))
    if _BEFORE_EXPONENT <= point < _EXPONENT_FROM:
        return text.removesuffix(".0") if "e" not in text else format(Decimal(text), "f")
    tail = f".{written[1:]}" if written[1:] else ""
    return f"{'-' if sign else ''}{written[0]}{tail}e{'-' if point < 0 else '+'}{abs(point):02d}"


def _is_between(number: float, text: str) -> bool:
    """Whether the digits lie exactly between two doubles: Python rounds such to even, PostgreSQL writes more digits."""
    said = Decimal(text)
    others = (math.nextafter(number, math.inf), math.nextafter(number, -math.inf))
    return any(not math.isinf(other) and 2 * said == Decimal(number) + Decimal(other) for other in others)


def single(value: object) -> float | None:
    """A number rounded to single precision; None where it is too large."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        (found,) = struct.unpack("<f", struct.pack("<f", float(value)))
    except OverflowError:
        return None
    return float(found)


def float4_text(value: object) -> str | None:
    """A number of single precision, written as the double that it then is.

    None where it is too large, or where what PostgreSQL prints for it (the fewest digits that tell it from other
    numbers of single precision) would no longer read as the same number: 0.1 is taken, 0.123456789 is not.
    """
    found = single(value)
    if found is None or (found != value and value != next(one for one in _shorter(found) if single(one) == found)):
        return None
    return float8_text(found)


def _shorter(number: float) -> Iterator[float]:
    """The number with the fewest digits first; nine tell all numbers of single precision apart."""
    return (float(f"{number:.{digits}g}") for digits in range(1, 10))
