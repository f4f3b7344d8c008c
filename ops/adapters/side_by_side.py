"""How is work that keeps a core busy done on several, and ended with us?

Mostly each piece runs in a forked process: Python's lock lets two threads compute one after the other only, and
SQLite's own locks slow two threads of one process down as well. A process of a piece watches us and ends when we are
gone, so nothing of it stays behind a kill: it was born with our files, and would keep our locks and our sessions.
Pieces that compute outside of Python's lock, in a library of C, run in threads, which end at the next rows that they
report: a fork of a large process costs more.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from ops.errors import LoadFailed

T = TypeVar("T")
Work = Callable[[Callable[[int], None]], T]
"""A piece: it gets a function that takes how many more rows it has done."""
_LOOK_S = 0.05
_FORK = multiprocessing.get_context("fork")


def side_by_side(works: Sequence[Work[T]], *, workers: int, on_rows: Callable[[int], None]) -> list[T]:
    """Do all pieces, so many at once; their results in the order of the pieces.

    Args:
        works: begun in this order.
        workers: how many at once.
        on_rows: hears what the pieces report, in this process.

    Raises: what the first piece to fail raised, once the others are ended; LoadFailed, where a process was killed.
    """
    waiting, running = deque(enumerate(works)), dict[Connection, tuple[int, BaseProcess]]()
    results: dict[int, T] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                number, work = waiting.popleft()
                heard, said = _FORK.Pipe(duplex=False)
                process: BaseProcess = _FORK.Process(target=_child, args=(work, said, os.getpid()), daemon=True)
                _start(process)
                said.close()
                running[heard] = number, process
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                number, process = running[ready]
                kind, value = _next_of(ready, process)
                if kind == "rows":
                    on_rows(value)
                elif kind == "failed":
                    raise value
                else:
                    results[number] = value
                    del running[ready]
                    _end(ready, process)
    finally:
        for heard, (_, process) in running.items():
            process.kill()
            _end(heard, process)
    return [results[number] for number in range(len(works))]


class Begun(Generic[T]):
    """One piece that a process of its own does while we do something else, begun at once.

    Args:
        work: the piece; what it reports is not heard.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._heard, said = _FORK.Pipe(duplex=False)
        self._process: BaseProcess | None = _FORK.Process(
            target=_child, args=(lambda _report: work(), said, os.getpid()), daemon=True
        )
        _start(self._process)
        said.close()
        self._outcome: tuple[str, Any] | None = None

    def result(self) -> T:
        """Wait for the piece. Raises: what it raised; LoadFailed, where the process was killed."""
        if self._outcome is None:
            assert self._process is not None, "its end was asked for"
            self._outcome = _next_of(self._heard, self._process)
            self.end()
        kind, value = self._outcome
        if kind == "failed":
            raise value
        found: T = value
        return found

    def end(self) -> None:
        """Nobody wants the result any more; may be called again."""
        if self._process is not None:
            self._process.kill()
            _end(self._heard, self._process)
            self._process = None


def in_threads(works: Sequence[Work[T]], *, workers: int, on_rows: Callable[[int], None]) -> list[T]:
    """As `side_by_side`, in threads; nothing may fork meanwhile.

    A piece ends early where it reports rows: so it has to report often.
    """
    has_ended = threading.Event()
    turn = threading.Lock()

    def report(rows: int) -> None:
        if has_ended.is_set():
            raise _Ended
        with turn:
            on_rows(rows)

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(work, report) for work in works]
        try:
            done, _ = wait_for(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            return [future.result() for future in futures]
        except BaseException:
            has_ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Ended(Exception):
    """Another piece failed, or we are to end."""


def _start(process: BaseProcess) -> None:
    """Fork; a Ctrl-C that comes meanwhile is heard behind it, for the hooks of a fork swallow it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        _fork(process)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _fork(process: BaseProcess) -> None:
    with warnings.catch_warnings():
        # Python 3.12 and later, where another thread runs: it may hold a lock for ever in the child. A piece takes none
        # that another thread of ours holds while pieces are begun: a transfer's thread waits for Alembic then.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        process.start()


def _next_of(heard: Connection, process: BaseProcess) -> tuple[str, Any]:
    try:
        said: tuple[str, Any] = heard.recv()
    except EOFError:
        process.join()
        raise LoadFailed(
            f"a process that worked for us ended with {process.exitcode}",
            cause="it was killed, most often because memory ran out",
            hint="free -h; journalctl -k | grep -i oom",
        ) from None
    return said


def _end(heard: Connection, process: BaseProcess) -> None:
    process.join()
    process.close()
    heard.close()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)


def _child(work: Work[Any], said: Connection, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all of us, and the parent ends us
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True, name="dead-man").start()

    def report(rows: int) -> None:
        said.send(("rows", rows))

    try:
        outcome: tuple[str, Any] = "done", work(report)
    except Exception as exc:  # noqa: BLE001 - whatever it is, the parent raises it
        outcome = "failed", exc
    said.send(outcome)
