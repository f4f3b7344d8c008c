"""To which database does Alembic speak, and how is a revision applied to it?

The database, first that is there: `config.attributes["connection"]` (the caller keeps it and closes it),
`config.attributes["url"]`, DATABASE_URL, the application's default. The address never passes through the ini
file's interpolation, so a `%` in a password is a `%`.

Each revision has a transaction of its own, on SQLite too. There foreign keys are switched off meanwhile: a batch
operation drops the old table, and with them on that deletes the rows that refer to it. Before a revision commits
they are all checked, unless the caller does that itself (`config.attributes["check_foreign_keys"] = False`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.config import fileConfig
from typing import Any

from alembic import context
from sqlalchemy import Connection, event, make_url, pool
from sqlalchemy.engine import URL

from app.config import database_url
from app.database import UtcDateTime, make_engine
from app.models import Base

config = context.config


def address() -> URL:
    """The database's address when the caller hands in no connection."""
    return make_url(config.attributes.get("url") or database_url())


def set_up_logging() -> None:
    """Log as alembic.ini says on the command line only: a program that drives Alembic has its own logging."""
    if config.config_file_name and config.cmd_opts is not None and not logging.getLogger().handlers:
        fileConfig(config.config_file_name, disable_existing_loggers=False)


def render_item(kind: str, item: object, _context: object) -> str | bool:
    """Write the application's timestamp type as what it is in the database: revisions import nothing of app."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def check_foreign_keys(*, ctx: Any, **_: object) -> None:
    """Refuse a revision that leaves a row pointing nowhere; called inside its transaction."""
    connection: Connection = ctx.connection
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if orphans:
        shown = ", ".join(f"{table} rowid {rowid} -> {parent}" for table, rowid, parent, _key in orphans[:5])
        raise ValueError(f"{len(orphans)} rows would refer to rows that do not exist: {shown}")


@contextmanager
def sqlite_prepared(connection: Connection) -> Iterator[None]:
    """Make SQLite's DDL transactional and switch its foreign keys off, for the time of the context.

    Python's sqlite3 opens no transaction before DDL and PRAGMA foreign_keys does nothing inside one, so both go
    to the driver's connection, past SQLAlchemy.
    """
    driver: Any = connection.connection.driver_connection
    isolation_level = driver.isolation_level
    (foreign_keys,) = driver.execute("PRAGMA foreign_keys").fetchone()
    driver.isolation_level = None
    driver.execute("PRAGMA foreign_keys=OFF")

    def begin(_connection: Connection) -> None:
        if not driver.in_transaction:
            driver.execute("BEGIN IMMEDIATE")

    event.listen(connection, "begin", begin)
    try:
        yield
    finally:
        event.remove(connection, "begin", begin)
        driver.execute(f"PRAGMA foreign_keys={foreign_keys}")
        driver.isolation_level = isolation_level


def run_offline() -> None:
    """Write the SQL instead of running it."""
    url = address()
    context.configure(
        url=url.render_as_string(hide_password=True),
        target_metadata=Base.metadata,
        literal_binds=True,
        render_as_batch=url.get_backend_name() == "sqlite",
        transaction_per_migration=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_on(connection: Connection) -> None:
    """Run the revisions on an open connection."""
    is_sqlite = connection.dialect.name == "sqlite"
    is_checked = is_sqlite and config.attributes.get("check_foreign_keys", True)
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=is_sqlite,
        render_item=render_item,
        compare_type=True,
        transaction_per_migration=True,
        transactional_ddl=True,
        on_version_apply=check_foreign_keys if is_checked else None,
    )
    if not is_sqlite:
        with context.begin_transaction():
            context.run_migrations()
        return
    with sqlite_prepared(connection), context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Run the revisions on the caller's connection, or on one of our own."""
    given = config.attributes.get("connection")
    if given is not None:
        run_on(given)
        return
    engine = make_engine(address(), poolclass=pool.NullPool)
    with engine.connect() as connection:
        run_on(connection)
    engine.dispose()


set_up_logging()
if context.is_offline_mode():
    run_offline()
else:
    run_online()
