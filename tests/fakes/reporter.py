"""What was reported, kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class RecordingReporter:
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    steps: dict[str, int] = field(default_factory=dict)
    """The last progress of each step."""

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def progress(self, step: str, done: int, total: int | None, unit: str = "bytes") -> None:
        self.steps[step] = done

    def finished(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))
