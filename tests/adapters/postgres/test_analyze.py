"""Are all statistics fresh, whichever way they are gathered?"""

from __future__ import annotations

import pytest

from ops.adapters.postgres.analyze import analyze
from tests.conftest import connect

pytestmark = pytest.mark.postgres
LARGE = "CREATE TABLE {0} AS SELECT g, repeat('x', 500) AS filled FROM generate_series(1, 20000) g"


def analyzed(endpoint):
    with connect(endpoint) as session:
        session.execute("SELECT pg_stat_force_next_flush()")
        found = session.execute("SELECT relname FROM pg_stat_all_tables WHERE last_analyze IS NOT NULL")
        return {name for (name,) in found}


@pytest.mark.parametrize("size", ["small", "large", "partitioned"])
def test_every_table_and_every_catalog_is_analyzed(fresh_database, size):
    with connect(fresh_database) as session:
        session.execute("CREATE SCHEMA other")
        session.execute('CREATE TABLE other."Mixed Case" (a int)')
        for name in ("one", "two"):
            session.execute(LARGE.format(name) if size != "small" else f"CREATE TABLE {name} (a int)")
        session.execute("CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM one")
        if size == "partitioned":
            session.execute("CREATE TABLE whole (a int) PARTITION BY RANGE (a)")
            session.execute("CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (9)")

    analyze(lambda: connect(fresh_database))

    expected = {"one", "two", "seen", "Mixed Case", "pg_class", "pg_attribute"}
    assert expected | ({"whole", "part"} if size == "partitioned" else set()) <= analyzed(fresh_database)
