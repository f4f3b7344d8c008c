"""What did a service print, and when?

Reads the files that keepers write: lines `TIME o TEXT` and `TIME e TEXT`, the older part in `.log.1`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ops.model.engine import LogLine

_PAUSE_S = 0.2


def read_log(service: str, path: Path, *, tail: int | None, since: datetime | None) -> Iterator[LogLine]:
    """All lines so far, oldest first; the last `tail` of them, none older than `since`."""
    lines = (line for part in (path.with_suffix(".log.1"), path) for line in _lines(service, part))
    young = (line for line in lines if since is None or line.at is None or line.at >= since)
    yield from young if tail is None else deque(young, maxlen=tail)


def _lines(service: str, path: Path) -> Iterator[LogLine]:
    with suppress(FileNotFoundError), path.open("rb") as stream:
        for raw in stream:
            if raw.endswith(b"\n"):
                yield _line(service, raw)


def _line(service: str, raw: bytes) -> LogLine:
    text = raw.decode("utf-8", errors="replace").removesuffix("\n")
    moment, _, rest = text.partition(" ")
    kind, _, said = rest.partition(" ")
    try:
        return LogLine(service, said, datetime.fromisoformat(moment), is_error=kind == "e")
    except ValueError:
        return LogLine(service, text)


class Follower:
    """New lines of one log, also across its rotation; `poll` gives those since the last call."""

    def __init__(self, service: str, path: Path) -> None:
        self._service = service
        self._path = path
        self._offset = 0
        self._inode = 0
        with suppress(FileNotFoundError):
            there = path.stat()
            self._offset, self._inode = there.st_size, there.st_ino

    def poll(self) -> list[LogLine]:
        """Whole lines that were written since."""
        with suppress(FileNotFoundError), self._path.open("rb") as stream:
            inode = self._path.stat().st_ino
            if inode != self._inode:
                self._inode, self._offset = inode, 0
            stream.seek(self._offset)
            block = stream.read()
            whole = block[: block.rfind(b"\n") + 1]
            self._offset += len(whole)
            return [_line(self._service, raw) for raw in whole.splitlines(keepends=True)]
        return []


def follow_logs(followers: list[Follower], is_running: Callable[[], bool]) -> Iterator[LogLine]:
    """Lines as they come, until nothing runs any more and all was read."""
    while True:
        runs = is_running()
        fresh = [line for follower in followers for line in follower.poll()]
        yield from fresh
        if not runs and not fresh:
            return
        if not fresh:
            time.sleep(_PAUSE_S)
