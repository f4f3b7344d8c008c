"""How is a library that pulls its input and pushes its output used as a stream in either direction?

It runs in a thread of its own with a bounded queue between. Whichever side fails or stops first, the other one ends
too, and neither waits for ever.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_BLOCKS = 8


class _Stopped(Exception):
    """The other side has gone."""


class _Feed:
    """Blocks from one thread as a file for another."""

    def __init__(self) -> None:
        self._blocks: queue.Queue[bytes | None] = queue.Queue(_BLOCKS)
        self._rest = b""
        self._is_cut = False
        self._has_ended = False

    def put(self, block: bytes | None) -> None:
        self._blocks.put(block)

    def cut(self) -> None:
        """The writer gave up: whoever reads gets an error, never a normal end."""
        self._is_cut = True
        self._blocks.put(None)

    def read(self, size: int) -> bytes:
        if not self._rest and not self._has_ended:
            block = self._blocks.get()
            self._has_ended = block is None
            self._rest = block or b""
            if self._is_cut:
                raise _Stopped
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    def drain(self) -> None:
        """Let the writer finish, where the reader has gone."""
        while not self._has_ended:
            self._has_ended = self._blocks.get() is None


class _Sink:
    """A file whose blocks go to a function; remembers what that raised, which the library would wrap."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self.trouble: BaseException | None = None

    def write(self, block: bytes) -> int:
        try:
            self._write(block)
        except BaseException as exc:
            self.trouble = exc
            raise
        return len(block)

    def flush(self) -> None:
        """Nothing is held back."""


@contextmanager
def pushed(work: Callable[[Any, Any], None], write: Callable[[bytes], None]) -> Iterator[Callable[[bytes], None]]:
    """Run `work(reader, writer)` beside us: it reads what we are given, and `write` gets what it writes.

    The context's end waits until all is written. Raises: what `write` raised, what `work` raised.
    """
    feed, sink = _Feed(), _Sink(write)
    trouble: list[BaseException] = []

    def run() -> None:
        try:
            work(feed, sink)
        except BaseException as exc:  # noqa: BLE001 - handed to the thread that asked
            trouble.append(sink.trouble or exc)
        feed.drain()

    def take(block: bytes) -> None:
        if trouble:
            raise trouble[0]
        if block:
            feed.put(block)

    thread = threading.Thread(target=run, name="encrypt", daemon=True)
    thread.start()
    try:
        yield take
    except BaseException:
        feed.cut()
        thread.join()
        raise
    feed.put(None)
    thread.join()
    if trouble:
        raise trouble[0]


def pulled(work: Callable[[Any], None]) -> Iterator[bytes]:
    """Run `work(writer)` beside us and give what it writes. Raises: what `work` raised."""
    blocks: queue.Queue[bytes | None] = queue.Queue(_BLOCKS)
    has_gone = threading.Event()
    trouble: list[BaseException] = []

    def give(block: bytes) -> None:
        if has_gone.is_set():
            raise _Stopped
        blocks.put(block)

    def run() -> None:
        try:
            work(_Sink(give))
        except BaseException as exc:  # noqa: BLE001 - handed to the thread that asked
            trouble.append(exc)
        blocks.put(None)

    thread = threading.Thread(target=run, name="decrypt", daemon=True)
    thread.start()
    try:
        while (block := blocks.get()) is not None:
            yield block
    except GeneratorExit:
        has_gone.set()
        while blocks.get() is not None:
            pass
        raise
    finally:
        thread.join()
    if trouble:
        raise trouble[0]
