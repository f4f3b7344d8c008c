"""How are runs drawn: a calendar of ninety days, bars of sizes and durations?

Inline SVG without styles of its own: colours are classes of the page's style sheet, so light and dark follow it.
A state is told by colour and by shape, and every mark says in words what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ops.adapters.status_page.words import text
from ops.model.run_history import Day

_CELL, _STEP, _LEFT, _TOP = 14, 17, 28, 16
_SAID = {
    "ok": "succeeded",
    "late": "succeeded late, as a catch-up",
    "retried": "succeeded after a retry",
    "failed": "failed",
    "none": "no run",
}


def calendar(days: Sequence[Day], job: str) -> str:
    """Weeks as columns, Monday on top, today last."""
    first_monday = days[0].day - timedelta(days=days[0].day.weekday())
    weeks = (days[-1].day - first_monday).days // 7 + 1
    width, height = _LEFT + weeks * _STEP, _TOP + 7 * _STEP
    parts = [
        f'<text x="0" y="{_TOP + row * _STEP + 11}">{name}</text>' for row, name in ((0, "Mon"), (2, "Wed"), (4, "Fri"))
    ]
    shown_month = 0
    for one in days:
        week, row = divmod((one.day - first_monday).days, 7)
        x, y = _LEFT + week * _STEP, _TOP + row * _STEP
        if one.day.month != shown_month and week < weeks - 1 and (row == 0 or week == 0):
            shown_month = one.day.month
            is_crowded = week == 0 and one.day.day > 22
            parts.append("" if is_crowded else f'<text x="{x}" y="10">{one.day:%b}</text>')
        parts.append(_cell(one, x, y, is_today=one is days[-1]))
    good = sum(one.state in {"ok", "late", "retried"} for one in days)
    bad = sum(one.state == "failed" for one in days)
    label = f"{job}, last {len(days)} days: {good} good, {bad} failed"
    frame = f'class="calendar" viewBox="0 0 {width} {height}" role="img" aria-label="{text(label)}"'
    return f"<svg {frame}>{''.join(parts)}</svg>"


def _cell(one: Day, x: int, y: int, *, is_today: bool) -> str:
    said = f"{one.day:%a} {one.day.day} {one.day:%b %Y}: {_SAID[one.state]}"
    message = next((run.message for run in reversed(one.runs) if run.message), "")
    title = f"<title>{text(said + (f' - {message}' if message else ''))}</title>"
    mark = {
        "failed": f'<path class="mark" d="M{x + 4} {y + 4}l6 6m0 -6l-6 6"/>',
        "late": f'<circle class="dot" cx="{x + 7}" cy="{y + 7}" r="2.5"/>',
        "retried": f'<path class="mark" d="M{x + 4} {y + 7}h6"/>',
    }.get(one.state, "")
    today = " today" if is_today else ""
    box = f'<rect class="day {one.state}{today}" x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" rx="3"/>'
    return f"<g>{title}{box}{mark}</g>"


@dataclass(frozen=True, slots=True)
class Bar:
    """One run of a chart: when, how much, and what is said of it."""

    at: datetime
    value: float
    said: str


def bars(
    points: Sequence[Bar], *, label: str, kind: str, now: datetime, days: int, written: Callable[[float], str]
) -> str:
    """A bar for each point, by time; the axis starts at zero. Labels are HTML, so that they keep their size."""
    if not points:
        return f'<p class="empty">no {text(label)} known yet</p>'
    top = _round_up(max(point.value for point in points))
    start = now - timedelta(days=days)
    drawn = []
    width = 1000 / days
    for point in points:
        x = (point.at - start) / timedelta(days=days) * 1000 - width / 2
        height = max(point.value / top * 100, 0.7)
        title = f"<title>{text(point.said)}</title>"
        drawn.append(
            f'<rect x="{x:.1f}" y="{100 - height:.2f}" width="{width * 0.72:.1f}" height="{height:.2f}">{title}</rect>'
        )
    lines = "".join(f'<path class="level" d="M0 {y}H1000"/>' for y in (0, 50, 100))
    ticks = "".join(f"<span>{text(written(value)).replace('.0 ', ' ')}</span>" for value in (top, top / 2, 0))
    dates = "".join(f"<span>{day.day} {day:%b}</span>" for day in (start, start + timedelta(days=days / 2), now))
    frame = f'viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="{text(label)}"'
    svg = f"<svg {frame}>{lines}{''.join(drawn)}</svg>"
    return f'<div class="chart {kind}"><div class="y">{ticks}</div>{svg}<div class="x">{dates}</div></div>'


def _round_up(value: float) -> float:
    """The next number of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten."""
    power = 1e-3
    while power * 10 <= value:
        power *= 10
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
    return next((step * power for step in steps if step * power >= value), power * 10) or 1.0
