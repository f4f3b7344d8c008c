"""Who holds this stack's lock on this machine, and how does it end with its process?

An flock on a file that is never removed: the kernel releases it when its holder dies, however it dies, and it
holds across a bind mount of the same folder. Beside it lies a JSON that says who, what, since when; it is only
read to name the holder, never to decide.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ops.errors import ConfigurationError, LockHeld
from ops.ports import Clock

LOCK_FILE = "change.lock"
HOLDER_FILE = "change.holder.json"
POLL_S = 0.1


class StackLock:
    """The `Lock` port for one folder.

    Args:
        folder: where the lock lies; made (0700) if absent. One folder is one stack.
        by: who we are, such as `user@host`.
        clock: for the time in the JSON and for waiting.

    Acquiring again inside the context, on the same object and thread, is allowed and does nothing; another
    thread, object or process has to wait.
    """

    def __init__(self, folder: Path, by: str, clock: Clock) -> None:
        self._folder = folder
        self._by = by
        self._clock = clock
        self._owner: int | None = None

    @contextlib.contextmanager
    def acquire(self, what: str, *, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the lock while the context lasts.

        Args:
            what: the change, such as `restore`; shown to whoever comes second.
            wait_s: how long to wait for another holder; 0 asks once.

        Raises: LockHeld, naming who holds it, for what and since when; ConfigurationError (unusable folder).
        """
        if self._owner == threading.get_ident():
            yield
            return
        descriptor = self._open()
        try:
            self._wait_for(descriptor, what, wait_s)
            self._owner = threading.get_ident()
            self._describe(what)
            try:
                yield
            finally:
                self._owner = None
                (self._folder / HOLDER_FILE).unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def holder(self) -> dict[str, Any]:
        """What the last holder wrote of itself: `who`, `what`, `since`, `pid`; empty where nothing readable lies."""
        try:
            found = json.loads((self._folder / HOLDER_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _open(self) -> int:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise ConfigurationError(
                f"the lock file {self._folder / LOCK_FILE} cannot be opened",
                cause=exc.strerror,
                hint=f"ls -ld {self._folder}",
            ) from exc
        return descriptor

    def _wait_for(self, descriptor: int, what: str, wait_s: float) -> None:
        deadline = self._clock.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    raise self._held(what, wait_s) from None
                self._clock.sleep(min(POLL_S, left))
            except OSError as exc:
                raise ConfigurationError(
                    f"the file system of {self._folder} cannot lock files", cause=exc.strerror
                ) from exc
            else:
                return

    def _held(self, what: str, wait_s: float) -> LockHeld:
        holder = self.holder()
        running = holder.get("what", "another change")
        cause = (
            f"{holder.get('who')} (pid {holder.get('pid')}) holds the lock since {holder.get('since')}"
            if holder
            else f"the holder did not say who it is: {self._folder / LOCK_FILE}"
        )
        waited = f" after {wait_s:g} s" if wait_s else ""
        return LockHeld(
            f"{what} cannot start{waited}: {running} is running on this stack",
            cause=cause,
            hint=f"wait for it, or give {what} --lock-wait SECONDS",
        )

    def _describe(self, what: str) -> None:
        text = json.dumps(
            {"who": self._by, "what": what, "since": self._clock.now().isoformat(), "pid": os.getpid()}, sort_keys=True
        )
        partial = self._folder / f"{HOLDER_FILE}.partial"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")
        partial.replace(self._folder / HOLDER_FILE)
