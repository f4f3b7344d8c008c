"""Does a load still move, seen from outside of it?

pg_restore says nothing while it works, so bytes do not tell. What tells is the server, on another session: the new
database grows, or a session on it is at work - waiting for us (`Client`) or for somebody else's lock is not. A server
that answers nothing, such as one whose container is paused, does not move either. Once nothing moved for so long, the
load is ended.

Source: PostgreSQL manual, "Wait Event Types".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ops.adapters.stalled import STALLED_HINT
from ops.errors import LoadFailed

LONGEST_LOOK_S = 2.0
"""A process of ours that was stopped for hours (Ctrl-Z) has not seen a load stand still for hours."""


class LoadWatch:
    """What one load's watcher knows; its methods may be called by any thread.

    Args:
        idle_timeout_s: for how long nothing may move.
        monotonic: seconds; handed in by tests.
    """

    def __init__(self, idle_timeout_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.idle_timeout_s = idle_timeout_s
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._idle_s = self._silent_s = 0.0
        self._size_bytes = -1
        self._is_at_work = self._is_blind = False
        self._stalled = threading.Event()
        self._cut: Callable[[], None] | None = None
        self._turn = threading.Lock()

    @property
    def is_stalled(self) -> bool:
        """Whether the load stood still for too long; stays so."""
        return self._stalled.is_set()

    def keeps_on(self) -> bool:
        """Whether the load may go on."""
        return not self.is_stalled

    def answered(self, size_bytes: int, *, is_busy: bool) -> None:
        """The server said how large the new database is, and whether a session on it is at work."""
        with self._turn:
            self._silent_s = 0.0
            if is_busy or size_bytes != self._size_bytes:
                self._idle_s = 0.0
            self._size_bytes = size_bytes

    def moved(self) -> None:
        """Bytes of the load itself went through."""
        with self._turn:
            self._idle_s = self._silent_s = 0.0

    def is_blind_now(self) -> None:
        """The server cannot be asked any more: from now on nothing is judged."""
        self._is_blind = True

    def look(self) -> None:
        """Some time has passed; ends the load where it is too much."""
        now = self._monotonic()
        with self._turn:
            passed_s = min(now - self._looked_at, LONGEST_LOOK_S)
            self._looked_at = now
            if not self._is_at_work or self._is_blind:
                return
            self._idle_s += passed_s
            self._silent_s += passed_s
            if self._idle_s <= self.idle_timeout_s or self.is_stalled:
                return
            self._stalled.set()
            cut = self._cut
        if cut is not None:
            cut()

    @contextmanager
    def at_work(self, cut: Callable[[], None] | None = None) -> Iterator[None]:
        """Judge the load within this context only; before and after it files are carried, and nothing grows.

        Args:
            cut: ends the load, called by the watcher; None where the load itself asks `keeps_on`.
        """
        with self._turn:
            self._idle_s = self._silent_s = 0.0
            self._is_at_work, self._cut = True, cut
        try:
            yield
        finally:
            with self._turn:
                self._is_at_work, self._cut = False, None

    def failure(self, name: str) -> LoadFailed:
        """The error for a load of the file `name` that was ended."""
        return LoadFailed(
            f"loading {name} stalled and was ended; the live database is as it was",
            cause=f"the server answered nothing for {self._silent_s:.0f} s"
            if self._silent_s >= self.idle_timeout_s
            else f"for {self.idle_timeout_s:g} s the new database did not grow and no session on it was at work",
            hint=STALLED_HINT,
        )
