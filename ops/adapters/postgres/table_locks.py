"""How do we keep every table as it is while it is read, and who keeps us from it?

A snapshot alone does not hold a table still: a `TRUNCATE` or a rewriting `ALTER TABLE` that commits between the
snapshot and the first read makes the table look empty. So all tables are locked (ACCESS SHARE, which only stops
such statements) before the snapshot is taken, and the list is read again inside it.
"""

from __future__ import annotations

import re
import time

import psycopg
from psycopg import errors, sql

from ops.adapters.postgres.connect import in_snapshot
from ops.adapters.postgres.fingerprint import tables
from ops.errors import DumpFailed

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


def snapshot_of_held_tables(session: psycopg.Connection, *, deadline: float) -> str:
    """Begin a read-only snapshot in which every table is held by ACCESS SHARE, and export it.

    Args:
        session: in autocommit mode and idle.
        deadline: of `time.monotonic`, until which locks are waited for.

    Returns:
        The exported snapshot's id, good while the transaction is open.

    Raises:
        DumpFailed: somebody holds a table until the deadline; names process, query and table.
        Also psycopg's errors (no right to read a table).
    """
    while True:
        before = tables(session)
        in_snapshot(session)
        try:
            if before:
                left_ms = max(1, int((deadline - time.monotonic()) * 1000))
                session.execute(_AT_MOST, [str(left_ms)])
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
            raise waited_too_long(session) from exc
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
        hint=f'inv shell -- -c "SELECT pg_terminate_backend({next(iter(found))})" ends it, or wait; then: inv backup',
    )


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


def _without_literals(query: str) -> str:
    return _LITERAL.sub("'...'", " ".join(query.split()))[:200]
