"""Who knows how large a stream will be, when the one who sends it does not?"""

from __future__ import annotations

from dataclasses import dataclass

from ops.ports import Reporter


@dataclass(frozen=True, slots=True)
class ExpectedSize:
    """A reporter that adds to the progress of one step how much is expected, until it is more than that.

    Args:
        report: who is told.
        step: which step's total it is.
        total: in the step's unit; None adds nothing.
    """

    report: Reporter
    step: str
    total: int | None

    def note(self, text: str) -> None:
        """Passed on."""
        self.report.note(text)

    def warn(self, text: str) -> None:
        """Passed on."""
        self.report.warn(text)

    def progress(self, step: str, done: int, total: int | None, unit: str = "bytes") -> None:
        """Passed on, with the total that is expected."""
        if step == self.step and total is None and self.total is not None and done < self.total:
            total = self.total
        self.report.progress(step, done, total, unit)

    def finished(self, event: str, **fields: object) -> None:
        """Passed on."""
        self.report.finished(event, **fields)
