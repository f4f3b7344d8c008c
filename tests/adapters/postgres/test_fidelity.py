"""Is everything that surrounds the rows the same after a restore: owners, grants, settings, sequences, the lot?"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.model.endpoint import PostgresEndpoint
from tests.adapters.postgres.restoring import Stack, make_stack

pytestmark = pytest.mark.postgres

SCHEMA = """
CREATE SCHEMA shop AUTHORIZATION {owner};
CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN shop.positive AS int CHECK (VALUE > 0);
CREATE TABLE shop.people (
    id int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5) PRIMARY KEY,
    name text COLLATE "C" NOT NULL, mood shop.mood DEFAULT 'ok', weight shop.positive,
    shout text GENERATED ALWAYS AS (upper(name)) STORED
);
COMMENT ON COLUMN shop.people.name IS 'wie sie heißt';
CREATE TABLE shop.orders (
    id bigserial PRIMARY KEY, person int REFERENCES shop.people ON DELETE CASCADE, at timestamptz, note text
);
CREATE UNIQUE INDEX orders_note ON shop.orders (lower(note)) INCLUDE (at) WHERE note IS NOT NULL;
CREATE TABLE shop.log (at date NOT NULL, text text) PARTITION BY RANGE (at);
CREATE TABLE shop.log_2025 PARTITION OF shop.log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE shop.log_rest PARTITION OF shop.log DEFAULT;
CREATE SEQUENCE shop.loose START 7;
CREATE VIEW shop.cheerful AS SELECT name FROM shop.people WHERE mood = 'happy';
CREATE MATERIALIZED VIEW shop.totals AS SELECT person, count(*) FROM shop.orders GROUP BY person;
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.at := coalesce(NEW.at, now()); RETURN NEW; END $$;
CREATE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT n * 2; END;
CREATE TRIGGER touch BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
ALTER TABLE shop.people ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON shop.people TO {reader} USING (name = current_user);
ALTER TABLE shop.people OWNER TO {owner};
ALTER TABLE shop.log OWNER TO {owner};
GRANT USAGE ON SCHEMA shop TO {reader};
GRANT SELECT (id, name) ON shop.people TO {reader};
GRANT SELECT ON shop.orders TO {reader} WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA shop GRANT SELECT ON TABLES TO {reader};
CREATE PUBLICATION news FOR TABLE shop.orders;
CREATE STATISTICS shop.both (dependencies) ON person, note FROM shop.orders;
CREATE RULE quiet AS ON DELETE TO shop.log_rest DO INSTEAD NOTHING;
INSERT INTO shop.people (name, mood, weight) SELECT 'p' || n, 'happy', n FROM generate_series(1, 50) n;
INSERT INTO shop.orders (person, note) SELECT id, E'tab\\there\\nand \\\\ ' || id FROM shop.people;
INSERT INTO shop.log VALUES ('2025-05-05', 'x'), ('2020-01-01', E'\\u00e9');
SELECT nextval('shop.loose'), nextval('shop.loose');
REFRESH MATERIALIZED VIEW shop.totals;
SELECT lo_from_bytea(4711, '\\xdeadbeef00');
COMMENT ON LARGE OBJECT 4711 IS 'a large one';
"""

AROUND = """
ALTER DATABASE "{db}" SET timezone = 'Europe/Berlin';
ALTER DATABASE "{db}" SET search_path = shop, "$user", "od""d, name", public;
ALTER DATABASE "{db}" SET "app.key" = 'with ''quotes'' and \\ back';
ALTER ROLE {reader} IN DATABASE "{db}" SET statement_timeout = '5s';
ALTER DATABASE "{db}" CONNECTION LIMIT 42;
REVOKE ALL ON DATABASE "{db}" FROM PUBLIC;
GRANT CONNECT ON DATABASE "{db}" TO {reader} WITH GRANT OPTION;
GRANT CREATE, TEMPORARY ON DATABASE "{db}" TO {owner};
"""

FINGERPRINT = """
SELECT 'class', n.nspname || '.' || c.relname, c.relkind::text, pg_get_userbyid(c.relowner),
       array(SELECT x::text FROM unnest(c.relacl) x ORDER BY 1)::text, c.relrowsecurity::text,
       coalesce(obj_description(c.oid), ''), coalesce(pg_get_partkeydef(c.oid), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
UNION ALL
SELECT 'column', a.attrelid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
       concat(a.attacl, a.attidentity::text, a.attgenerated::text), coalesce(pg_get_expr(d.adbin, d.adrelid), ''),
       coalesce(col_description(a.attrelid, a.attnum), '')
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND n.nspname = 'shop'
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated::text, '', '', ''
FROM pg_constraint WHERE connamespace = to_regnamespace('shop')
UNION ALL SELECT 'index', schemaname, tablename, indexname, indexdef, '', '', '' FROM pg_indexes
WHERE schemaname = 'shop'
UNION ALL SELECT 'view', schemaname, viewname, viewowner, definition, '', '', '' FROM pg_views WHERE schemaname = 'shop'
UNION ALL SELECT 'matview', schemaname, matviewname, definition, ispopulated::text, '', '', '' FROM pg_matviews
UNION ALL
SELECT 'function', proname, pg_get_functiondef(oid), pg_get_userbyid(proowner), coalesce(proacl::text, ''), '', '', ''
FROM pg_proc WHERE pronamespace = to_regnamespace('shop')
UNION ALL
SELECT 'policy', tablename, policyname, roles::text, qual, cmd::text, '', '' FROM pg_policies WHERE schemaname = 'shop'
UNION ALL SELECT 'default', defaclrole::regrole::text, defaclacl::text, '', '', '', '', '' FROM pg_default_acl
UNION ALL
SELECT 'publication', p.pubname, r.prrelid::regclass::text, '', '', '', '', ''
FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid), '', '', '', '', '' FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'statistics', stxname, pg_get_statisticsobjdef(oid), '', '', '', '', '' FROM pg_statistic_ext
UNION ALL SELECT 'rule', tablename, rulename, definition, '', '', '', '' FROM pg_rules WHERE schemaname = 'shop'
UNION ALL
SELECT 'sequence', sequencename, data_type::text, start_value::text, increment_by::text, last_value::text,
       sequenceowner::text, '' FROM pg_sequences
UNION ALL
SELECT 'large object', oid::text, encode(lo_get(oid), 'hex'), pg_get_userbyid(lomowner),
       coalesce(obj_description(oid, 'pg_largeobject'), ''), '', '', '' FROM pg_largeobject_metadata
UNION ALL SELECT 'namespace', nspname, pg_get_userbyid(nspowner), coalesce(nspacl::text, ''), '', '', '', ''
FROM pg_namespace WHERE nspname IN ('shop', 'public')
UNION ALL
SELECT 'database', pg_encoding_to_char(encoding), datlocprovider::text, datcollate, datlocale, datconnlimit::text,
       pg_get_userbyid(datdba), array(SELECT x::text FROM unnest(datacl) x ORDER BY 1)::text
FROM pg_database WHERE datname = current_database()
UNION ALL
SELECT 'setting', coalesce(r.rolname, ''), s.setconfig::text, '', '', '', '', ''
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
LEFT JOIN pg_roles r ON r.oid = s.setrole
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
"""


@pytest.fixture
def roles(postgres_server: PostgresEndpoint) -> Iterator[dict[str, str]]:
    from tests.conftest import connect

    mark = secrets.token_hex(3)
    names = {"owner": f"owner_{mark}", "reader": f"reader_{mark}"}
    with connect(postgres_server) as admin:
        for name in names.values():
            admin.execute(f"CREATE ROLE {name}")
    yield names
    with connect(postgres_server) as admin:
        for name in names.values():
            admin.execute(f"DROP ROLE IF EXISTS {name}")


@pytest.fixture
def stack(roles, fresh_database: PostgresEndpoint, tmp_path: Path) -> Iterator[Stack]:
    stack = make_stack(fresh_database, tmp_path)
    stack.run(SCHEMA.format(**roles))
    stack.run(AROUND.format(**roles, db=fresh_database.database), database="postgres")
    yield stack
    for name in stack.databases():
        stack.run(f'DROP DATABASE "{name}" WITH (FORCE)', database="postgres")


def test_the_catalog_and_all_content_are_the_same_before_and_after(stack: Stack, roles) -> None:
    before, tables = stack.run(FINGERPRINT), stack.database.tables()
    stack.backup()
    stack.run("DROP SCHEMA shop CASCADE", "SELECT lo_unlink(4711)", "DROP PUBLICATION IF EXISTS news")
    live = stack.endpoint.database
    stack.run(
        f'ALTER DATABASE "{live}" RESET timezone', f'GRANT CONNECT ON DATABASE "{live}" TO PUBLIC', database="postgres"
    )
    assert stack.run(FINGERPRINT) != before

    report = stack.restore(is_latest=True)

    assert report.not_carried_over == ()
    assert stack.run(FINGERPRINT) == before
    assert stack.database.tables() == tables
    assert report.problems == ()
    assert stack.run("SELECT nextval('shop.loose')") == [(9,)]


def test_the_planner_knows_the_restored_tables(stack: Stack) -> None:
    stack.backup()

    stack.restore(is_latest=True)

    assert stack.run("SELECT reltuples FROM pg_class WHERE oid = 'shop.orders'::regclass") == [(50.0,)]


def test_roles_that_are_missing_are_made_without_login_and_reported(stack: Stack, roles) -> None:
    stack.backup()
    for name in stack.databases():
        stack.run(f'DROP DATABASE "{name}" WITH (FORCE)', database="postgres")
    stack.run(f"DROP ROLE {roles['owner']}", f"DROP ROLE {roles['reader']}", database="postgres")

    report = stack.restore(is_latest=True)

    assert set(report.roles_made) == set(roles.values())
    rights = "SELECT rolcanlogin, rolsuper, rolcreatedb FROM pg_roles WHERE rolname = ANY(ARRAY['{owner}', '{reader}'])"
    assert set(stack.run(rights.format(**roles))) == {(False, False, False)}
    assert stack.run("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'people'") == [(roles["owner"],)]
