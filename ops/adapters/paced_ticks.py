"""At which pace do the steps of the scheduler's loop come round, and what if one of them fails?

The `schedule` library ticks them, paced by the monotonic clock: its own pace goes by naive local time and would stand
still for an hour each autumn. Whatever of ours a step raises is told, and never ends the loop.
"""

from __future__ import annotations

from collections.abc import Callable

import schedule

from ops.errors import OpsError
from ops.ports import Clock, Reporter


class _Paced(schedule.Job):
    """A job of the library that goes by the monotonic clock."""

    clock: Clock
    period_s = 1.0
    due_s = 0.0

    @property
    def should_run(self) -> bool:
        if self.clock.monotonic() < self.due_s:
            return False
        self.due_s = self.clock.monotonic() + self.period_s
        return True


def every(seconds: float, do: Callable[[], None], ticks: schedule.Scheduler, clock: Clock) -> None:
    """Do it at each of these intervals, as `ticks` comes round."""
    paced = _Paced(max(int(seconds), 1), ticks)
    paced.clock, paced.period_s = clock, seconds
    paced.seconds.do(do)


class ToldOnce:
    """Wraps a step of the loop: what it raises is told once, not every second, and never ends the loop."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._last: dict[int, str] = {}

    def __call__(self, step: Callable[[], None]) -> Callable[[], None]:
        """The step, guarded."""
        number = len(self._last)
        self._last[number] = ""

        def guarded() -> None:
            try:
                step()
            except OpsError as exc:
                if self._last[number] != exc.message:
                    self._report.warn(f"{exc.message} ({exc.cause})" if exc.cause else exc.message)
                self._last[number] = exc.message
            else:
                self._last[number] = ""

        return guarded
