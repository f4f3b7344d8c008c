"""Are the numbers of `inv stats` the server's own?"""

from __future__ import annotations

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


def test_a_wrong_password_is_refused_with_exit_code_17(fresh_database: PostgresEndpoint) -> None:
    wrong = PostgresEndpoint(fresh_database.host, fresh_database.port, fresh_database.user, Secret("no"), "postgres")

    with pytest.raises(DatabaseRefused) as raised:
        read_stats(wrong)

    assert raised.value.exit_code == 17
