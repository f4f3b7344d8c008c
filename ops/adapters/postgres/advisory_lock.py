"""Who changes this stack's database, from whichever host?

A session-level advisory lock in the maintenance database: one held inside the live database would block the swap,
and advisory locks are per database. It ends with its session, however that ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress

import psycopg

from ops.adapters.postgres.silence import ServerSilent, broken_after
from ops.errors import LockHeld
from ops.ports import Clock

POLL_S = 0.2
GHOST_S = 2.0
"""How long a lock without a holder that can be seen is tried again."""
END_WITHIN_MS = 10_000
RELEASE_S = 2.0
"""How long a server may take to say that it let go of a lock."""

_HOLDER = """
SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'local'), a.backend_start
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = %s
"""


def lock_key(stack: str, database: str) -> int:
    """The key of a stack's database: 64 bits, signed, the same on every host."""
    digest = hashlib.sha256(f"ops-runner\0{stack}\0{database}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def take(
    connect: Callable[[str], psycopg.Connection], key: int, what: str, *, clock: Clock, wait_s: float = 0.0
) -> psycopg.Connection:
    """Take the lock `key` on a session of its own, which is given; closing it releases the lock.

    Raises: LockHeld, naming the holder, once `wait_s` have passed; psycopg's errors.
    """
    session = connect(f"ops:{what}")
    try:
        session.execute("SELECT set_config('idle_session_timeout', '0', false)")
        _wait_for(session, key, what, clock, wait_s)
    except BaseException:
        session.close()
        raise
    return session


def release(session: psycopg.Connection) -> None:
    """Let go of the lock and close its session.

    A server ends a closed session a moment later; until then the next one would meet a lock that nobody holds. One that
    does not answer is not waited for: we may be here because of just that.
    """
    with suppress(psycopg.Error), broken_after(session, RELEASE_S):  # a connection that broke has let go
        session.execute("SELECT pg_advisory_unlock_all()")
    session.close()


def _wait_for(session: psycopg.Connection, key: int, what: str, clock: Clock, wait_s: float) -> None:
    deadline = clock.monotonic() + wait_s
    while not _try(session, key):
        left = deadline - clock.monotonic()
        if left > 0:
            clock.sleep(min(POLL_S, left))
            continue
        held = _held(session, key, what)
        if held is not None or left <= -GHOST_S:
            raise held or LockHeld(f"{what} cannot start: a session that is ending holds the lock", hint="try again")
        clock.sleep(POLL_S / 10)


def end_orphans(session: psycopg.Connection, application_name: str) -> None:
    """End all sessions of that name and wait until they are gone; the caller holds the lock that guards them."""
    session.execute(
        "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity"
        " WHERE application_name = %s AND pid <> pg_backend_pid()",
        [END_WITHIN_MS, application_name],
    )


def is_held_by(session: psycopg.Connection, key: int) -> bool:
    """Whether this very session still has the lock; False once its connection broke. Raises: ServerSilent."""
    try:
        found = session.execute(_HOLDER, [key]).fetchall()
    except ServerSilent:
        raise
    except psycopg.OperationalError:
        return False
    return any(pid == session.info.backend_pid for pid, *_ in found)


def _try(session: psycopg.Connection, key: int) -> bool:
    row = session.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone()
    return bool(row and row[0])


def _held(session: psycopg.Connection, key: int, what: str) -> LockHeld | None:
    """The refusal with its holder; None where the holder has let go since."""
    row = session.execute(_HOLDER, [key]).fetchone()
    if row is None:
        return None
    pid, application, address, since = row
    who = f"{application or 'a session'} from {address} (server pid {pid})"
    return LockHeld(
        f"{what} cannot start: {application.removeprefix('ops:') or 'another change'} runs on this database",
        cause=f"{who} holds its lock since {since.isoformat()}",
        hint=f"wait for it, or give {what} --lock-wait SECONDS",
    )
