"""How does PostgreSQL write a value, and which value does a text in SQLite mean?

Every function is pure and is registered as a SQL function of SQLite where SQL cannot say it. `None` means: this is not
a value of that kind.
"""

from __future__ import annotations

import json
import math
import re
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

_HEX = re.compile(r"[0-9a-f]{32}")
_MOMENT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[ T](?P<time>\d\d:\d\d(?::\d\d(?P<fraction>[.,]\d{1,9})?)?)"
    r"\s*(?P<zone>Z|z|[+-]\d\d(?::?\d\d)?)?)?"
)
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?")
_MICROSECONDS = 6
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


def float4_text(value: object) -> str | None:
    """A number rounded to single precision and written as the double that it then is; None where it is too large."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        (rounded,) = struct.unpack("<f", struct.pack("<f", float(value)))
    except OverflowError:
        return None
    return float8_text(rounded)


def numeric_text(  # noqa: PLR0911 - each way out is a reason
    value: object, precision: int | None, scale: int | None
) -> str | None:
    """A decimal as PostgreSQL writes it; None where it is no number, too large, or rounding would change it."""
    if isinstance(value, bytes) or value is None or value == "":
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    if scale is None or precision is None:
        return format(number, "f") if scale is None else None
    try:
        quantised = number.quantize(Decimal(1).scaleb(-scale))
    except InvalidOperation:
        return None
    if quantised != number or (number and number.adjusted() >= precision - scale):
        return None
    text = format(quantised, "f")
    return text[1:] if text.startswith("-") and not quantised else text


def moment_text(value: object, kind: str, zone: str = "") -> str | None:
    """A moment in the form that SQLAlchemy stores in SQLite, from whichever ISO form it is written in.

    Args:
        value: text such as `2024-01-31T10:00Z`.
        kind: `timestamptz` (result in UTC), `timestamp` (what has an offset is turned to UTC), `date`, `time`,
            `interval` (a moment counted from 1970-01-01).
        zone: the zone of moments without an offset, "" for UTC.

    Returns: None for what is no such moment, digits beyond microseconds included.
    """
    if not isinstance(value, str):
        return None
    text = value.strip()
    if kind == "time":
        return _time_text(text)
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    try:
        moment = _moment_of(found)
        if found["zone"]:
            moment = moment.astimezone(UTC)
        elif zone and kind == "timestamptz":
            moment = _in_zone(moment, zone)
    except (ValueError, OverflowError):
        return None
    naive = moment.replace(tzinfo=None)
    if kind == "date":
        return None if naive.time() != datetime.min.time() else f"{naive:%Y-%m-%d}".rjust(10, "0")
    return naive.isoformat(" ", "microseconds")


def _moment_of(found: re.Match[str]) -> datetime:
    clock = found["time"] or "00:00"
    fraction = (found["fraction"] or "")[1:]
    if fraction[_MICROSECONDS:].strip("0"):
        raise ValueError("finer than microseconds")
    if fraction:
        clock = f"{clock[:8]}.{fraction[:_MICROSECONDS].ljust(_MICROSECONDS, '0')}"
    zone = {"z": "+00:00", "Z": "+00:00"}.get(found["zone"] or "", found["zone"] or "")
    return datetime.fromisoformat(f"{found['day']}T{clock}{zone}")


def _in_zone(moment: datetime, zone: str) -> datetime:
    """The moment of a wall clock; a time that the clock skipped does not exist."""
    aware = moment.replace(tzinfo=ZoneInfo(zone))
    result = aware.astimezone(UTC)
    if result.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != moment:
        raise ValueError("the clock skipped this time")
    return result


def _time_text(text: str) -> str | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(f"2000-01-01T{text.ljust(15, '0') if '.' in text else text}")
    except ValueError:
        return None
    return moment.time().isoformat("microseconds")


def epoch_text(value: object, unit: str) -> str | None:
    """Seconds, milliseconds or microseconds since 1970 as a moment in UTC."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    micro = {"seconds": 1_000_000, "milliseconds": 1000, "microseconds": 1}[unit]
    try:
        moment = datetime(1970, 1, 1) + timedelta(microseconds=round(value * micro))  # noqa: DTZ001 - UTC, naive form
    except (OverflowError, ValueError):
        return None
    return moment.isoformat(" ", "microseconds")


def uuid_text(value: object) -> str | None:
    """A UUID as 32 hexadecimal digits, as SQLAlchemy stores it in SQLite."""
    if isinstance(value, bytes) and len(value) == 16:
        return value.hex()
    if not isinstance(value, str):
        return None
    digits = value.strip().removeprefix("{").removesuffix("}").replace("-", "").lower()
    return digits if _HEX.fullmatch(digits) else None


class _Refused(ValueError):
    """What one of PostgreSQL's JSON types does not take."""


def _no_constant(name: str) -> object:
    raise _Refused(f"holds {name}, which is not JSON")


def _no_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("has the same key twice")
    return found


def json_problem(value: object, *, is_binary: bool) -> str | None:
    """Why a text is no JSON for PostgreSQL (`is_binary`: for jsonb); None where it is."""
    if not isinstance(value, str):
        return "is no text"
    try:
        parsed = _parsed(value, is_binary=is_binary)
        if is_binary:
            _refuse_text(parsed)
    except _Refused as exc:
        return str(exc)
    except (ValueError, RecursionError):
        return "is not JSON"
    return None


def _parsed(value: str, *, is_binary: bool) -> object:
    return json.loads(
        value,
        parse_constant=_no_constant,
        parse_float=Decimal,
        parse_int=Decimal,
        object_pairs_hook=_no_doubles if is_binary else None,
    )


def _refuse_text(value: object) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise _Refused("holds \\u0000, which jsonb cannot keep")
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise _Refused("holds half of a surrogate pair")
    elif isinstance(value, list):
        for item in value:
            _refuse_text(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_text(key)
            _refuse_text(item)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def jsonb_text(value: object) -> str | None:
    """A JSON text as jsonb writes it: keys by length, then by bytes; numbers in full."""
    if not isinstance(value, str) or json_problem(value, is_binary=True):
        return None
    return _written(_parsed(value, is_binary=True))


def _written(value: object) -> str:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return "{" + ", ".join(f"{json_quoted(key)}: {_written(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, str):
        return json_quoted(value)
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text[1:] if text.startswith("-") and not value else text
    return {None: "null", True: "true", False: "false"}[value]  # type: ignore[index]


def json_quoted(text: str) -> str:
    """A text as both JSON types print it."""
    letters = (_ESCAPES.get(one) or (f"\\u{ord(one):04x}" if one < " " else one) for one in text)
    return '"' + "".join(letters) + '"'


def rounded(value: object, scale: int) -> str | None:
    """A decimal rounded to `scale` digits, half to even; None where it is no number."""
    text = numeric_text(value, None, None)
    return None if text is None else format(Decimal(text).quantize(Decimal(1).scaleb(-scale)), "f")
