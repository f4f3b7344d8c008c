"""How do we keep every table as it is while it is read, and who keeps us from it?

Whoever waits is told for whom: a person who sees nothing for a minute ends the wrong thing.

A snapshot alone does not hold a table still: a `TRUNCATE` or a rewriting `ALTER TABLE` that commits between the
snapshot and the first read makes the table look empty. So all tables are locked (ACCESS SHARE, which only stops
such statements) before the snapshot is taken, and the list is read again inside it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors, sql

from ops.adapters.postgres.connect import in_snapshot
from ops.adapters.postgres.fingerprint import tables
from ops.errors import DeadlinePassed, DumpFailed

TOLD_AFTER_S = 2.0
"""A wait for a table that is longer than this is told."""
READ_WAIT_S = 10.0
"""For how long a count, which nothing depends on, waits for a table."""
_AT_MOST = "SELECT pg_catalog.set_config('lock_timeout', %s, true)"
_BLOCKERS = """
SELECT DISTINCT ON (l.granted, a.pid) a.pid, coalesce(nullif(a.application_name, ''), 'a client') AS program,
       a.usename, l.relation::regclass::text, l.granted, a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::int, a.query
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.mode = 'AccessExclusiveLock' AND l.locktype = 'relation' AND l.relation >= 16384
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND a.pid <> pg_backend_pid()
ORDER BY l.granted DESC, a.pid
LIMIT 5
"""
_HELD = "another session holds a table exclusively, so it cannot be read"
_LITERAL = re.compile(r"'(?:[^']|'')*'")


def snapshot_of_held_tables(
    session: psycopg.Connection, *, deadline: float, tell: Callable[[str], None] = lambda _: None
) -> str:
    """Begin a read-only snapshot in which every table is held by ACCESS SHARE, and export it.

    Args:
        session: in autocommit mode and idle.
        deadline: of `time.monotonic`, until which locks are waited for.
        tell: hears once for whom we wait.

    Returns:
        The exported snapshot's id, good while the transaction is open.

    Raises:
        DumpFailed: somebody holds a table until the deadline; names process, query and table.
        Also psycopg's errors (no right to read a table).
    """
    is_told = False
    while True:
        before = tables(session)
        in_snapshot(session)
        left_s = deadline - time.monotonic()
        wait_s = left_s if is_told else min(left_s, TOLD_AFTER_S)
        try:
            if before:
                session.execute(_AT_MOST, [str(max(1, int(wait_s * 1000)))])
                session.execute(
                    sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(
                        sql.SQL(", ").join(sql.SQL("ONLY {}").format(table.identifier) for table in before)
                    )
                )
            if {table.oid for table in tables(session)} == {table.oid for table in before}:
                row = session.execute("SELECT pg_export_snapshot()").fetchone()
                return str(row[0]) if row else ""
        except errors.LockNotAvailable as exc:
            session.execute("ROLLBACK")
            if wait_s >= left_s:
                raise waited_too_long(session) from exc
            is_told = True
            who = next(iter(blockers(session).values()), "whoever held it has just let go")
            tell(f"waiting at most {left_s - wait_s:.0f} s for a table: {who}")
            continue
        except errors.UndefinedTable:
            pass  # a table went away between the list and the lock: the next round has the new list
        session.execute("ROLLBACK")
        if time.monotonic() > deadline:
            raise DumpFailed("tables come and go so fast that no moment could be held", hint="inv backup")


def waited_too_long(session: psycopg.Connection) -> DumpFailed:
    """The error that names who holds or wants a table exclusively; `session` is idle."""
    found = blockers(session)
    if not found:
        return DumpFailed(_HELD, cause="whoever held it has just let go", hint="inv backup")
    return DumpFailed(
        _HELD,
        cause="; ".join(found.values()),
        hint=f"{_ending(found)}, or wait; then: inv backup",
    )


@contextmanager
def named_when_held(session: psycopg.Connection, what: str, *, wait_s: float = READ_WAIT_S) -> Iterator[None]:
    """Wait for tables in the block only for a while, and say who holds them; the session is in a transaction.

    Raises: DeadlinePassed.
    """
    session.execute(_AT_MOST, [str(int(wait_s * 1000))])
    try:
        yield
    except errors.LockNotAvailable as exc:
        session.execute("ROLLBACK")
        found = blockers(session)
        raise DeadlinePassed(
            f"{what}: {_HELD}",
            cause="; ".join(found.values()) or None,
            hint=f"{_ending(found)}, or wait" if found else "try it again",
        ) from exc


def blockers(session: psycopg.Connection) -> dict[int, str]:
    """Who holds or waits for an exclusive lock on a table of this database: a sentence by pid; no literals.

    Those that hold one come first.
    """
    rows = session.execute(_BLOCKERS).fetchall()
    return {
        pid: f"pid {pid} ({program}, {user}, {state}, in its transaction for {age_s} s)"
        f" {'holds' if granted else 'waits for'} {table}: {_without_literals(query)}"
        for pid, program, user, table, granted, state, age_s, query in rows
    }


def _ending(found: dict[int, str]) -> str:
    return f'inv shell -- -c "SELECT pg_terminate_backend({next(iter(found))})" ends it'


def _without_literals(query: str) -> str:
    return _LITERAL.sub("'...'", " ".join(query.split()))[:200]
