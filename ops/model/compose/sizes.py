"""How many bytes is `128m`?

Source: go-units' RAMInBytes: binary multiples, one optional space, `b`, `k`, `kb`, `kib` in any case.
"""

from __future__ import annotations

import re

from ops.model.compose.values import Value, kind_of, refuse

_DIGITS = "[0-9]+(?:_[0-9]+)*"
_SIZE = re.compile(
    rf"({_DIGITS}\.?(?:{_DIGITS})?(?:e[+-]?{_DIGITS})?|\.{_DIGITS}) ?(?:b|([kmgtp])(?:i?b)?)?\Z",
    re.ASCII | re.IGNORECASE,
)
_POWER = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def parse_size(value: Value, where: str) -> int:
    """Bytes of a whole number or of a text with a unit; a fraction without unit is refused, since Compose drops it.

    Raises: ConfigurationError.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise refuse(where, f"must be a size such as 512m, not {kind_of(value)}")
    found = _SIZE.match(value)
    if found is None:
        raise refuse(where, f"{value!r} is not a size", hint="write a number with a unit, such as 512m or 1.5g")
    unit = (found[2] or "").lower()
    return int(float(found[1]) * 1024 ** _POWER.get(unit, 0))
