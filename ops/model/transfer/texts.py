"""How does PostgreSQL write a value, and which value does a text in SQLite mean?

Every function is pure and is registered as a SQL function of SQLite where SQL cannot say it. `None` means: this is not
a value of that kind.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from zoneinfo import ZoneInfo

_HEX = re.compile(r"[0-9a-f]{32}")
_MOMENT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[ T](?P<time>\d\d:\d\d(?::\d\d(?P<fraction>[.,]\d{1,9})?)?)"
    r"\s*(?P<zone>Z|z|[+-]\d\d(?::?\d\d)?)?)?"
)
_TIME = re.compile(r"(?!24)\d\d:\d\d(:\d\d(\.\d{1,6})?)?")  # to Python 3.14, 24:00 is the same as 00:00
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,9})?", re.ASCII | re.IGNORECASE)
_DIGITS_BEFORE, _DIGITS_AFTER = 131_072, 16_383
"""Of `numeric`. Source: PostgreSQL manual, "Numeric Types"."""
_EVERY_DIGIT = Context(prec=_DIGITS_BEFORE + _DIGITS_AFTER)
_MICROSECONDS = 6
_DEEPEST, _TOO_DEEP = 300, "is nested too deeply"
"""Python's stack ends at a thousand calls."""


def numeric_text(value: object, precision: int | None, scale: int | None) -> str | None:
    """A decimal as PostgreSQL writes it; None where it is no number, too large, or rounding would change it."""
    number = _decimal_of(value)
    if number is None or not is_numeric(number):
        return None
    if scale is None or precision is None:
        return _written_out(number) if scale is None else None
    if number and number.adjusted() >= precision - scale:
        return None
    quantised = number.quantize(Decimal((0, (1,), -scale)), context=_EVERY_DIGIT)
    return _written_out(quantised) if quantised == number else None


def _decimal_of(value: object) -> Decimal | None:
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    if isinstance(value, str):
        text = value.strip()
        return Decimal(text) if _DECIMAL.fullmatch(text) else None
    return Decimal(value) if isinstance(value, int) else None


def is_numeric(number: Decimal) -> bool:
    """Whether `numeric` has room for so many digits before and after the point."""
    exponent = number.as_tuple().exponent
    return number.adjusted() < _DIGITS_BEFORE and isinstance(exponent, int) and exponent >= -_DIGITS_AFTER


def _written_out(number: Decimal) -> str:
    """All digits; PostgreSQL has no negative zero among decimals."""
    text = format(number, "f")
    return text[1:] if text.startswith("-") and not number else text


def moment_text(  # noqa: PLR0911 - each way out is a reason
    value: object, kind: str, zone: str = ""
) -> str | None:
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
        if kind == "date" and moment.utcoffset():
            return None  # which day it is depends on where one looks from
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
            _refuse_value(parsed)
    except _Refused as exc:
        return str(exc)
    except RecursionError:
        return _TOO_DEEP
    except (ValueError, ArithmeticError):  # an exponent of twenty digits is no Decimal
        return "is not JSON"
    return None


def _parsed(value: str, *, is_binary: bool) -> object:
    return json.loads(
        value,
        parse_constant=_no_constant,
        parse_float=Decimal if is_binary else str,
        parse_int=Decimal if is_binary else str,
        object_pairs_hook=_no_doubles if is_binary else None,
    )


def _refuse_value(value: object, depth: int = 0) -> None:  # noqa: C901 - a class of value at a time
    if depth > _DEEPEST:
        raise _Refused(_TOO_DEEP)
    if isinstance(value, str):
        if "\0" in value:
            raise _Refused("holds \\u0000, which jsonb cannot keep")
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise _Refused("holds half of a surrogate pair")
    elif isinstance(value, Decimal):
        if not is_numeric(value):
            raise _Refused("holds a number that numeric cannot keep")
    elif isinstance(value, list):
        for item in value:
            _refuse_value(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_value(key)
            _refuse_value(item, depth + 1)


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
        return _written_out(value)
    return {None: "null", True: "true", False: "false"}[value]  # type: ignore[index]


def json_quoted(text: str) -> str:
    """A text as both JSON types print it."""
    letters = (_ESCAPES.get(one) or (f"\\u{ord(one):04x}" if one < " " else one) for one in text)
    return '"' + "".join(letters) + '"'


def rounded(value: object, scale: int) -> str | None:
    """A decimal rounded to `scale` digits, half to even; None where it is no number."""
    text = numeric_text(value, None, None)
    if text is None:
        return None
    return _written_out(Decimal(text).quantize(Decimal((0, (1,), -scale)), context=_EVERY_DIGIT))
