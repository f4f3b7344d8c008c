"""Are the numbers of `inv stats` the server's own?"""

from __future__ import annotations

import threading

import pytest

from ops.adapters.postgres.stats import read_stats
from ops.errors import DatabaseRefused
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from tests.conftest import connect

pytestmark = pytest.mark.postgres


def test_tables_connections_and_size_are_read(fresh_database: PostgresEndpoint) -> None:
    with connect(fresh_database) as session:
        session.execute("CREATE TABLE pile AS SELECT generate_series(1, 1000) AS id")
        session.execute("ANALYZE pile")

        stats = read_stats(fresh_database)

    assert stats.database == fresh_database.database
    assert [table.name for table in stats.tables] == ["public.pile"]
    assert stats.tables[0].size_bytes >= 32768
    assert stats.size_bytes > 5_000_000
    assert stats.connections >= 2
    assert stats.collation_mismatches == ()


def test_a_table_held_exclusively_keeps_nobody_waiting_and_its_holder_is_named(
    fresh_database: PostgresEndpoint,
) -> None:
    with connect(fresh_database) as session:
        session.execute("CREATE TABLE pile AS SELECT id, md5(id::text) AS text FROM generate_series(1, 50000) AS id")
        session.execute("CREATE INDEX ON pile (id)")
        session.execute("VACUUM ANALYZE pile")
    quiet = read_stats(fresh_database)

    with connect(fresh_database, autocommit=False) as holder:
        holder.execute("LOCK TABLE pile IN ACCESS EXCLUSIVE MODE")
        held = read_stats(fresh_database, holding_s=0)

        assert [one.pid for one in held.long_transactions] == [holder.info.backend_pid]

    assert quiet.long_transactions == ()
    assert 0.9 < held.tables[0].size_bytes / quiet.tables[0].size_bytes <= 1


def test_a_session_for_which_others_wait_is_named_however_young(fresh_database: PostgresEndpoint) -> None:
    with connect(fresh_database) as session:
        session.execute("CREATE TABLE pile AS SELECT 1 AS id")

    with connect(fresh_database, autocommit=False) as first, connect(fresh_database) as second:
        pid = first.info.backend_pid
        first.execute("UPDATE pile SET id = 2")
        waiting = threading.Thread(target=second.execute, args=["UPDATE pile SET id = 3"])
        waiting.start()
        while not (stats := read_stats(fresh_database)).locks_waiting:
            assert waiting.is_alive()
        first.rollback()
        waiting.join(30)

    assert [one.pid for one in stats.long_transactions] == [pid]


def test_a_wrong_password_is_refused_with_exit_code_17(fresh_database: PostgresEndpoint) -> None:
    wrong = PostgresEndpoint(fresh_database.host, fresh_database.port, fresh_database.user, Secret("no"), "postgres")

    with pytest.raises(DatabaseRefused) as raised:
        read_stats(wrong)

    assert raised.value.exit_code == 17
