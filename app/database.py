"""How does the application speak to its database, and where does a transaction begin and end?

One use case is one transaction: `Database.writing()` commits at its end or rolls everything back. Moments are aware
UTC on both databases. Tables are made by Alembic and by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import URL, Connection, DateTime, Dialect, Engine, Pool, create_engine, event, make_url
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeDecorator

from app.config import Settings

CONNECT_TIMEOUT_S = 5
BUSY_TIMEOUT_MS = 5000
_WRITES = "comic_pile_writes"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC moment: `timestamptz` on PostgreSQL, UTC without an offset in SQLite's text form.

    A naive datetime is refused: SQLite would keep its digits and lose what they meant.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into what the database keeps."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment needs a time zone: {value!r}")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Turn what the database kept into an aware UTC moment."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def make_engine(address: str | URL, settings: Settings | None = None, *, poolclass: type[Pool] | None = None) -> Engine:
    """An engine for PostgreSQL (through psycopg) or SQLite (WAL, foreign keys on, real transactions).

    Nothing is opened yet. `poolclass` replaces the pool and its settings (Alembic keeps none).
    """
    url = make_url(address)
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    options: dict[str, Any] = {"poolclass": poolclass} if poolclass else _pool_options(url, settings or Settings())
    if url.get_backend_name() != "sqlite":
        return create_engine(url, connect_args={"connect_timeout": CONNECT_TIMEOUT_S}, **options)
    engine = create_engine(url, connect_args={"check_same_thread": False}, **options)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_on_sqlite)
    return engine


def _pool_options(url: URL, settings: Settings) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        return {}
    return {
        "pool_size": settings.pool_size,
        "max_overflow": settings.max_overflow,
        "pool_pre_ping": settings.pool_pre_ping,
        "pool_recycle": settings.pool_recycle_s,
    }


def _set_up_sqlite(driver: Any, _record: object) -> None:
    driver.isolation_level = None  # we say BEGIN ourselves: sqlite3 opens none before DDL or SELECT
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "foreign_keys=ON"):
        driver.execute(f"PRAGMA {pragma}")


def _begin_on_sqlite(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        # A transaction that reads first and then writes may find the database changed under it and fail at once,
        # whatever the timeout: so writers take the write lock at their start.
        driver.execute("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN")


class Database:
    """The application's database: an engine and its two kinds of transactions."""

    def __init__(self, settings: Settings) -> None:
        self.engine = make_engine(settings.database_url, settings)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One use case that changes something: commits at the end, rolls back on any exception."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.connection(execution_options={_WRITES: True})
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One consistent look; nothing is written."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()
