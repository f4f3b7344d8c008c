"""What surrounds the rows of a PostgreSQL database?"""

from __future__ import annotations

import psycopg

from ops.model.database import DatabaseFacts


def read_facts(session: psycopg.Connection) -> DatabaseFacts:
    """The facts of the database that `session` is connected to; inside a transaction, of its snapshot.

    Raises psycopg's errors; callers wrap it in `connect.translated`.
    """
    raise NotImplementedError


def read_revisions(session: psycopg.Connection) -> tuple[str, ...]:
    """The rows of `alembic_version`, sorted; empty where no schema on the search path has that table."""
    raise NotImplementedError
