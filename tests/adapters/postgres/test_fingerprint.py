"""Are counts and checksums exact, the same everywhere, and never of a part of the rows?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ops.adapters.postgres.connect import connect as connect_as_ops
from ops.adapters.postgres.connect import in_snapshot, translated
from ops.adapters.postgres.fingerprint import LARGE_OBJECTS, table_summaries
from ops.errors import DatabaseRefused
from ops.model.database import TableSummary
from ops.model.endpoint import PostgresEndpoint
from tests.conftest import connect

pytestmark = pytest.mark.postgres


def summaries(endpoint: PostgresEndpoint, *before: str) -> dict[str, TableSummary]:
    with connect_as_ops(endpoint, application_name="ops:test") as session:
        for statement in before:
            session.execute(statement)
        in_snapshot(session)
        with translated("reading the tables"):
            return {summary.name: summary for summary in table_summaries(session)}


def run(endpoint: PostgresEndpoint, *statements: str) -> None:
    with connect(endpoint) as session:
        for statement in statements:
            session.execute(statement)


def test_equal_rows_in_another_order_give_equal_checksums(fresh_database: PostgresEndpoint) -> None:
    run(
        fresh_database,
        "CREATE TABLE one AS SELECT i, md5(i::text) AS t FROM generate_series(1, 500) i ORDER BY i",
        "CREATE TABLE two AS SELECT i, md5(i::text) AS t FROM generate_series(1, 500) i ORDER BY i DESC",
    )

    found = summaries(fresh_database)

    assert found["public.one"].checksum == found["public.two"].checksum
    assert found["public.one"].row_count == 500


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE t SET a = a + 1 WHERE a = 3",
        "UPDATE t SET b = NULL WHERE a = 3",
        "UPDATE t SET b = '' WHERE a = 4",
        "DELETE FROM t WHERE a = 5",
        "INSERT INTO t SELECT * FROM t WHERE a = 5",
        "UPDATE t SET a = 11 - a",
        "UPDATE t SET b = b || ' '",
    ],
)
def test_any_change_of_the_rows_changes_the_checksum(fresh_database: PostgresEndpoint, change: str) -> None:
    run(
        fresh_database,
        "CREATE TABLE t AS SELECT i AS a, CASE WHEN i <> 4 THEN 'x' || i END AS b FROM generate_series(1, 10) i",
    )
    before = summaries(fresh_database)["public.t"]

    run(fresh_database, change)

    assert summaries(fresh_database)["public.t"].checksum != before.checksum


def test_two_equal_pairs_of_rows_do_not_cancel_out(fresh_database: PostgresEndpoint) -> None:
    run(
        fresh_database,
        "CREATE TABLE one AS SELECT * FROM (VALUES (1), (1), (2), (2)) v (i)",
        "CREATE TABLE two AS SELECT * FROM (VALUES (3), (3), (4), (4)) v (i)",
    )

    found = summaries(fresh_database)

    assert found["public.one"].checksum != found["public.two"].checksum


def test_an_empty_table_and_one_without_columns_have_checksums(fresh_database: PostgresEndpoint) -> None:
    run(
        fresh_database,
        "CREATE TABLE empty (a int)",
        "CREATE TABLE bare ()",
        "INSERT INTO bare DEFAULT VALUES",
        "INSERT INTO bare DEFAULT VALUES",
    )

    found = summaries(fresh_database)

    assert found["public.empty"] == TableSummary("public.empty", 0, "0" * 32)
    assert found["public.bare"].row_count == 2


def test_the_sessions_own_settings_do_not_change_a_checksum(fresh_database: PostgresEndpoint) -> None:
    run(
        fresh_database,
        "CREATE DOMAIN public.positive AS int CHECK (VALUE > 0)",
        "CREATE TABLE t (at timestamptz, span interval, raw bytea, f float8, d date, m money, c regclass,"
        " n numeric, a text[], j json, b jsonb, p positive, k real)",
        "INSERT INTO t VALUES (now(), '1 mon 2 days 03:04:05.6', '\\x00ff', 0.1 + 0.2, 'today', 1234.5, 't',"
        " 'NaN', ARRAY['a', NULL, 'b,\"c'], '{\"b\": 1,  \"a\": 2}', '{\"b\": 1, \"a\": 2}', 3, 'Infinity')",
    )
    plain = summaries(fresh_database)

    bent = summaries(
        fresh_database,
        "SET TimeZone = 'Asia/Kolkata'",
        "SET IntervalStyle = 'iso_8601'",
        "SET bytea_output = 'escape'",
        "SET extra_float_digits = 0",
        "SET DateStyle = 'German, DMY'",
        "SET search_path = public",
        "SET quote_all_identifiers = on",
        "SET statement_timeout = 1",
    )

    assert bent == plain


def test_leaf_partitions_and_inheriting_tables_are_counted_once_each(fresh_database: PostgresEndpoint) -> None:
    run(
        fresh_database,
        "CREATE TABLE p (i int) PARTITION BY RANGE (i)",
        "CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE p_high PARTITION OF p FOR VALUES FROM (10) TO (100)",
        "INSERT INTO p SELECT generate_series(0, 29)",
        "CREATE TABLE parent (i int)",
        "CREATE TABLE child () INHERITS (parent)",
        "INSERT INTO child VALUES (1)",
    )

    counts = {name: summary.row_count for name, summary in summaries(fresh_database).items()}

    assert counts == {"public.child": 1, "public.parent": 0, "public.p_high": 20, "public.p_low": 10}


def test_odd_names_views_temporary_and_generated_columns_are_handled(fresh_database: PostgresEndpoint) -> None:
    run(
        fresh_database,
        'CREATE SCHEMA "Odd ""Schema"',
        'CREATE TABLE "Odd ""Schema"."a.b" (ops_row int, "row_text" text'
        ", i int GENERATED ALWAYS AS (ops_row * 2) STORED, k bigint GENERATED ALWAYS AS IDENTITY)",
        'INSERT INTO "Odd ""Schema"."a.b" VALUES (1, $$x$$)',
        "CREATE VIEW v AS SELECT 1 AS one",
        "CREATE MATERIALIZED VIEW mv AS SELECT 1 AS one",
        "CREATE UNLOGGED TABLE fast (i int)",
    )

    found = summaries(fresh_database, "CREATE TEMPORARY TABLE gone (i int)")

    assert sorted(found) == ['Odd "Schema.a.b', "public.fast"]
    assert found['Odd "Schema.a.b'].row_count == 1


def test_large_objects_are_summed_up_page_by_page(fresh_database: PostgresEndpoint) -> None:
    run(
        fresh_database,
        "SELECT lo_from_bytea(4242, convert_to(repeat('x', 200000), 'UTF8'))",
        "SELECT lo_from_bytea(4243, '')",
    )
    before = summaries(fresh_database)[LARGE_OBJECTS]

    run(fresh_database, "SELECT lo_put(4242, 150000, 'y')")
    after = summaries(fresh_database)[LARGE_OBJECTS]

    assert (before.row_count, after.row_count) == (2, 2)
    assert before.checksum != after.checksum


def test_every_row_comes_from_the_snapshots_moment(fresh_database: PostgresEndpoint) -> None:
    run(fresh_database, "CREATE TABLE t AS SELECT generate_series(1, 10) AS i")
    before = summaries(fresh_database)

    with connect_as_ops(fresh_database) as session, connect_as_ops(fresh_database) as sharing:
        in_snapshot(session)
        snapshot = session.execute("SELECT pg_export_snapshot()").fetchone()[0]
        run(fresh_database, "DELETE FROM t")
        in_snapshot(sharing, snapshot)
        shared = table_summaries(sharing)

    assert {summary.name: summary for summary in shared} == before


def test_a_role_that_may_not_read_a_table_is_refused(fresh_database: PostgresEndpoint) -> None:
    role = f"{fresh_database.database}_reader"
    run(
        fresh_database,
        "CREATE TABLE hidden (i int)",
        f"CREATE ROLE {role} LOGIN PASSWORD 'reader'",
    )
    try:
        with pytest.raises(DatabaseRefused, match="reading the tables") as caught:
            summaries(as_role(fresh_database, role))
        assert "hidden" in caught.value.cause
    finally:
        run(fresh_database, f"DROP ROLE {role}")


def test_rows_that_row_security_hides_are_an_error_and_not_left_out(fresh_database: PostgresEndpoint) -> None:
    role = f"{fresh_database.database}_limited"
    run(
        fresh_database,
        "CREATE TABLE t AS SELECT generate_series(1, 10) AS i",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        f"CREATE ROLE {role} LOGIN PASSWORD 'reader'",
        f"GRANT SELECT ON t TO {role}",
        f"CREATE POLICY half ON t TO {role} USING (i < 5)",
    )
    try:
        with pytest.raises(DatabaseRefused) as caught:
            summaries(as_role(fresh_database, role))
        assert "row-level security" in caught.value.cause
    finally:
        run(fresh_database, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def as_role(endpoint: PostgresEndpoint, role: str) -> PostgresEndpoint:
    from ops.model.secret import Secret

    return replace(endpoint, user=role, password=Secret("reader"))
