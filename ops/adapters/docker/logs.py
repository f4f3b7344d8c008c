"""What did the containers print, and when does following them end?

Following ends by itself when every followed container is gone or will not be started again by the engine; it goes on
over a restart. Only running containers are followed: the engine would wait for ever on one that was never started.
"""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ops.adapters.docker import raw
from ops.adapters.docker.client import Connection
from ops.adapters.docker.errors import FOREIGN, translated
from ops.adapters.docker.frames import STDERR, FrameReader, Receive, plain_blocks
from ops.adapters.docker.status import inspect_container, moment
from ops.errors import OpsError
from ops.model.engine import LogLine

_ALIVE = {"running", "restarting", "paused"}
_RESTART_S = 1.0
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Source:
    """A container whose output is wanted."""

    service: str
    container_id: str


@dataclass(frozen=True, slots=True)
class Window:
    """Which part is wanted: the last `tail` lines, those from `since` on."""

    tail: int | None = None
    since: str = ""
    """Seconds since 1970 with nine decimals, as the engine takes it."""

    @classmethod
    def of(cls, tail: int | None, since: datetime | None) -> Window:
        """From what a person gives."""
        return cls(tail, _seconds(since) if since else "")


def past_lines(connection: Connection, sources: Iterable[Source], window: Window) -> Iterator[LogLine]:
    """What was printed so far, in the order of time over all containers."""
    streams = [_lines(connection, source, window) for source in sources]
    try:
        yield from heapq.merge(*streams, key=lambda line: line.at or _EARLIEST)
    finally:
        for stream in streams:
            stream.close()


def followed_lines(connection: Connection, sources: Iterable[Source], window: Window) -> Iterator[LogLine]:
    """What was printed and what will be, as it comes; closing the generator ends the reading."""
    readers = [_Reader(connection, source, window) for source in sources]
    arrived: queue.Queue[LogLine | OpsError | None] = queue.Queue(1000)
    for reader in readers:
        threading.Thread(target=reader.read_into, args=(arrived,), name="follow logs", daemon=True).start()
    open_count = len(readers)
    try:
        while open_count:
            item = arrived.get()
            if isinstance(item, OpsError):
                raise item
            if item is None:
                open_count -= 1
            else:
                yield item
    finally:
        for reader in readers:
            reader.stop()
        # Readers that wait for room in the queue see that they were stopped.
        while any(reader.is_reading for reader in readers):
            with suppress(queue.Empty):
                arrived.get(timeout=0.05)


class _Reader:
    """Follows one container in a thread of its own."""

    def __init__(self, connection: Connection, source: Source, window: Window) -> None:
        self._connection = connection
        self._source = source
        self._window = window
        self._stopped = False
        self._response: Any = None
        self.is_reading = True

    def read_into(self, arrived: queue.Queue[LogLine | OpsError | None]) -> None:
        try:
            while not self._stopped and self._read_once(arrived):
                pass
            arrived.put(None)
        except OpsError as error:
            arrived.put(None if self._stopped else error)
        finally:
            self.is_reading = False

    def stop(self) -> None:
        self._stopped = True
        response = self._response
        if response is not None:
            with suppress(*FOREIGN, AttributeError, ValueError):
                raw.hang_up(response)

    def _read_once(self, arrived: queue.Queue[LogLine | OpsError | None]) -> bool:
        """Read to the stream's end; True where the container lives on and there may be more."""
        alive = self._state() in _ALIVE
        last: str = ""
        response = _open(self._connection, self._source, self._window, follow=alive)
        self._response = response
        with closing(response):
            for stamp, line in _stamped(response, self._source, has_terminal=self._has_terminal):
                if self._stopped:
                    return False
                arrived.put(line)
                last = stamp
        self._window = replace(self._window, tail=None, since=_just_after(last) or self._window.since)
        if not last:
            self._window = replace(self._window, since=self._window.since or _seconds(datetime.now(UTC)))
        return alive and self._lives_on()

    def _lives_on(self) -> bool:
        """Whether the container runs again within the moment that `docker restart` takes."""
        deadline = time.monotonic() + _RESTART_S
        while self._state() not in _ALIVE:
            if self._stopped or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _state(self) -> str:
        inspection = inspect_container(self._connection, self._source.container_id)
        self._has_terminal = bool(inspection and inspection["Config"].get("Tty"))
        return str(inspection["State"]["Status"]) if inspection else "gone"


def _lines(connection: Connection, source: Source, window: Window) -> Generator[LogLine, None, None]:
    inspection = inspect_container(connection, source.container_id)
    if inspection is None:
        return
    with closing(_open(connection, source, window, follow=False)) as response:
        for _, line in _stamped(response, source, has_terminal=bool(inspection["Config"].get("Tty"))):
            yield line


def _open(connection: Connection, source: Source, window: Window, *, follow: bool) -> Any:
    query = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": str(int(follow))}
    query |= {"tail": "all" if window.tail is None else str(window.tail)}
    if window.since:
        query["since"] = window.since
    with translated(f"read the log of {source.service}"):
        return raw.get_stream(connection.streams(), f"/containers/{source.container_id}/logs", query)


def _stamped(response: Any, source: Source, *, has_terminal: bool) -> Iterator[tuple[str, LogLine]]:
    """Each line with the engine's own time stamp; a line that the engine split is put together again."""
    body = raw.body_reader(response)

    def receive(buffer: memoryview) -> int:
        with translated(f"read the log of {source.service}"):
            block = body.read1(len(buffer)) if not body.isclosed() else b""
        buffer[: len(block)] = block
        return len(block)

    if has_terminal:
        yield from _terminal_lines(receive, source)
        return
    open_lines: dict[int, tuple[str, bytes]] = {}
    for number, entry in FrameReader(receive).whole_frames():
        # An entry is a line, or a part of a line of more than 16 KiB; each begins with its own time stamp.
        stamp, _, text = entry.partition(b" ")
        first, before = open_lines.pop(number, (stamp.decode(), b""))
        if text.endswith(b"\n"):
            yield first, _line(first, before + text, source, is_error=number == STDERR)
        else:
            open_lines[number] = (first, before + text)
    for number, (first, text) in open_lines.items():
        yield first, _line(first, text, source, is_error=number == STDERR)


def _terminal_lines(receive: Receive, source: Source) -> Iterator[tuple[str, LogLine]]:
    rest = b""
    for _, block in plain_blocks(receive):
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            stamp, _, text = line.partition(b" ")
            yield stamp.decode(errors="replace"), _line(stamp.decode(errors="replace"), text, source, is_error=False)


def _line(stamp: str, text: bytes, source: Source, *, is_error: bool) -> LogLine:
    return LogLine(source.service, text.decode(errors="replace").rstrip("\r\n"), moment(stamp), is_error)


def _just_after(stamp: str) -> str:
    """The engine's time stamp plus one nanosecond, in its own form for `since`."""
    at = moment(stamp)
    if at is None:
        return ""
    digits = stamp.partition(".")[2].rstrip("Z")[:9].ljust(9, "0") if "." in stamp else "000000000"
    nanoseconds = int(at.timestamp()) * 1_000_000_000 + int(digits) + 1
    return f"{nanoseconds // 1_000_000_000}.{nanoseconds % 1_000_000_000:09d}"


def _seconds(at: datetime) -> str:
    """Seconds since 1970, exactly: a float of that size is off by up to 0.2 microseconds, and drops a line."""
    return f"{int(at.replace(microsecond=0).timestamp())}.{at.microsecond:06d}000"
