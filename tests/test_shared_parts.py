"""Do the parts that all tests share work?"""

from __future__ import annotations

import pytest

from ops.model.endpoint import PostgresEndpoint
from tests.conftest import connect


@pytest.mark.postgres
def test_a_fresh_database_is_empty_and_speaks_utf_8(fresh_database: PostgresEndpoint) -> None:
    with connect(fresh_database) as session:
        encoding, tables = session.execute(
            "SELECT pg_encoding_to_char(encoding), (SELECT count(*) FROM pg_tables WHERE schemaname = 'public')"
            " FROM pg_database WHERE datname = current_database()"
        ).fetchone()

    assert (encoding, tables) == ("UTF8", 0)
