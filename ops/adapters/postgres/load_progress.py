"""How far is a load, and how long will it take?

pg_restore says nothing while it works. So the server is asked once a second how large the new database is: that counts
rows and indexes, for every way of loading, and costs next to nothing. The end is known from how large the database was
when it was dumped, and so only roughly: one that was bloated ends early, and past that size no end is told any more.
The same answers tell whether the load still moves (`load_stall`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from ops.adapters.postgres.load_stall import LoadWatch
from ops.adapters.postgres.silence import ServerSilent, break_line
from ops.ports import Reporter

EVERY_S = 1.0
STEP = "load"
IDLE_TIMEOUT_S = 300.0
PATIENCE_S = 5.0
"""How long a question that the server does not answer may hold up our own end."""
# Without `track_activities` a server tells no session's state; what each waits for it still does.
_SEEN = """
SELECT pg_database_size(d.oid), EXISTS (
    SELECT FROM pg_stat_activity a
    WHERE a.datid = d.oid AND a.backend_type = 'client backend' AND a.state IN ('active', 'disabled')
      AND coalesce(a.wait_event_type, '') NOT IN ('Client', 'Lock'))
FROM pg_database d WHERE d.datname = %s
"""


@contextmanager
def load_watched(
    session: psycopg.Connection,
    name: str,
    expected_bytes: int,
    report: Reporter | None,
    *,
    every_s: float = EVERY_S,
    patience_s: float = PATIENCE_S,
    idle_timeout_s: float = IDLE_TIMEOUT_S,
) -> Iterator[LoadWatch]:
    """Tell how a database grows for as long as the context lasts, and its size at the end.

    Args:
        session: in autocommit mode on another database; nobody else may use it meanwhile. Broken off where the server
            does not answer at the end.
        name: the database that is being loaded.
        expected_bytes: its size once it is loaded; 0 where that is not known.
        report: hears of it from a thread of its own; None: nobody does.
        every_s: how often the server is asked.
        patience_s: how long the end waits for an answer.
        idle_timeout_s: for how long nothing may move while the load is at work.
    """
    empty_bytes, _ = _seen(session, name)
    total = max(expected_bytes - empty_bytes, 0)
    watch, stop = LoadWatch(idle_timeout_s), threading.Event()
    told = report.progress if report else _told_to_nobody

    def tell() -> bool:
        seen = _seen_for(watch, session, name)
        if seen is None:
            return False
        size_bytes, is_busy = seen
        watch.answered(size_bytes, is_busy=is_busy)
        done = max(size_bytes - empty_bytes, 0)
        told(STEP, done, total if done < total else None)
        return True

    def ask() -> None:
        while not stop.wait(every_s) and tell():
            pass

    def judge() -> None:
        while not stop.wait(every_s):
            watch.look()

    threads = [_started(ask, "watch a load"), _started(judge, "judge a load")]
    try:
        yield watch
    finally:
        stop.set()
        for thread in threads:
            thread.join(patience_s)
        if threads[0].is_alive():  # the server does not answer, and the session could not be closed either
            break_line(session)
            threads[0].join(patience_s)
    if not threads[0].is_alive():  # else it is the session's one user still
        tell()


def _told_to_nobody(_step: str, _done: int, _total: int | None) -> None:
    """The load itself tells."""


def _started(work: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


def _seen_for(watch: LoadWatch, session: psycopg.Connection, name: str) -> tuple[int, bool] | None:
    """As `_seen`; None where the server cannot be asked: telling must not fail a load, which says why by itself."""
    try:
        return _seen(session, name)
    except ServerSilent:  # which the watch counts by itself
        return None
    except psycopg.Error:
        watch.is_blind_now()
        return None


def _seen(session: psycopg.Connection, name: str) -> tuple[int, bool]:
    """The database's size, and whether a session on it is at work."""
    row = session.execute(_SEEN, [name]).fetchone()
    return (int(row[0]), bool(row[1])) if row else (0, False)
