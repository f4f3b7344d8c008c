"""Do single tables of a backup come into a schema beside the live ones, whole, and with nothing else changed?"""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.actions.restore import RestoreRequest
from ops.actions.restore_tables import plan_tables, restore_tables
from ops.errors import BackupNotFound, DataDiffers, LoadFailed, OpsError, RestoreRefused
from ops.model.endpoint import PostgresEndpoint
from ops.model.tables_plan import TablesPlan, TablesReport
from tests.adapters.postgres.restoring import Stack, make_stack

pytestmark = pytest.mark.postgres

SCHEMA = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE SCHEMA audit;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$;
CREATE FUNCTION whisper() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE "Odd Threads" (
    id serial PRIMARY KEY, owner int REFERENCES users, name text COLLATE "C" DEFAULT 'none' CHECK (name <> ''),
    moods mood[], twice int GENERATED ALWAYS AS (owner * 2) STORED, at timestamptz DEFAULT now()
);
CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, what bytea) PARTITION BY RANGE (id);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (1) TO (100);
CREATE TABLE parts (id int PRIMARY KEY, owner int REFERENCES users) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (100);
CREATE TABLE points (id int REFERENCES parts);
CREATE TABLE audit.users (id int);
CREATE TABLE nothing ();
INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 100) n;
INSERT INTO "Odd Threads" (owner, name, moods)
    SELECT n, E'tab\\t, line\\n and \\\\ ' || n, ARRAY['sad', NULL]::mood[] FROM generate_series(1, 100) n;
INSERT INTO events (what) SELECT decode('00ff', 'hex') FROM generate_series(1, 50);
INSERT INTO parts VALUES (1, 1);
INSERT INTO points VALUES (1);
CREATE TRIGGER quiet AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION whisper();
CREATE INDEX odd_names ON "Odd Threads" (lower(name));
CREATE TRIGGER loud BEFORE INSERT ON "Odd Threads" FOR EACH ROW EXECUTE FUNCTION shout();
CREATE RULE no_more AS ON DELETE TO users DO INSTEAD NOTHING;
CREATE VIEW glad AS SELECT * FROM "Odd Threads" WHERE 'glad' = ANY (moods)
"""


@pytest.fixture
def stack(fresh_database: PostgresEndpoint, tmp_path: Path) -> Stack:
    made = make_stack(fresh_database, tmp_path)
    made.run(SCHEMA)
    return made


def planned(stack: Stack, *names: str, **request: object) -> TablesPlan:
    return plan_tables(names, RestoreRequest(**(request or {"is_latest": True})), stack.tools)  # type: ignore[arg-type]


def load(stack: Stack, *names: str) -> TablesReport:
    return restore_tables(planned(stack, *names), stack.tools)


def schemas(stack: Stack) -> list[str]:
    rows = stack.run("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1")
    return [row[0] for row in rows]


def test_tables_come_into_a_schema_beside_and_the_live_ones_stay_as_they_are(stack: Stack) -> None:
    taken = stack.backup()
    stack.run('DELETE FROM "Odd Threads" WHERE id > 10', "UPDATE users SET name = 'overwritten'")
    before = stack.database.tables()

    done = load(stack, "public.Odd Threads", "public.users", "public.events_1", "public.nothing")

    after = {table.name: table for table in stack.database.tables()}
    held = {table.name: table for table in taken.tables}
    assert done.schema == f"restored_{taken.id.lower()}"
    assert done.rows == 250
    assert {table for name, table in after.items() if not name.startswith(done.schema)} == set(before)
    for name in ("Odd Threads", "users", "events_1", "nothing"):
        loaded, wanted = after[f"{done.schema}.{name}"], held[f"public.{name}"]
        assert (loaded.row_count, loaded.checksum) == (wanted.row_count, wanted.checksum)
    assert stack.databases() == [stack.endpoint.database]


def test_structure_comes_along_but_foreign_keys_triggers_rules_and_parents_do_not(stack: Stack) -> None:
    stack.backup()

    schema = load(stack, "public.Odd Threads", "public.users", "public.parts_1", "public.points").schema

    found = {
        kind: [row[0] for row in stack.run(query.replace("SCHEMA", f"'{schema}'::regnamespace"))]
        for kind, query in {
            "constraints": "SELECT contype::text FROM pg_constraint WHERE connamespace = SCHEMA AND contype <> 'n' "
            "ORDER BY 1",
            "indexes": "SELECT relname FROM pg_class WHERE relnamespace = SCHEMA AND relkind = 'i' ORDER BY 1",
            "triggers": "SELECT tgname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = SCHEMA",
            "rules": "SELECT rulename FROM pg_rewrite JOIN pg_class c ON c.oid = ev_class WHERE relnamespace = SCHEMA",
            "parents": "SELECT inhparent FROM pg_inherits i JOIN pg_class c ON c.oid = inhrelid "
            "WHERE relnamespace = SCHEMA AND relkind = 'r'",
        }.items()
    }
    assert found == {
        "constraints": ["c", "p", "p", "p"],
        "indexes": ["Odd Threads_pkey", "odd_names", "parts_1_pkey", "users_pkey"],
        "triggers": [], "rules": [], "parents": [],
    }  # fmt: skip
    made = stack.run(f'INSERT INTO {schema}."Odd Threads" (owner) VALUES (7) RETURNING id, name, twice')
    assert made == [(101, "none", 14)]
    live = stack.run("""SELECT last_value FROM "Odd Threads_id_seq" """)
    assert live == [(100,)], "the new table counts with a sequence of its own"


def test_all_of_it_belongs_to_the_live_databases_owner(stack: Stack, fresh_database: PostgresEndpoint) -> None:
    owner = f"owner_{fresh_database.database}"
    stack.run(f"CREATE ROLE {owner}", f"ALTER DATABASE {fresh_database.database} OWNER TO {owner}")
    try:
        stack.run(
            "CREATE SCHEMA closed", "CREATE TYPE closed.kind AS ENUM ('a')", "CREATE TABLE kinds (kind closed.kind)"
        )
        stack.backup()
        schema = load(stack, "public.Odd Threads", "public.kinds").schema
        found = stack.run(
            f"SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = '{schema}'::regnamespace "
            f"UNION ALL SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = '{schema}'"
        )
        assert found == [(owner,), (owner,)]
    finally:
        stack.run(
            f"ALTER DATABASE {fresh_database.database} OWNER TO CURRENT_USER", f"DROP OWNED BY {owner} CASCADE",
            f"DROP ROLE {owner}",
        )  # fmt: skip


def test_a_table_that_the_backup_has_not_is_refused_by_name_with_the_one_that_may_be_meant(stack: Stack) -> None:
    stack.backup()

    with pytest.raises(RestoreRefused, match=r"has no table users, public\.later") as refused:
        planned(stack, "users", "public.later")

    assert "public.events_1" in str(refused.value.cause)
    assert "--table audit.users,public.users" in str(refused.value.hint)


def test_two_tables_of_one_name_do_not_fit_into_one_schema(stack: Stack) -> None:
    stack.backup()

    with pytest.raises(RestoreRefused, match="users is asked for from two schemas"):
        planned(stack, "public.users", "audit.users")


def test_a_second_time_is_refused_for_the_schema_is_there(stack: Stack) -> None:
    taken = stack.backup()
    load(stack, "public.users")
    before = stack.database.tables()

    with pytest.raises(RestoreRefused) as refused:
        load(stack, "public.users")
    with pytest.raises(RestoreRefused) as refused_from_afar:
        planned(stack, "public.users", "public.Odd Threads").refuse(["--from", "s3"])

    assert "is there already" in str(refused.value.cause)
    assert refused.value.hint == f"inv restore --file {taken.id} --table public.users --dry-run, for the whole plan"
    hint = f"inv restore --from s3 --file {taken.id} --table 'public.users,public.Odd Threads' --dry-run"
    assert refused_from_afar.value.hint == f"{hint}, for the whole plan"
    assert stack.database.tables() == before


def test_a_foreign_file_another_database_and_a_publication_of_all_tables_are_refused(
    stack: Stack, tmp_path: Path
) -> None:
    stack.backup()
    (tmp_path / "theirs.sql").write_text("SELECT 1;\n")

    with pytest.raises(RestoreRefused, match="not one of our backups"):
        planned(stack, "public.users", file=str(tmp_path / "theirs.sql"))
    with pytest.raises(BackupNotFound, match="there is no file"):
        planned(stack, "public.users", file=str(tmp_path / "mistyped.dump"))
    with pytest.raises(RestoreRefused, match="--as beside it"):
        planned(stack, "public.users", is_latest=True, as_name="look")
    stack.run("CREATE PUBLICATION everything FOR ALL TABLES")
    assert any("publication everything" in one for one in planned(stack, "public.users").restore.refusals)


def test_a_plan_changes_nothing(stack: Stack) -> None:
    stack.backup()
    before = schemas(stack)

    plan = planned(stack, "public.users")

    assert [table.row_count for table in plan.tables] == [100]
    assert not plan.restore.refusals
    assert schemas(stack) == before
    assert stack.tools.journal.changes() == ()


def test_the_journal_says_what_was_done_and_a_rollback_does_not_take_it_for_a_change_to_undo(stack: Stack) -> None:
    from ops.model.rollback_plan import last_change

    stack.backup()

    done = load(stack, "public.users")

    started, finished = stack.tools.journal.changes()
    assert (started.state, finished.state, finished.id) == ("started", "finished", done.change_id)
    assert finished.details["target"] == done.schema
    assert last_change(stack.tools.journal.changes(), (), (), stack.endpoint.database) is None


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ('DROP TABLE "Odd Threads" CASCADE; DROP TYPE mood', LoadFailed),
        ("DROP TABLE \"Odd Threads\" CASCADE; DROP TYPE mood; CREATE TYPE mood AS ENUM ('other')", LoadFailed),
        ('DROP TABLE "Odd Threads" CASCADE; DROP TYPE mood; CREATE DOMAIN mood AS char(9)', DataDiffers),
    ],
    ids=["a type is gone", "a type lacks a value", "a type means something else"],
)
def test_what_does_not_fit_the_live_database_any_more_leaves_nothing_there(
    stack: Stack, damage: str, error: type[OpsError]
) -> None:
    stack.backup()
    stack.run(damage)
    before = (schemas(stack), stack.database.tables())

    with pytest.raises(error):
        load(stack, "public.users", "public.Odd Threads")

    assert (schemas(stack), stack.database.tables()) == before
    assert stack.databases() == [stack.endpoint.database]
    assert stack.tools.journal.changes()[-1].state == "failed"
