"""How is a PostgreSQL database doing right now?

Source: the monitoring chapter of the PostgreSQL manual (pg_stat_activity, pg_stat_database, pg_stat_user_tables).
"""

from __future__ import annotations

import psycopg

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
SELECT schemaname || '.' || relname, greatest(n_live_tup, 0), pg_total_relation_size(relid), n_dead_tup
  FROM pg_stat_user_tables ORDER BY pg_total_relation_size(relid) DESC, 1
"""

_LONG = """
SELECT pid, coalesce(usename, ''), application_name, coalesce(state, ''),
       extract(epoch FROM clock_timestamp() - xact_start)::float8, left(query, 120)
  FROM pg_stat_activity
 WHERE datname = current_database() AND xact_start < clock_timestamp() - make_interval(secs => %s)
   AND pid <> pg_backend_pid()
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


def read_stats(endpoint: PostgresEndpoint, *, long_s: float = LONG_TRANSACTION_S) -> DatabaseStats:
    """Read the numbers of one database.

    Args:
        endpoint: the database.
        long_s: for how long a transaction must have been open to be named.

    Raises: DatabaseRefused, EngineUnreachable.
    """
    what = f"reading the statistics of {endpoint.database}"
    with translated(what), connect(endpoint, application_name="ops:stats") as session:
        return _read(session, long_s)


def _read(session: psycopg.Connection, long_s: float) -> DatabaseStats:
    row = session.execute(_DATABASE).fetchone()
    assert row is not None
    return DatabaseStats(
        database=row[0],
        server_version=row[1],
        size_bytes=row[2],
        tables=tuple(TableSize(*table) for table in session.execute(_TABLES).fetchall()),
        connections=row[3],
        connections_active=row[4],
        connection_limit=row[5],
        cache_hit_ratio=row[6],
        locks_waiting=row[7],
        transaction_age=row[8],
        long_transactions=tuple(LongTransaction(*one) for one in session.execute(_LONG, [long_s])),
        collation_mismatches=tuple(str(one[0]) for one in session.execute(_COLLATIONS)),
    )
