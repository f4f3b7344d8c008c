"""How is a PostgreSQL database doing right now?

Source: the monitoring chapter of the PostgreSQL manual (pg_stat_activity, pg_stat_database, pg_stat_user_tables).
"""

from __future__ import annotations

import psycopg
from psycopg import errors

from ops.adapters.postgres.connect import connect, translated
from ops.model.endpoint import PostgresEndpoint
from ops.model.stats import DatabaseStats, LongTransaction, TableSize

LONG_TRANSACTION_S = 300

_DATABASE = """
SELECT current_database(), split_part(current_setting('server_version'), ' ', 1), pg_database_size(current_database()),
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND state = 'active'),
       current_setting('max_connections')::int,
       (SELECT blks_hit::float8 / nullif(blks_hit + blks_read, 0) FROM pg_stat_database
         WHERE datname = current_database()),
       (SELECT count(*) FROM pg_locks WHERE NOT granted),
       (SELECT max(greatest(age(datfrozenxid), mxid_age(datminmxid))) FROM pg_database)
"""
# The server stops taking changes for the oldest of its databases, whichever that is, and for multixacts alike.

_TABLES = """
SELECT schemaname || '.' || relname, greatest(n_live_tup, 0), {size}, n_dead_tup
  FROM pg_stat_user_tables ORDER BY 3 DESC, 1
"""
_SIZE = "pg_total_relation_size(relid)"
_SIZE_AT_MOST = "SELECT set_config('lock_timeout', '1s', false)"
# Asking a file's size waits for whoever holds its table; the planner's number of pages waits for nobody.
_PAGES = """
(WITH heaps AS (SELECT unnest(ARRAY[relid, (SELECT reltoastrelid FROM pg_class WHERE oid = relid)]) AS heap)
 SELECT coalesce(sum(relpages), 0)::int8 * current_setting('block_size')::int8 FROM pg_class
  WHERE oid IN (SELECT heap FROM heaps) OR oid IN (SELECT indexrelid FROM pg_index JOIN heaps ON indrelid = heap))
"""

HOLDING_S = 5
# Long ones; those for which somebody waits; those that keep a table from everybody.
_LONG = """
SELECT pid, coalesce(usename, ''), application_name, coalesce(state, ''),
       extract(epoch FROM clock_timestamp() - xact_start)::float8, left(query, 120)
  FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
   AND (xact_start < clock_timestamp() - make_interval(secs => %s)
     OR pid IN (SELECT unnest(pg_blocking_pids(w.pid)) FROM pg_stat_activity AS w WHERE w.wait_event_type = 'Lock')
     OR xact_start < clock_timestamp() - make_interval(secs => %s) AND pid IN (
          SELECT pid FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND locktype = 'relation'))
 ORDER BY xact_start
"""

_COLLATIONS = """
SELECT 'database ' || datname FROM pg_database
 WHERE datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid) AND datcollversion IS NOT NULL
UNION ALL
SELECT 'collation ' || collname FROM pg_collation
 WHERE collversion IS NOT NULL AND collversion IS DISTINCT FROM pg_collation_actual_version(oid)
   AND collnamespace <> 'pg_catalog'::regnamespace
"""


def read_stats(
    endpoint: PostgresEndpoint, *, long_s: float = LONG_TRANSACTION_S, holding_s: float = HOLDING_S
) -> DatabaseStats:
    """Read the numbers of one database; a table that somebody keeps from everybody is waited for a second at most.

    Args:
        endpoint: the database.
        long_s: for how long a transaction must have been open to be named;
        holding_s: the same, for one that keeps a table from everybody. One that others wait for is named at once.

    Raises: DatabaseRefused, EngineUnreachable.
    """
    what = f"reading the statistics of {endpoint.database}"
    with translated(what), connect(endpoint, application_name="ops:stats") as session:
        return _read(session, long_s, holding_s)


def _read(session: psycopg.Connection, long_s: float, holding_s: float) -> DatabaseStats:
    row = session.execute(_DATABASE).fetchone()
    assert row is not None
    return DatabaseStats(
        database=row[0],
        server_version=row[1],
        size_bytes=row[2],
        tables=_tables(session),
        connections=row[3],
        connections_active=row[4],
        connection_limit=row[5],
        cache_hit_ratio=row[6],
        locks_waiting=row[7],
        transaction_age=row[8],
        long_transactions=tuple(LongTransaction(*one) for one in session.execute(_LONG, [long_s, holding_s])),
        collation_mismatches=tuple(str(one[0]) for one in session.execute(_COLLATIONS)),
    )


def _tables(session: psycopg.Connection) -> tuple[TableSize, ...]:
    session.execute(_SIZE_AT_MOST)
    try:
        rows = session.execute(_TABLES.format(size=_SIZE)).fetchall()
    except errors.LockNotAvailable:
        rows = session.execute(_TABLES.format(size=_PAGES)).fetchall()
    return tuple(TableSize(*row) for row in rows)
