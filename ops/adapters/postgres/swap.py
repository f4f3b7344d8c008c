"""How does a new database take the live one's name without a moment in which nobody has it?

One transaction on the maintenance database renames live -> kept and copy -> live, while a second session ends the
backends that still hold them. PostgreSQL lets newcomers wait on the renamed database's lock, so that they see either
the old database, or - after one refused attempt - the new one. A failure or a kill at any point undoes all of it.
ALLOW_CONNECTIONS is left alone: switched off first, a kill would leave nobody able to connect.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.errors import DuplicateDatabase, ObjectInUse

from ops.adapters.postgres.copies import describe
from ops.errors import RestoreRefused
from ops.model.database import DatabaseCopy
from ops.ports import Clock

ATTEMPT_S = 30.0
END_EVERY_S = 0.01

_OID = "SELECT oid FROM pg_database WHERE datname = %s"
# Only those we may end: one refusal would end the statement before the others are done. Autovacuum's workers are
# ended by the rename itself.
_END = """
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_roles who ON who.oid = a.usesysid
WHERE a.datid = %s AND a.pid <> pg_backend_pid() AND (
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    OR pg_has_role(a.usesysid, 'USAGE')
    OR (pg_has_role('pg_signal_backend', 'USAGE') AND NOT who.rolsuper)
)
"""
_WHO = """
SELECT pid, usename, application_name FROM pg_stat_activity WHERE datid = %s AND pid <> pg_backend_pid() LIMIT 3
"""
_BLOCKERS = """
SELECT format('replication slot %%s belongs to it', slot_name) FROM pg_replication_slots WHERE database = %(live)s
UNION ALL
SELECT format('subscription %%s writes into it', subname) FROM pg_subscription s
JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = %(live)s
UNION ALL
SELECT format('prepared transaction %%s of %%s is open in it', gid, owner) FROM pg_prepared_xacts
WHERE database = %(live)s
"""

Connect = Callable[[str], psycopg.Connection]
"""Opens a session on the maintenance database, in autocommit mode, under an application name."""


def blockers(session: psycopg.Connection, live: str) -> tuple[str, ...]:
    """What would tie something outside to the old database: slots, subscriptions, prepared transactions."""
    return tuple(row[0] for row in session.execute(_BLOCKERS, {"live": live}).fetchall())


def swap_databases(
    connect: Connect,
    live: str,
    copy: str,
    kept: DatabaseCopy,
    *,
    stack: str,
    clock: Clock,
    deadline_s: float = ATTEMPT_S,
) -> float:
    """Make `copy` the live database and keep the old one as `kept`.

    Args:
        connect: opens sessions on the maintenance database.
        live: the name to take over. Where no database has it, `copy` is renamed and nothing is kept.
        copy: the database that takes the name.
        kept: name and description of the old database from then on.
        stack: for the description.
        clock: measures the gap.
        deadline_s: how long to try to get both databases free of sessions.

    Returns: seconds between ending the first session and the commit.

    Raises: RestoreRefused (sessions that cannot be ended, `copy` missing, `kept` taken); psycopg's errors.
    """
    with connect("ops:swap") as session:
        copy_oid, live_oid = _oid(session, copy), _oid(session, live)
        if copy_oid is None:
            raise RestoreRefused(
                f"the database {copy} is not there", cause="something dropped it", hint="restore again"
            )
        deadline = clock.monotonic() + deadline_s
        while True:
            started = clock.monotonic()
            try:
                _rename_both(session, connect, (live, live_oid), (copy, copy_oid), (kept.name, describe(kept, stack)))
            except ObjectInUse as exc:
                if clock.monotonic() >= deadline:
                    raise _still_used(session, live, live_oid or copy_oid) from exc
            except DuplicateDatabase as exc:
                raise RestoreRefused(f"a database {kept.name} is there already", cause=str(exc)) from exc
            except psycopg.OperationalError:
                if not _has_happened(connect, live, copy_oid):
                    raise
                return clock.monotonic() - started
            else:
                return clock.monotonic() - started


def _rename_both(
    session: psycopg.Connection,
    connect: Connect,
    live: tuple[str, int | None],
    copy: tuple[str, int],
    kept: tuple[str, str],
) -> None:
    live_name, live_oid = live
    copy_name, copy_oid = copy
    kept_name, description = kept
    with session.transaction():
        if live_oid is not None:
            with _ending(connect, live_oid):
                _rename(session, live_name, kept_name)
            _comment(session, kept_name, description)
        with _ending(connect, copy_oid):
            _rename(session, copy_name, live_name)
        _comment(session, live_name, None)


def _rename(session: psycopg.Connection, old: str, new: str) -> None:
    session.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))


def _comment(session: psycopg.Connection, name: str, text: str | None) -> None:
    session.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(text)))


@contextmanager
def _ending(connect: Connect, oid: int) -> Iterator[None]:
    """End all sessions on one database, again and again, while the block waits for it to be free.

    By its oid, not its name: the name belongs to another database as soon as the swap is done.
    """
    is_done = threading.Event()
    with connect("ops:swap:end") as session:

        def end_sessions() -> None:
            while not is_done.is_set():
                try:
                    session.execute(_END, [oid])
                except psycopg.Error:
                    return
                is_done.wait(END_EVERY_S)

        thread = threading.Thread(target=end_sessions, name="ops-swap-end", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_done.set()
            thread.join()


def _oid(session: psycopg.Connection, name: str) -> int | None:
    row = session.execute(_OID, [name]).fetchone()
    return None if row is None else int(row[0])


def _has_happened(connect: Connect, live: str, copy_oid: int) -> bool:
    """Whether the commit went through although its answer never came."""
    with connect("ops:swap:look") as session:
        return _oid(session, live) == copy_oid


def _still_used(session: psycopg.Connection, live: str, oid: int) -> RestoreRefused:
    users = [
        f"pid {pid} ({user}, {application or 'unnamed'})" for pid, user, application in session.execute(_WHO, [oid])
    ]
    return RestoreRefused(
        f"the sessions on {live} could not be ended; nothing was changed",
        cause="still there: " + ", ".join(users) if users else "they come back faster than they can be ended",
        hint="inv down --services app, then again",
    )
