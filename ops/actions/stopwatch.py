"""How long did each step take, in seconds?"""

from __future__ import annotations

from ops.ports import Clock


class Stopwatch:
    """Begins when it is made; `laps` are the finished steps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, step: str) -> None:
        """The step that began at the last lap is finished."""
        now = self._clock.monotonic()
        self.laps[step] = now - self._last
        self._last = now

    def rounded(self) -> dict[str, float]:
        """The laps to the millisecond, as reports have them."""
        return {step: round(seconds, 3) for step, seconds in self.laps.items()}
