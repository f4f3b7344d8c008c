"""How are times, ages and sizes written on the status page?"""

from __future__ import annotations

from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from ops.model.in_words import in_words


def size(size_bytes: float) -> str:
    """Decimal units, three figures: `41.2 MB`."""
    number = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} B" if unit == "B" else f"{_three_figures(number)} {unit}"
        number /= 1000
    return f"{_three_figures(number)} TB"


def duration(seconds: float) -> str:
    """`0.4 s` below ten seconds, else the two largest units."""
    return f"{_three_figures(seconds)} s" if seconds < 10 else in_words(seconds)


def _three_figures(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}"


def moment(at: datetime, zone: str) -> str:
    """A `<time>` element, local to the zone: `Sun 22 Nov, 02:00`."""
    local = at.astimezone(ZoneInfo(zone))
    exactly = f'datetime="{at.isoformat()}" title="{local:%Y-%m-%d %H:%M:%S %Z}"'
    return f"<time {exactly}>{local:%a} {local.day} {local:%b, %H:%M}</time>"


def ago(at: datetime, now: datetime) -> str:
    """`5 h 3 min ago` or `in 12 h`."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 60:
        return "now" if seconds <= 0 else "just now"
    return f"{in_words(seconds)} ago" if seconds > 0 else f"in {in_words(-seconds)}"


def text(value: object) -> str:
    """Anything as HTML text."""
    return escape(str(value))
