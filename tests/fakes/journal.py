"""A journal in memory."""

from __future__ import annotations

from ops.model.change import Change


class FakeJournal:
    """Keeps the lines that were appended."""

    def __init__(self, *changes: Change) -> None:
        self.lines: list[Change] = list(changes)

    def append(self, change: Change) -> None:
        self.lines.append(change)

    def changes(self) -> tuple[Change, ...]:
        return tuple(self.lines)
