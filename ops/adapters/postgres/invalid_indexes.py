"""Which indexes did a CREATE INDEX CONCURRENTLY that failed leave, and how is one taken away without blocking anybody?

Source: PostgreSQL manual, CREATE INDEX, "Building Indexes Concurrently".
"""

from __future__ import annotations

import psycopg
from psycopg import sql

# One that is being built is invalid too, and somebody's; that of a partitioned table waits for its partitions.
_INVALID = """
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND c.relpersistence <> 't'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
ORDER BY 1
"""


def invalid_indexes(session: psycopg.Connection) -> tuple[str, ...]:
    """Their names with their schemas, quoted where SQL needs it. Raises psycopg's errors."""
    return tuple(name for (name,) in session.execute(_INVALID).fetchall())


def drop_invalid_index(session: psycopg.Connection, name: str, *, lock_timeout_s: float) -> bool:
    """Drop one of them; False where it is not, or no more, one of them. Raises psycopg's errors."""
    if name not in invalid_indexes(session):
        return False
    session.execute("SELECT set_config('lock_timeout', %s, false)", [f"{int(lock_timeout_s * 1000)}ms"])
    session.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS ") + sql.SQL(name))
    return True
