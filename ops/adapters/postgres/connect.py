"""How do we open a session with PostgreSQL, and which of our errors is each of its errors?

Every session of ours is named (`application_name`), gives up after a bounded time when nobody answers (`silence`), and
raises only `OpsError` for what a person can act on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import pq, sql

from ops.adapters.postgres.silence import ServerSilent, WatchedSession
from ops.adapters.stalled import STALLED_HINT
from ops.errors import DatabaseRefused, DeadlinePassed, EngineUnreachable, OpsError
from ops.model.endpoint import PostgresEndpoint

CONNECT_TIMEOUT_S = 10

_NOT_UP = ("starting up", "shutting down", "recovery mode", "not yet accepting", "not accepting connections")
_FULL = ("too many clients", "too many connections", "remaining connection slots")
_LOST = ("57P01", "57P02", "57P03", "57P05")
_WAITED = ("55P03", "57014", "25P03", "25P04")


def connect(
    endpoint: PostgresEndpoint,
    *,
    database: str | None = None,
    autocommit: bool = True,
    application_name: str = "ops",
    settings: tuple[tuple[str, str], ...] = (),
) -> psycopg.Connection:
    """Open a session.

    Args:
        endpoint: where and as whom.
        database: instead of the endpoint's own.
        autocommit: False begins a transaction with the first statement, as psycopg does.
        application_name: what `pg_stat_activity` shows, such as `ops:dump`.
        settings: further server settings for the session, such as `("lock_timeout", "2s")`.

    Raises:
        DatabaseRefused: password, rights, no such database, or no connection left.
        EngineUnreachable: nobody answers there, or the server is not up yet.

    A wait of the session ends with `ServerSilent` where the server answers nothing for `endpoint.silence_s`.
    """
    parameters: dict[str, Any] = {
        "host": endpoint.host,
        "port": endpoint.port,
        "user": endpoint.user,
        "password": endpoint.password.reveal() or None,
        "dbname": database or endpoint.database,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": application_name,
        "client_encoding": "UTF8",
        **dict(endpoint.options),
    }
    try:
        session = WatchedSession.connect(**parameters, autocommit=True)
        with _closed_on_failure(session):
            session.watch(endpoint.silence_s)
    except psycopg.OperationalError as exc:
        raise _refused_or_unreachable(exc, endpoint, database or endpoint.database) from exc
    with _closed_on_failure(session):
        for name, value in settings:
            session.execute("SELECT set_config(%s, %s, false)", [name, value])
        session.autocommit = autocommit
    return session


@contextmanager
def _closed_on_failure(session: psycopg.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        session.close()
        raise


@contextmanager
def translated(what: str, *, otherwise: type[OpsError] | None = None) -> Iterator[None]:
    """Turn psycopg's errors in the block into ours.

    Args:
        what: what was being done, as the start of the message (`reading the facts of app`).
        otherwise: the leaf for server errors that are neither rights, nor waiting, nor a lost connection;
            None lets them through as they are (a bug of ours).

    Raises:
        DatabaseRefused: a right is missing, or the database is gone.
        EngineUnreachable: the connection broke.
        DeadlinePassed: a lock or statement timeout passed, or the server answered nothing for too long.
    """
    try:
        yield
    except psycopg.Error as exc:
        found = translate(exc, what, otherwise=otherwise)
        if found is None:
            raise
        raise found from exc


def translate(error: psycopg.Error, what: str, *, otherwise: type[OpsError] | None = None) -> OpsError | None:
    """Our error for one of psycopg's; None where `translated` would let it through."""
    state = error.sqlstate or ""
    cause = _text(error)
    if isinstance(error, ServerSilent):
        return DeadlinePassed(f"{what}: stalled and was ended", cause=cause, hint=STALLED_HINT)
    if state in _WAITED:
        return DeadlinePassed(f"{what}: the server ended the wait", cause=cause)
    if state.startswith("08") or state in _LOST or (not state and isinstance(error, psycopg.OperationalError)):
        return EngineUnreachable(f"{what}: the connection to the database broke", cause=cause, hint="inv ps")
    if state.startswith("28") or state in {"42501", "3D000"}:
        return DatabaseRefused(f"{what}: the database refused", cause=cause)
    return None if otherwise is None else otherwise(f"{what} failed", cause=cause)


def _refused_or_unreachable(error: psycopg.OperationalError, endpoint: PostgresEndpoint, database: str) -> OpsError:
    """A failed connect has no SQLSTATE in libpq; a server that answered says FATAL."""
    where = f"{database} at {endpoint.host}:{endpoint.port} as {endpoint.user}"
    cause = _text(error)
    if any(text in cause for text in _NOT_UP):
        return EngineUnreachable(f"the server of {where} is not up yet", cause=cause, hint="inv ps")
    if any(text in cause for text in _FULL):
        return DatabaseRefused(f"no connection left for {where}", cause=cause, hint="inv stats")
    if "FATAL" in cause or "authentication" in cause or "password" in cause:
        return DatabaseRefused(
            f"the database refused {where}",
            cause=cause,
            hint="compare POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB with what the volume was made with",
        )
    return EngineUnreachable(f"nobody answers for {where}", cause=cause, hint="inv up --services db")


def _text(error: psycopg.Error) -> str:
    """The server's own words on one line, with its detail and hint; never the statement's parameters."""
    diagnosis = error.diag
    parts = [diagnosis.message_primary, diagnosis.message_detail, diagnosis.message_hint]
    text = "; ".join(part for part in parts if part) or str(error)
    return " ".join(text.split())


def in_snapshot(session: psycopg.Connection, snapshot: str | None = None) -> None:
    """Begin a read-only transaction in which every query sees the same moment.

    Args:
        session: in autocommit mode and idle.
        snapshot: the id of an exported snapshot to share; its transaction must still be open.
    """
    if session.info.transaction_status != pq.TransactionStatus.IDLE:
        raise ValueError("the session is already in a transaction")
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    if snapshot is not None:
        session.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
