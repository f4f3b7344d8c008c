"""Does the built-in lint find what destroys data or locks a table, and nothing in what is new?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.model.sql_lint import lint, touched_tables
from ops.model.sql_statements import split


def rules(sql: str) -> list[str]:
    return [f"{'!' if finding.is_destructive else ''}{finding.rule}" for finding in lint(sql)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("DROP TABLE users", ["!ban-drop-table"]),
        ("DROP TABLE IF EXISTS public.users, events CASCADE", ["!ban-drop-table", "!ban-drop-table"]),
        ("DROP SCHEMA old CASCADE", ["!ban-drop-schema"]),
        ("ALTER TABLE users DROP COLUMN name", ["!ban-drop-column"]),
        ("ALTER TABLE ONLY users DROP name, DROP COLUMN IF EXISTS age", ["!ban-drop-column", "!ban-drop-column"]),
        ("ALTER TABLE users DROP CONSTRAINT uq_name", []),
        ("ALTER TABLE users RENAME TO people", ["renaming-table"]),
        ("ALTER TABLE users RENAME COLUMN name TO title", ["renaming-column"]),
        ("ALTER TABLE users RENAME name TO title", ["renaming-column"]),
        ("ALTER TABLE users SET SCHEMA archive", ["renaming-table"]),
        ("ALTER TABLE users ALTER COLUMN age TYPE SMALLINT", ["!changing-column-type"]),
        ("ALTER TABLE users ALTER age SET DATA TYPE bigint", ["changing-column-type"]),
        ("ALTER TABLE users ALTER name TYPE text USING upper(name)", ["!changing-column-type"]),
        ("ALTER TABLE users ALTER name TYPE varchar(10)", ["!changing-column-type"]),
        ("ALTER TABLE users ALTER COLUMN name SET NOT NULL", ["adding-not-nullable-field"]),
        ("ALTER TABLE users ALTER COLUMN name DROP NOT NULL", []),
        ("ALTER TABLE users ADD COLUMN age INTEGER NOT NULL", ["adding-required-field"]),
        ("ALTER TABLE users ADD age INTEGER DEFAULT 3 NOT NULL", []),
        ("ALTER TABLE users ADD COLUMN id2 SERIAL NOT NULL", ["adding-field-with-default"]),
        ("ALTER TABLE users ADD COLUMN u uuid DEFAULT gen_random_uuid()", ["adding-field-with-default"]),
        ("ALTER TABLE users ADD COLUMN at timestamptz DEFAULT now()", []),
        ("ALTER TABLE users ADD COLUMN data json", ["json-type"]),
        ("ALTER TABLE users ADD COLUMN t_id int REFERENCES t (id)", ["adding-foreign-key-constraint"]),
        ("ALTER TABLE users ADD COLUMN code text UNIQUE", ["disallowed-unique-constraint"]),
        ("ALTER TABLE users ADD CONSTRAINT fk FOREIGN KEY(a) REFERENCES t (id)", ["adding-foreign-key-constraint"]),
        ("ALTER TABLE users ADD CONSTRAINT fk FOREIGN KEY(a) REFERENCES t (id) NOT VALID", []),
        ("ALTER TABLE users ADD CONSTRAINT ck CHECK (age > 0)", ["constraint-missing-not-valid"]),
        ("ALTER TABLE users ADD CHECK (age > 0) NOT VALID", []),
        ("ALTER TABLE users ADD CONSTRAINT uq UNIQUE (name)", ["disallowed-unique-constraint"]),
        ("ALTER TABLE users ADD CONSTRAINT uq UNIQUE USING INDEX ix", []),
        ("ALTER TABLE users VALIDATE CONSTRAINT ck", []),
        ("CREATE INDEX ix ON users (name)", ["require-concurrent-index-creation"]),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix ON users (name)", []),
        ("BEGIN; CREATE INDEX CONCURRENTLY ix ON users (name)", ["ban-concurrent-index-creation-in-transaction"]),
        ("BEGIN; COMMIT; CREATE INDEX CONCURRENTLY ix ON users (name)", []),
        ("DROP INDEX ix", ["require-concurrent-index-deletion"]),
        ("TRUNCATE users", ["!truncate"]),
        ("TRUNCATE TABLE users, events CASCADE", ["!ban-truncate-cascade", "!ban-truncate-cascade"]),
        ("DELETE FROM users WHERE id = 1", ["!delete-rows"]),
        ("UPDATE users SET name = 'x', age = 3", ["!update-rows", "!update-rows"]),
        ("UPDATE users AS u SET (a, b) = (1, 2)", ["!update-rows", "!update-rows"]),
        ("INSERT INTO users VALUES (1)", []),
        ("INSERT INTO users VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'x'", ["!update-rows"]),
        ("ALTER TYPE mood ADD VALUE 'ok'", ["require-enum-value-ordering"]),
        ("BEGIN; ALTER TYPE mood ADD VALUE 'ok' AFTER 'sad'", ["enum-value-in-transaction"]),
        ("ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'", ["renaming-enum-value"]),
        ("DO $$ BEGIN DELETE FROM users; END $$", ["!opaque-statement"]),
        ("CREATE VIEW v AS SELECT 1; COMMENT ON TABLE users IS 'DROP TABLE users'", []),
        ("VACUUM FULL users; REINDEX TABLE users", ["table-rewrite", "reindex"]),
    ],
)
def test_each_statement_gets_its_findings(sql, expected):
    assert rules(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (id int); CREATE INDEX ix ON t (id); ALTER TABLE t ADD CHECK (id > 0); DROP TABLE t",
        "CREATE TABLE t (id int); ALTER TABLE t RENAME TO u; UPDATE u SET id = 1",
        "ALTER TABLE users ADD COLUMN age int; UPDATE users SET age = 3; ALTER TABLE users ALTER age SET NOT NULL",
        "ALTER TABLE users ADD COLUMN age int; ALTER TABLE users DROP COLUMN age",
        "INSERT INTO alembic_version (version_num) VALUES ('a')",
        "UPDATE my_history SET version_num='b' WHERE my_history.version_num = 'a'",
        "DELETE FROM x.alembic_version WHERE alembic_version.version_num = 'a'",
        "-- DROP TABLE users\n/* DROP TABLE users; /* nested */ DROP TABLE users; */ SELECT 'DROP TABLE users'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN DROP TABLE users; END $f$",
        'COMMENT ON COLUMN "drop table users"."delete" IS \'x\'',
    ],
)
def test_what_a_step_makes_itself_comments_strings_and_bookkeeping_are_exempt(sql):
    assert lint(sql) == ()


def test_a_finding_says_where_it_is():
    (finding,) = lint('BEGIN;\n\n-- drop\nALTER TABLE "Strange Name" DROP COLUMN "a ""b"""')

    assert (finding.line, finding.table, finding.column) == (4, "Strange Name", 'a "b"')
    assert finding.message == 'column Strange Name.a "b" and its values are dropped'


def test_touched_tables_are_the_existing_ones_in_order():
    sql = """CREATE TABLE fresh (id int REFERENCES old (id)); ALTER TABLE public.b ADD x int;
    INSERT INTO fresh SELECT 1; CREATE INDEX ON a (x); UPDATE b SET x = 1;
    UPDATE alembic_version SET version_num = ''"""

    assert touched_tables(sql) == ("b", "a")


def test_a_batch_rebuild_of_sqlite_is_one_destructive_finding():
    sql = "CREATE TABLE _alembic_tmp_t (id int); INSERT INTO _alembic_tmp_t SELECT id FROM t; DROP TABLE t;"

    assert rules(sql + "ALTER TABLE _alembic_tmp_t RENAME TO t") == ["!table-rebuild"]


@pytest.mark.parametrize(
    ("sql", "texts"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        (";;  ; -- only a comment\n", []),
        ("SELECT 'a;''b'; SELECT E'\\';' ; x", ["SELECT 'a;''b'", "SELECT E'\\';'", "x"]),
        ("SELECT $$;$$, $a$ $$;$$ $a$; y", ["SELECT $$;$$, $a$ $$;$$ $a$", "y"]),
        ('SELECT ";"; z', ['SELECT ";"', "z"]),
        ("SELECT 1 /* ; /* ; */ ; */; SELECT 2", ["SELECT 1", "SELECT 2"]),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
            [
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
                "SELECT 3",
            ],
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON u BEGIN DELETE FROM u; END; SELECT 1",
            ["CREATE TRIGGER t AFTER INSERT ON u BEGIN DELETE FROM u; END", "SELECT 1"],
        ),
        ("SELECT a[1]; SELECT x::int", ["SELECT a[1]", "SELECT x::int"]),
    ],
)
def test_statements_end_where_the_server_ends_them(sql, texts):
    assert [statement.text for statement in split(sql)] == texts


@given(st.text(alphabet="aE$'\"\\;-/*\n x", max_size=40))
def test_any_text_is_read_without_failing_and_without_losing_a_word(text):
    statements = split(text)

    assert all(statement.tokens for statement in statements)
    assert all(finding.rule for finding in lint(text))
    assert all(statement.text in text for statement in statements)
