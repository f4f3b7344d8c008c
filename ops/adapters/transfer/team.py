"""How do several threads work on one new database, and all end at once?

Python cannot stop a thread that waits for a server. So each tells which session it works on, and the end of all is to
break those lines: whoever waits there gets an error at once, whether the server lives or not.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import psycopg

from ops.adapters.postgres.silence import break_line
from ops.errors import LoadFailed
from ops.ports import Reporter

T = TypeVar("T")


class Team:
    """The threads of one step.

    Args:
        on_move: hears that something went over a line.
    """

    def __init__(self, on_move: Callable[[], None]) -> None:
        self._on_move = on_move
        self._ended = threading.Event()
        self._sessions: set[psycopg.Connection] = set()
        self._turn = threading.Lock()
        self._failures: list[BaseException] = []

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._ended.is_set()

    def end(self) -> None:
        """End the work of all threads now; may be called by any thread."""
        with self._turn:
            self._ended.set()
            for session in self._sessions:
                break_line(session)

    def moved(self) -> None:
        """Something went over a line. Raises: LoadFailed, where all have ended."""
        if self.is_ended:
            raise LoadFailed("the load of another table failed")  # the other one's failure is raised
        self._on_move()

    @contextlib.contextmanager
    def joined(self, opened: contextlib.AbstractContextManager[psycopg.Connection]) -> Iterator[psycopg.Connection]:
        """A session that breaks when all end."""
        with opened as session:
            with self._turn:
                self._sessions.add(session)
                if self.is_ended:
                    break_line(session)
            try:
                yield session
            finally:
                with self._turn:
                    self._sessions.discard(session)

    def work(self, works: Sequence[Callable[[], list[T]]]) -> list[T]:
        """Do all, each in a thread; the first failure, in time, ends the others and is raised, and so does Ctrl-C."""
        with ThreadPoolExecutor(len(works)) as pool:
            futures = [pool.submit(self._guarded, work) for work in works]
            try:
                wait(futures)
            except BaseException:
                self.end()
                raise
        if self._failures:
            raise self._failures[0]
        return [item for future in futures for item in future.result()]

    def _guarded(self, work: Callable[[], list[T]]) -> list[T]:
        try:
            return work()
        except BaseException as exc:
            self._failures.append(exc)
            self.end()
            raise


class Counter:
    """Adds up what several threads did and reports it."""

    def __init__(self, report: Reporter, step: str, total: int | None) -> None:
        self._report, self._step, self._total = report, step, total
        self._done = 0
        self._lock = threading.Lock()

    def add(self, rows: int) -> None:
        """So many rows more."""
        with self._lock:
            self._done += rows
            self._report.progress(self._step, self._done, self._total, "rows")
