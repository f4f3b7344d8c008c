"""Does a database by URL serve database tasks, and are services refused with what to do?"""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.adapters.url_engine import UrlEngine
from ops.errors import ConfigurationError, DatabaseRefused, EngineUnreachable, Refused
from ops.model.compose.project import Service, Stack
from ops.model.database_url import build_database_url
from ops.model.endpoint import PostgresEndpoint, SqliteEndpoint
from ops.model.secret import Secret
from ops.model.stack_plan import Step
from tests.conftest import postgres_binaries
from tests.fakes.reporter import RecordingReporter

STACK = Stack("opstest", Path("/project"), (), {"db": Service("db"), "app": Service("app")})
SQLITE = Secret("sqlite:///comic.db")


@pytest.mark.postgres
def test_a_postgresql_url_gives_its_endpoint_and_programs_of_the_servers_major(fresh_database):
    engine = UrlEngine(build_database_url(fresh_database), search_path="/nowhere")

    assert engine.database_endpoint(STACK, "db") == fresh_database
    assert engine.info().version.startswith("PostgreSQL 18.")
    tools = engine.tools(STACK, "db")
    said: list[bytes] = []
    result = tools.run(
        ["psql", "-AtX", *tools.connection_arguments(fresh_database.database), "-c", "SELECT 1"],
        password=tools.server_password(), on_stdout=said.append,
    )  # fmt: skip
    assert (result.exit_code, said) == (0, [b"1\n"])
    assert tools.version().partition(".")[0] == "18"


@pytest.mark.postgres
def test_a_wrong_password_is_told_as_such(fresh_database):
    wrong = PostgresEndpoint(fresh_database.host, fresh_database.port, fresh_database.user, Secret("no"), "postgres")

    with pytest.raises(DatabaseRefused):
        UrlEngine(build_database_url(wrong)).info()


def test_a_server_that_does_not_answer_is_told_as_such():
    with pytest.raises(EngineUnreachable):
        UrlEngine(Secret("postgresql://me:x@127.0.0.1:1/comic")).info()


def test_programs_are_looked_for_only_when_one_is_to_run():
    engine = UrlEngine(Secret("postgresql://me:x@127.0.0.1:1/comic"))

    tools = engine.tools(STACK, "db")

    assert "--dbname=comic" in tools.connection_arguments("comic")
    assert tools.server_password() == Secret("x")
    with pytest.raises(EngineUnreachable):
        tools.run(["pg_dump", "--version"])


def test_a_sqlite_url_gives_an_absolute_path_and_needs_no_programs(tmp_path):
    engine = UrlEngine(SQLITE, base=tmp_path)

    assert engine.database_endpoint(STACK, "db") == SqliteEndpoint(tmp_path / "comic.db")
    assert engine.info().version.startswith("SQLite 3.")
    with pytest.raises(Refused):
        engine.tools(STACK, "db")


def test_what_is_no_url_is_refused_at_once():
    with pytest.raises(ConfigurationError):
        UrlEngine(Secret("mysql://me@host/db"))


@pytest.mark.parametrize(
    "use",
    [
        lambda engine: engine.observe(STACK),
        lambda engine: engine.status(STACK, "db"),
        lambda engine: engine.preflight([], STACK),
        lambda engine: engine.apply(Step("create", "db", "x"), STACK, RecordingReporter()),
        lambda engine: engine.logs(STACK, ["db"]),
        lambda engine: engine.execute(STACK, "db", ["true"]),
        lambda engine: engine.run_once(STACK, STACK.services["db"], ["true"]),
        lambda engine: engine.build(STACK, [], no_cache=False, report=RecordingReporter()),
        lambda engine: engine.pull(STACK, [], report=RecordingReporter()),
    ],
)
def test_what_is_about_services_is_refused_with_what_to_do(use):
    with pytest.raises(Refused) as failure:
        use(UrlEngine(SQLITE))

    assert "unset OPS_ENGINE" in (failure.value.hint or "")


def test_all_services_are_left_out():
    assert set(UrlEngine(SQLITE).left_out(STACK)) == {"db", "app"}


def test_programs_come_from_the_wheel_where_path_has_none_of_that_major():
    from ops.adapters.embedded.programs import client_programs

    assert client_programs("/nowhere", server_major=18).folder == postgres_binaries()
    with pytest.raises(ConfigurationError, match="no PostgreSQL 9 client programs") as failure:
        client_programs("/nowhere", server_major=9)
    assert "postgresql-client-9" in (failure.value.hint or "")
