"""How are the planner's statistics of a whole database refreshed with two sessions?"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import psycopg
from psycopg import sql

SESSIONS = 2
_SMALL_BYTES = 16_000_000
"""Of less than this a second session would take longer than it saves."""
_TABLES = """
SELECT n.nspname, c.relname, pg_relation_size(c.oid), c.relkind = 'p'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND NOT starts_with(n.nspname::text, 'pg_')
  AND n.nspname <> 'information_schema' ORDER BY 3 DESC, 1, 2
"""
_CATALOGS = """
SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'pg_catalog'::regnamespace AND NOT relisshared
"""


def analyze(connect: Callable[[], AbstractContextManager[psycopg.Connection]]) -> None:
    """Refresh the statistics of everything, catalogs included. Raises psycopg's errors.

    A database with partitions is left to one session, since a partitioned table brings its partitions along.
    """
    with connect() as session:
        tables = session.execute(_TABLES).fetchall()
        size_bytes = sum(size for _, _, size, _ in tables)
        if size_bytes < _SMALL_BYTES or any(is_partitioned for *_, is_partitioned in tables):
            session.execute("ANALYZE")
            return
        catalogs = [sql.Identifier("pg_catalog", name) for (name,) in session.execute(_CATALOGS).fetchall()]
    shares: list[list[sql.Identifier]] = [[] for _ in range(SESSIONS)]
    loads = [0] * SESSIONS
    for schema, name, size, _ in tables:
        least = loads.index(min(loads))
        shares[least].append(sql.Identifier(schema, name))
        loads[least] += size

    def work(share: list[sql.Identifier]) -> None:
        with connect() as session:
            session.execute(sql.SQL("ANALYZE {}").format(sql.SQL(", ").join(share)))

    with ThreadPoolExecutor(SESSIONS) as pool:
        list(pool.map(work, [*(share for share in shares if share), catalogs]))
