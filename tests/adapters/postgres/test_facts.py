"""Is everything that surrounds the rows read, and no password?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ops.adapters.postgres.connect import connect as connect_as_ops
from ops.adapters.postgres.facts import read_facts, read_revisions
from ops.errors import DatabaseRefused, EngineUnreachable
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from tests.conftest import connect, free_port

pytestmark = pytest.mark.postgres


def test_the_facts_name_what_pg_dump_leaves_out(fresh_database: PostgresEndpoint) -> None:
    name = fresh_database.database
    reader, outsider = f"{name}_reader", f"{name}_outsider"
    with connect(fresh_database) as session:
        session.execute(f"CREATE ROLE {reader} NOINHERIT CREATEDB PASSWORD 'canary'")
        session.execute(f"CREATE ROLE {outsider}")
        try:
            session.execute(f"ALTER DATABASE {name} SET timezone = 'Europe/Berlin'")
            session.execute(f"ALTER ROLE {reader} IN DATABASE {name} SET search_path = one, two")
            session.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 17")
            session.execute(f"GRANT CREATE ON DATABASE {name} TO {reader}")

            facts = read_facts(session)
        finally:
            session.execute(f"DROP OWNED BY {reader}")
            session.execute(f"DROP ROLE {reader}, {outsider}")

    assert (facts.kind, facts.name, facts.owner) == ("postgresql", name, "tester")
    assert (facts.encoding, facts.locale_provider, facts.locale) == ("UTF8", "builtin", "C.UTF-8")
    assert facts.server_version.startswith(f"{facts.server_major}.")
    assert facts.system_identifier.isdecimal()
    assert facts.size_bytes > 1_000_000
    assert facts.connection_limit == 17
    assert "plpgsql" in facts.extensions
    assert facts.settings == (("", "TimeZone", "Europe/Berlin"), (reader, "search_path", "one, two"))
    assert any(reader in grant for grant in facts.grants)
    roles = {role.name: role.attributes for role in facts.roles}
    assert roles[reader] == ("CREATEDB", "NOINHERIT")
    assert "SUPERUSER" in roles["tester"]
    assert outsider not in roles
    assert "canary" not in repr(facts)


def test_revisions_are_read_from_alembics_table_where_there_is_one(fresh_database: PostgresEndpoint) -> None:
    with connect(fresh_database) as session:
        none = read_revisions(session)
        session.execute("CREATE SCHEMA elsewhere")
        session.execute("CREATE TABLE elsewhere.alembic_version (version_num varchar(32))")
        session.execute("INSERT INTO elsewhere.alembic_version VALUES ('0002'), ('0001')")
        elsewhere = read_revisions(session)
        session.execute("CREATE TABLE alembic_version (version_num varchar(32))")
        session.execute("INSERT INTO alembic_version VALUES ('0007')")
        public = read_revisions(session)

    assert (none, elsewhere, public) == ((), ("0001", "0002"), ("0007",))


def test_a_wrong_password_is_a_refusal_that_does_not_name_it(postgres_server: PostgresEndpoint) -> None:
    with pytest.raises(DatabaseRefused) as caught:
        connect_as_ops(replace(postgres_server, password=Secret("canary")))

    assert "canary" not in f"{caught.value} {caught.value.cause} {caught.value.hint}"
    assert caught.value.exit_code == 17


def test_a_missing_database_is_a_refusal(postgres_server: PostgresEndpoint) -> None:
    with pytest.raises(DatabaseRefused, match="no_such_database"):
        connect_as_ops(postgres_server, database="no_such_database")


def test_a_server_that_does_not_answer_is_unreachable(postgres_server: PostgresEndpoint) -> None:
    with pytest.raises(EngineUnreachable):
        connect_as_ops(replace(postgres_server, port=free_port()))
