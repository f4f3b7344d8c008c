"""Is each row that only PostgreSQL itself can refuse found before anything is written, with its row?"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from ops.actions.transfer import TransferRequest, planned_transfer, transfer
from ops.adapters.transfer import judge
from ops.adapters.transfer.bridge import SqlitePostgresBridge
from ops.errors import BadSourceData, DeadlinePassed
from ops.model.transfer.schema import pair_up
from tests.adapters.transfer.one_table import examined, written
from tests.adapters.transfer.running import planned, tools_for
from tests.alembic_project import READS_ENVIRONMENT, AlembicProject
from tests.conftest import connect
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres


@pytest.fixture
def bridge(tmp_path, fresh_database):
    return SqlitePostgresBridge(fresh_database, tmp_path / "work", RecordingReporter(), part_rows=3)


def on(endpoint, *statements):
    with connect(endpoint) as session:
        for statement in statements:
            session.execute(statement)


DOMAINS = (
    "CREATE DOMAIN positive AS integer CHECK (VALUE > 0) CHECK (VALUE <> 7)",
    "CREATE DOMAIN small AS positive CHECK (VALUE < 10)",
    "CREATE DOMAIN code AS varchar(3) COLLATE \"C\" CHECK (VALUE ~ '^[a-z]+$')",
)


@pytest.mark.parametrize(
    ("columns", "values", "refused"),
    [
        (["integer CHECK (v0 BETWEEN 1 AND 5)"], [[1], [0], [None], [6]], {1, 3}),
        (["text CHECK (v0 ~ '^[a-z]+$')"], [["ab"], ["a\tb"], ["\x1f"], ["ü"]], {1, 2, 3}),
        (["integer", "integer CHECK (v0 / v1 > 1)"], [[9, 3], [1, 0], [1, 1], [None, 0]], {1, 2}),
        (["timestamptz", "timestamptz CHECK (v1 >= v0)"],
         [["2024-01-01", "2024-01-01T00:00+01:00"], ["2024-01-01 00:00:00", "2024-01-02"]], {0}),
        (["boolean", "numeric(5,2) CHECK (v0 = (v1 > 1.5))"], [[1, 1.5], [0, 1.5], [1, "1.51"]], {0}),
        (["integer", "integer GENERATED ALWAYS AS (v0 * 2) STORED CHECK (v1 < 10)"], [[4], [5]], {1}),
        (["positive"], [[1], [0], [7], [None]], {1, 2}),
        (["small"], [[9], [10], [0]], {1, 2}),
        (["code"], [["ab"], ["AB"], ["abcd"]], {1, 2}),
        (["jsonb CHECK (v0 ? 'a')"], [['{"a": 1}'], ["[]"], [None]], {1}),
        (["uuid CHECK (v0 > '1')".replace("'1'", "'10000000-0000-0000-0000-000000000000'")],
         [["0" * 32], ["F0000000-0000-0000-0000-000000000000"]], {0}),
        (["integer CONSTRAINT late CHECK (v0 > 0) NOT VALID".replace(" NOT VALID", "")], [[0], [1]], {0}),
        (["mood CHECK (v0 <> 'c')"], [["c"], ["a b"]], {0}),
        (["bytea CHECK (length(v0) = 2)"], [[b"\\x"], [b"\0"], [b"ab"]], {1}),
        (["interval CHECK (v0 < '1 day')"], [["1970-01-01 10:00:00"], ["1970-01-02 00:00:00"]], {1}),
        (["integer CHECK (v0 > 0)", "integer"], [["x", 1], [0, 1], [0, "x"], [5, None]], {0, 1, 2}),
        # Types that SQLite cannot judge.
        (["name"], [["a" * 63], ["a" * 64], ["ü" * 32]], {1, 2}),
        (['"char"'], [["a"], ["ab"], ["ü"], ["\\"]], {1, 2}),
        (["interval year to month"], [["1970-01-01 00:00:00"], ["1970-01-02 00:00:00"]], {1}),
        (["interval day to hour"], [["1970-01-01 05:00:00"], ["1970-01-01 05:30:00"]], {1}),
        (["interval minute to second(1)"], [["1970-01-01 05:00:00.1"], ["1970-01-01 05:00:00.15"]], {1}),
        (["inet"], [["1.2.3.4"], ["1.2.3.4/32"], ["fe80::1"], ["FE80::1"], ["1.2.3.400"]], {1, 3, 4}),
        (["bit(3)", "bit varying(3)"], [["101", "1"], ["10", ""], ["1010", "1"], ["111", "1111"]], {1, 2, 3}),
        (["int4range CHECK (NOT isempty(v0))"], [["[1,3)"], ["[1,2]"], ["empty"], ["3"]], {1, 2, 3}),
        (["point"], [["(1,2)"], ["1,2"], ["x"]], {1, 2}),
        (["numeric(3,1)[]"], [["{1.5,2.0}"], ["{1.55}"], ["{1"]], {1, 2}),
        # Uniques with an idea of their own of what is equal.
        (["char(4) UNIQUE"], [["a"], ["a  "], ["b"], [None], [None]], {0, 1}),
        (["numeric UNIQUE"], [["1.0"], ["1"], ["1.5"]], {0, 1}),
        (["jsonb UNIQUE"], [['{"a":1,"b":2}'], ['{"b": 2.0, "a": 1}'], ["1"]], {0, 1}),
        (["bigint[] UNIQUE"], [["[1,2]"], ["[1, 2]"], ["[2]"]], {0, 1}),
        (["integer", "char(3), UNIQUE (v0, v1)"], [[1, "a"], [2, "a"], [1, "a "], [None, "a"], [None, "a"]], {0, 2}),
    ],
)  # fmt: skip
def test_a_row_that_the_target_would_refuse_is_named(  # noqa: PLR0917 - parameters and fixtures
    columns, values, refused, bridge, fresh_database, tmp_path
):
    named = ", ".join(f"v{at} {kind}" for at, kind in enumerate(columns))
    on(
        fresh_database, *DOMAINS, "CREATE TYPE mood AS ENUM ('a b', 'c')",
        f"CREATE TABLE t (id bigint PRIMARY KEY, {named})",
    )  # fmt: skip
    file = written(tmp_path, "UTF-8", [("", "")] * len(values[0]), enumerate(values))

    found = examined(bridge, fresh_database.database, file)

    assert {fault.row_id for fault in found.faults} == refused
    assert sum(one.count for one in found.counts) == len(found.faults)
    assert found.warnings == ()
    with closing(sqlite3.connect(file)) as session, session:
        session.executemany("DELETE FROM t WHERE id = ?", [[row_id] for row_id in refused])
    assert examined(bridge, fresh_database.database, file, is_loaded=True).counts == ()
    with connect(fresh_database) as session:
        assert session.execute("SELECT count(*) FROM t").fetchone() == (len(values) - len(refused),)


@pytest.mark.parametrize(
    ("index", "values", "refused"),
    [
        ("t (lower(v0))", ["a", "A", "b"], {0, 1}),
        ("t (v0) WHERE v0 <> 'gone'", ["gone", "gone", "a", "a"], {2, 3}),
        ("t (v0) NULLS NOT DISTINCT", [None, None, "a"], {0, 1}),
        ("t (v0) INCLUDE (id)", ["a", "a", "b"], {0, 1}),
    ],
)
def test_rows_that_a_unique_index_would_refuse_are_named(  # noqa: PLR0917 - parameters and fixtures
    index, values, refused, bridge, fresh_database, tmp_path
):
    on(
        fresh_database, "CREATE TABLE t (id bigint PRIMARY KEY, v0 text)",
        f"CREATE UNIQUE INDEX u ON {index}",
    )  # fmt: skip
    file = written(tmp_path, "UTF-8", [("", "")], enumerate([one] for one in values))

    found = examined(bridge, fresh_database.database, file)

    assert {fault.row_id for fault in found.faults} == refused
    assert {fault.column for fault in found.faults} == {"v0"}


def test_a_check_is_told_with_its_name_and_the_server_s_words(bridge, fresh_database, tmp_path):
    on(
        fresh_database,
        "CREATE TABLE t (id bigint PRIMARY KEY, v0 integer CONSTRAINT is_right CHECK (10 / v0 > 1), v1 inet)",
    )
    file = written(tmp_path, "UTF-8", [("", ""), ("", "")], [(4, [20, None]), (5, [0, None]), (6, [5, "1.2.3"])])

    found = examined(bridge, fresh_database.database, file)

    assert [str(fault) for fault in found.faults] == [
        't.v1 row 6 is no inet: invalid input syntax for type inet: "1.2.3"',
        "t.v0 row 4 breaks the check is_right: ((10 / v0) > 1)",
        "t.v0 row 5 breaks the check is_right: division by zero",
    ]


def test_a_column_that_is_named_as_a_variable_of_plpgsql_is_read_as_a_column(bridge, fresh_database, tmp_path):
    on(
        fresh_database,
        "CREATE TABLE t (id bigint PRIMARY KEY, found integer, one integer, CHECK (one / found > 0))",
    )
    file = written(tmp_path, "UTF-8", [("", ""), ("", "")], [(1, [3, 9]), (2, [0, 9])])
    with closing(sqlite3.connect(file)) as session:
        session.execute("ALTER TABLE t RENAME v0 TO found")
        session.execute("ALTER TABLE t RENAME v1 TO one")

    found = examined(bridge, fresh_database.database, file)

    assert [str(fault).partition(" is ")[0] for fault in found.faults] == [
        "t.found, one row 2 breaks the check t_check: division by zero"
    ]


def test_thousands_of_bad_rows_are_counted_and_twenty_are_named(bridge, fresh_database, tmp_path):
    on(fresh_database, "CREATE TABLE t (id bigint PRIMARY KEY, v0 integer CHECK (v0 % 3 > 0), v1 inet)")
    file = written(tmp_path, "UTF-8", [("", ""), ("", "")], ((n, [n, "x" * (n % 2)]) for n in range(3000)))

    found = examined(bridge, fresh_database.database, file)

    assert [(one.column, one.count) for one in found.counts] == [("v1", 3000)]
    assert len(found.faults) == 20


def test_a_check_that_cannot_be_asked_about_single_rows_is_a_warning(bridge, fresh_database, tmp_path):
    on(
        fresh_database,
        "CREATE TABLE t (id bigint PRIMARY KEY, v0 integer)",
        "CREATE FUNCTION taken(t) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1.v0 > 0'",
        "ALTER TABLE t ADD CONSTRAINT whole CHECK (taken(t.*))",
    )
    file = written(tmp_path, "UTF-8", [("", "")], [(1, [5])])

    found = examined(bridge, fresh_database.database, file, is_loaded=True)

    assert found.counts == ()
    assert [one.split(":")[0] for one in found.warnings] == ["whole of t cannot be judged before the load"]


def test_a_database_without_plpgsql_judges_what_needs_none(bridge, fresh_database, tmp_path):
    on(
        fresh_database, "DROP EXTENSION plpgsql",
        "CREATE TABLE t (id bigint PRIMARY KEY, v0 integer CONSTRAINT a CHECK (10 / v0 > 1), v1 inet,"
        " CONSTRAINT b CHECK (v0 < 9))",
    )  # fmt: skip
    file = written(tmp_path, "UTF-8", [("", ""), ("", "")], [(1, [0, None]), (2, [9, "1.2.3"])])

    found = examined(bridge, fresh_database.database, file)

    assert [fault.row_id for fault in found.faults] == [2]
    assert [one.partition(" cannot ")[0] for one in found.warnings] == ["inet of t", "a of t"]


FORBIDDEN = """
CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no changes in here'; END $$
"""
READ_ONLY = """
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$
"""


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ([FORBIDDEN, "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION forbid()"], "no changes in here"),
        ([READ_ONLY], "cannot execute CREATE TABLE AS in a read-only transaction"),
    ],
)
def test_rows_that_a_database_lets_nobody_judge_are_a_warning(statements, said, bridge, fresh_database, tmp_path):
    columns = "(id bigint PRIMARY KEY, v0 integer CHECK (v0 > 0))"
    on(fresh_database, f"CREATE TABLE t {columns}", f"CREATE TABLE u {columns}", *statements)
    file = written(tmp_path, "UTF-8", [("", "")], [(1, [0]), (2, ["x"])])
    with closing(sqlite3.connect(file)) as session:
        session.execute("CREATE TABLE u AS SELECT * FROM t")
        session.commit()

    found = examined(bridge, fresh_database.database, file)

    assert [(one.table, one.count) for one in found.counts] == [("t", 1), ("u", 1)]
    assert found.warnings == tuple(f"{name} cannot be judged before the load: {said}" for name in ("t", "u"))


def test_tables_with_nothing_to_judge_are_not_asked_about(bridge, fresh_database, tmp_path):
    on(
        fresh_database, "CREATE TABLE t (id bigint PRIMARY KEY, v0 text UNIQUE, v1 timestamptz, v2 numeric)",
        "CREATE UNIQUE INDEX two ON t (v0, v1)",
    )  # fmt: skip
    written(tmp_path, "UTF-8", [("", "")] * 3, [])

    (table,) = bridge.target_tables(fresh_database.database)

    assert table.judgements == ()


HISTORY = """
op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("stars", sa.Integer))
if op.get_bind().dialect.name == "postgresql":
    op.create_check_constraint("ck_stars", "t", "stars BETWEEN 1 AND 5")
"""


@pytest.mark.parametrize("is_live_there", [False, True])
def test_a_check_of_the_target_only_is_in_the_whole_report_and_nothing_is_written(
    is_live_there, tmp_path, fresh_database
):
    project = AlembicProject(tmp_path / "project", env=READS_ENVIRONMENT)
    project.revision("one", up=HISTORY)
    tools, file = tools_for(project.folder, fresh_database, tmp_path / "state"), tmp_path / "source.db"
    tools.migrator_of(file).upgrade("one", lock_timeout_s=5, statement_timeout_s=60)
    if is_live_there:
        tools.migrator.upgrade("one", lock_timeout_s=5, statement_timeout_s=60)
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("INSERT INTO t VALUES (1, 5), (2, 6), (3, 'x'), (4, NULL), (5, 0)")

    plan = planned(tools, file, is_dry=True)

    assert [(one.column, one.row_id) for one in plan.faults] == [("stars", 3), ("stars", 2), ("stars", 5)]
    assert isinstance(plan.forbidden, BadSourceData)
    assert {copy.role for copy in tools.database.copies()} == set()
    with planned_transfer(TransferRequest(file), tools) as again, pytest.raises(BadSourceData):
        transfer(again, tools)


def test_a_table_that_somebody_holds_is_waited_for_a_while_and_the_holder_is_named(
    bridge, fresh_database, tmp_path, monkeypatch
):
    monkeypatch.setattr(judge, "LOCK_WAIT_S", 0.3)
    on(fresh_database, "CREATE TABLE t (id integer PRIMARY KEY, v0 integer CHECK (v0 > 0))")
    file = written(tmp_path, "UTF-8", [("v0", "INTEGER")], [(1, [1])])
    pairs, _ = pair_up(bridge.source_tables(file), bridge.target_tables(fresh_database.database))
    found = bridge.examine(file, pairs, (), is_kept=False)

    with connect(fresh_database) as holder, holder.transaction():
        holder.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        pid = holder.info.backend_pid
        with pytest.raises(DeadlinePassed, match="judging rows of t") as failure:
            bridge.judge(file, fresh_database.database, pairs, found)

    assert f"pid {pid} " in (failure.value.cause or "")
    assert bridge.judge(file, fresh_database.database, pairs, found).faults == ()
