"""Is a program in a container slow, or is its container frozen?

A paused container's streams neither end nor fail, and a program may say nothing for hours while it hashes a file. Only
the engine knows which of the two it is. So while a program is silent it is asked now and then, and a container that
stayed paused for too long is waited for no longer. An engine that gives no answer once may be busy, and ends nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ops.adapters.docker.client import Connection
from ops.adapters.docker.frames import Receive
from ops.adapters.docker.status import inspect_container
from ops.adapters.stalled import STALLED_HINT
from ops.errors import DeadlinePassed, EngineUnreachable

SILENCE_S = 300.0
ASK_EVERY_S = 1.0
_ASKS = 10


@dataclass(slots=True)
class FrozenWatch:
    """What is known of one container while one program in it runs; asked by one thread."""

    connection: Connection
    container: str
    doing: str
    """What the program is for, in the error."""
    limit_s: float = SILENCE_S
    _looked_at: float = field(default_factory=time.monotonic)
    _still_since: float | None = None

    def keeps_on(self) -> bool:
        """True: the silent program may go on. Raises: DeadlinePassed (it may not)."""
        now = time.monotonic()
        if now - self._looked_at < self.limit_s / _ASKS:
            return True
        self._looked_at = now
        why = self._stillness()
        if not why:
            self._still_since = None
        elif self._still_since is None:
            self._still_since = now
        elif now - self._still_since >= self.limit_s:
            raise DeadlinePassed(
                f"cannot {self.doing}: stalled and was ended",
                cause=f"{why} for {now - self._still_since:.0f} s",
                hint=STALLED_HINT,
            )
        return True

    def _stillness(self) -> str:
        """Why nothing can move there; empty where something can."""
        try:
            found = inspect_container(self.connection, self.container)
        except EngineUnreachable:
            return "the engine has answered nothing"
        return "its container has been paused" if _is_paused(found) else ""


def patient(receive: Receive, keeps_on: Callable[[], bool]) -> Receive:
    """A `receive` that gives up now and then, and asks each time whether to go on."""

    def receive_or_ask(buffer: memoryview) -> int:
        while True:
            try:
                return receive(buffer)
            except DeadlinePassed:
                if not keeps_on():
                    raise

    return receive_or_ask


def _is_paused(inspection: dict[str, Any] | None) -> bool:
    return inspection is not None and bool(inspection["State"].get("Paused"))
