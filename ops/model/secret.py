"""How is a password kept from being printed by accident?

A `Secret` shows `***` wherever it is formatted; only `reveal()` gives the text, at the boundary that needs it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MASK = "***"


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that must not appear in argv, logs, manifests, plans or exceptions."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """Return the text itself; call it only where the text leaves for its one destination."""
        return self._text

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __format__(self, format_spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._text)
