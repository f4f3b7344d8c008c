"""How long is `1m30s`, and how does Compose write it?

Durations are nanoseconds (int) inside the loader, because Compose's own text of them goes into the config hash.

Source: Go's time.ParseDuration and Duration.String, with the units `d` and `w` added.
"""

from __future__ import annotations

import re

from ops.model.compose.values import Value, as_text, refuse

SECOND = 1_000_000_000
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 24 * 3600 * SECOND,
    "w": 7 * 24 * 3600 * SECOND,
}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]+)", re.ASCII)
_LONGEST = 2**63 - 1


def parse_duration(value: Value, where: str) -> int:
    """Nanoseconds of a text such as `90s`, `1h2m3.5s`, `2d`; a bare number other than 0 is refused.

    Raises: ConfigurationError.
    """
    text = as_text(value, where)
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total, end = 0, 0
    while end < len(rest):
        part = _PART.match(rest, end)
        if part is None or part[3] not in _UNITS or not (part[1] or part[2]):
            break
        unit = _UNITS[part[3]]
        fraction = part[2] or ""
        total += int(part[1] or 0) * unit + (int(int(fraction) * (unit / 10 ** len(fraction))) if fraction else 0)
        end = part.end()
    if not rest or end < len(rest) or total > _LONGEST:
        raise refuse(where, f"{text!r} is not a duration", hint="write a number with a unit, such as 90s or 1m30s")
    return sign * total


def duration_text(nanoseconds: int) -> str:
    """A duration as Go writes it: `1m30s`, `1.5s`, `100ms`, `0s`."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < SECOND:
        return sign + _below_a_second(rest)
    minutes, nanos = divmod(rest, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(nanos, SECOND)}s"
    if minutes or hours:
        text = f"{minutes}m{text}"
    return sign + (f"{hours}h{text}" if hours else text)


def _below_a_second(nanoseconds: int) -> str:
    if not nanoseconds:
        return "0s"
    for unit, name in ((1_000_000, "ms"), (1_000, "\u00b5s")):
        if nanoseconds >= unit:
            return f"{_decimal(nanoseconds, unit)}{name}"
    return f"{nanoseconds}ns"


def _decimal(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    return f"{whole}.{str(rest).zfill(len(str(unit)) - 1).rstrip('0')}" if rest else str(whole)
