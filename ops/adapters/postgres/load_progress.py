"""How far is a load, and how long will it take?

pg_restore says nothing while it works. So the server is asked once a second how large the new database is: that counts
rows and indexes, for every way of loading, and costs next to nothing. The end is known from how large the database was
when it was dumped, and so only roughly: one that was bloated ends early, and past that size no end is told any more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from ops.ports import Reporter

EVERY_S = 1.0
STEP = "load"
PATIENCE_S = 5.0
"""How long a question that the server does not answer may hold up our own end."""
_SIZE = "SELECT pg_database_size(oid) FROM pg_database WHERE datname = %s"


@contextmanager
def load_watched(
    session: psycopg.Connection,
    name: str,
    expected_bytes: int,
    report: Reporter,
    *,
    every_s: float = EVERY_S,
    patience_s: float = PATIENCE_S,
) -> Iterator[None]:
    """Tell how a database grows for as long as the context lasts, and its size at the end.

    Args:
        session: in autocommit mode on another database; nobody else may use it meanwhile.
        name: the database that is being loaded.
        expected_bytes: its size once it is loaded; 0 where that is not known.
        report: hears of it from a thread of its own.
        every_s: how often the server is asked.
        patience_s: how long the end waits for an answer.
    """
    empty_bytes = _size(session, name)
    total = max(expected_bytes - empty_bytes, 0)
    stop = threading.Event()

    def tell() -> bool:
        try:
            done = max(_size(session, name) - empty_bytes, 0)
        except psycopg.Error:
            return False  # if the server is gone, the load or the next step says so; telling must not fail a load
        report.progress(STEP, done, total if done < total else None)
        return True

    def watch() -> None:
        while not stop.wait(every_s) and tell():
            pass

    watcher = threading.Thread(target=watch, name="watch a load", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join(patience_s)
    if not watcher.is_alive():  # else it is the session's one user still
        tell()


def _size(session: psycopg.Connection, name: str) -> int:
    row = session.execute(_SIZE, [name]).fetchone()
    return int(row[0]) if row else 0
