"""How is a length of time said to a person?"""

from __future__ import annotations

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def in_words(seconds: float) -> str:
    """Its two largest units, such as `1 d 4 h`, `12 min`, `8 s`; nothing below zero."""
    left, parts = max(0, int(seconds)), []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        if parts and (not count or len(parts) == 2):
            break
    return " ".join(parts) or "0 s"
