"""How is a value read from a parsed compose file, and how is it refused?

A parsed file is a tree of plain values. The functions here narrow a value to the shape that a key must have, or
refuse it, naming its full path (`services.app.ports[0]`).
"""

from __future__ import annotations

import math
import re
import struct
from typing import TypeAlias

from ops.errors import ConfigurationError

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"
Tree: TypeAlias = dict[str, Value]

_KIND = {bool: "a boolean", str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
_TRUE = frozenset({"true", "y", "yes", "on"})
_FALSE = frozenset({"false", "n", "no", "off"})
_INTEGER = re.compile(r"[+-]?[0-9]+\Z", re.ASCII)
_EXPONENT_FROM = 6


def refuse(where: str, what: str, *, hint: str | None = None) -> ConfigurationError:
    """The error that says what is wrong with the value at a path; the caller raises it."""
    return ConfigurationError(f"{where}: {what}" if where else what, hint=hint)


def kind_of(value: Value) -> str:
    """The name of a value's type as a person would say it."""
    return "nothing" if value is None else _KIND[type(value)]


def as_mapping(value: Value, where: str) -> Tree:
    """A mapping. Raises: ConfigurationError."""
    if isinstance(value, dict):
        return value
    raise refuse(where, f"must be a mapping, not {kind_of(value)}")


def as_list(value: Value, where: str) -> list[Value]:
    """A list. Raises: ConfigurationError."""
    if isinstance(value, list):
        return value
    raise refuse(where, f"must be a list, not {kind_of(value)}")


def as_text(value: Value, where: str) -> str:
    """A text; numbers are not taken for one. Raises: ConfigurationError."""
    if isinstance(value, str):
        return value
    raise refuse(where, f"must be text, not {kind_of(value)}", hint="put the value in quotes")


def as_boolean(value: Value, where: str) -> bool:
    """A boolean, or one of the words that Compose takes for one. Raises: ConfigurationError."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise refuse(where, f"must be true or false, not {shown(value)}")


def as_integer(value: Value, where: str) -> int:
    """A whole number, also written as text; a fraction is cut off as Compose does. Raises: ConfigurationError."""
    if isinstance(value, bool):
        raise refuse(where, "must be a number, not a boolean")
    if isinstance(value, int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return int(value)
    if isinstance(value, str) and _INTEGER.match(value):
        return int(value)
    raise refuse(where, f"must be a whole number, not {shown(value)}")


def as_texts(value: Value, where: str) -> list[str]:
    """A list of texts. Raises: ConfigurationError."""
    return [as_text(item, f"{where}[{index}]") for index, item in enumerate(as_list(value, where))]


def as_unique_texts(value: Value, where: str) -> list[str]:
    """A list of texts that are all different. Raises: ConfigurationError."""
    texts = as_texts(value, where)
    for index, text in enumerate(texts):
        if text in texts[:index]:
            raise refuse(f"{where}[{index}]", f"{text!r} is there twice")
    return texts


def as_text_or_texts(value: Value, where: str) -> list[str]:
    """One text, or a list of them. Raises: ConfigurationError."""
    return [value] if isinstance(value, str) else as_texts(value, where)


def last_of_each_key(texts: list[str]) -> list[str]:
    """Keep one entry for each key (`KEY=value`): the last one, where the first one stood."""
    kept: dict[str, str] = {}
    for text in texts:
        kept[text.partition("=")[0]] = text
    return list(kept.values())


def printed(value: Value, where: str) -> str:
    """A scalar as Go prints it: `true`, `1000`, `1e+06`, `0.5`. Raises: ConfigurationError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return printed_float(value)
    if isinstance(value, (str, int)):
        return str(value)
    raise refuse(where, f"must be a single value, not {kind_of(value)}")


def printed_float(value: float) -> str:
    """A number as Go's `%v` prints it: shortest digits, an exponent below 1e-4 and from 1e6 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    digits, exponent = _digits(value)
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if -5 < exponent < _EXPONENT_FROM:
        return sign + _plain(digits, exponent)
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def json_float(value: float) -> str:
    """A number as Go's JSON has it: plain between 1e-6 and 1e21."""
    digits, exponent = _digits(value)
    sign = "-" if value < 0 else ""
    if value == 0 or -7 < exponent < 21:
        return sign + _plain(digits, exponent)
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent)}"


def single_precision(value: float) -> float:
    """The shortest decimal number that is the same as 32-bit number, which is how Compose keeps `cpus`."""
    (single,) = struct.unpack("f", struct.pack("f", value))
    for precision in range(1, 10):
        shortest = float(f"{single:.{precision}g}")
        if struct.unpack("f", struct.pack("f", shortest))[0] == single:
            return shortest
    return float(single)


def _digits(value: float) -> tuple[str, int]:
    if value == 0:
        return "0", 0
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    significant = (whole + fraction).lstrip("0")
    leading = len(whole) if whole != "0" else -(len(fraction) - len(fraction.lstrip("0")))
    return significant.rstrip("0") or "0", leading - 1 + int(exponent or 0)


def _plain(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return f"{whole}.{fraction}" if fraction else whole


def shown(value: Value) -> str:
    """A value for an error message; texts are quoted."""
    return repr(value) if isinstance(value, str) else kind_of(value)
