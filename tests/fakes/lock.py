"""A lock in memory: one holder at a time, the same holder as often as it likes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ops.errors import LockHeld


class FakeLock:
    """`held_by` names a foreign holder; `log` lists what was acquired and released."""

    def __init__(self, held_by: str = "") -> None:
        self.held_by = held_by
        self.log: list[str] = []
        self._depth = 0

    @contextlib.contextmanager
    def acquire(self, what: str, *, wait_s: float = 0.0) -> Iterator[None]:
        if self.held_by:
            raise LockHeld(f"{what} cannot start: {self.held_by} is running on this stack", hint="wait")
        self._depth += 1
        self.log.append(f"acquired for {what}")
        try:
            yield
        finally:
            self._depth -= 1
            self.log.append(f"released by {what}")

    @property
    def is_held(self) -> bool:
        return self._depth > 0
