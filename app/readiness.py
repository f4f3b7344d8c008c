"""Can requests be served now?

Ready means: the database answers, and its schema is at the head of the history that this program was built with. A
process that is not ready is alive all the same, so the container's own health check asks for less.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.database import Database
from app.schemas import Readiness

ALEMBIC_INI = Path(__file__).parents[1] / "alembic.ini"
log = logging.getLogger("comic_pile")


@lru_cache(maxsize=1)
def head() -> str:
    """The newest revision that this program knows; read from the files once."""
    return ", ".join(ScriptDirectory.from_config(Config(ALEMBIC_INI)).get_heads())


def readiness(database: Database) -> Readiness:
    """Ask the database. Never raises for what the database does; the reason has no addresses in it."""
    known = head()
    try:
        with database.engine.connect() as connection:
            current = ", ".join(MigrationContext.configure(connection).get_current_heads()) or None
    except PoolTimeoutError:
        return Readiness(status="not ready", reason="all database connections are in use", head=known)
    except SQLAlchemyError as exc:
        log.warning("readiness: %s: %s", type(exc).__name__, getattr(exc, "orig", exc))
        return Readiness(status="not ready", reason="the database does not answer", head=known)
    if current == known:
        return Readiness(status="ready", revision=current, head=known)
    reason = "the database is not migrated" if current is None else f"the database is at revision {current}"
    return Readiness(
        status="not ready", reason=f"{reason}, the application needs {known}", revision=current, head=known
    )
