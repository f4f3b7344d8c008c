"""Does the probe of the database log in for real, and tell what waiting does not change?"""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from ops.adapters.embedded.probes import ask_database
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from tests.conftest import free_port, postgres_binaries

pytestmark = pytest.mark.postgres
PSQL = str(postgres_binaries() / "psql")


def test_a_database_that_lets_us_in_is_good(fresh_database: PostgresEndpoint) -> None:
    answer = ask_database(PSQL, fresh_database)

    assert answer.is_good
    assert answer.text == f"{fresh_database} answers"


def test_a_wrong_password_and_a_missing_database_are_final_and_told_in_the_servers_words(
    fresh_database: PostgresEndpoint,
) -> None:
    password = ask_database(PSQL, replace(fresh_database, password=Secret("hunter-two")))
    database = ask_database(PSQL, replace(fresh_database, database="elsewhere"))

    assert (password.is_good, password.is_final) == (database.is_good, database.is_final) == (False, True)
    assert 'password authentication failed for user "tester"' in password.text
    assert "hunter-two" not in password.text
    assert 'database "elsewhere" does not exist' in database.text


def test_a_server_that_is_not_there_yet_may_come(fresh_database: PostgresEndpoint) -> None:
    answer = ask_database(PSQL, replace(fresh_database, port=free_port()))

    assert not answer.is_good
    assert not answer.is_final
    assert "Connection refused" in answer.text


def test_a_server_that_says_nothing_is_not_waited_for_longer_than_a_few_seconds(
    fresh_database: PostgresEndpoint,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = ask_database(PSQL, replace(fresh_database, port=silent.getsockname()[1]))

    assert not answer.is_good
    assert not answer.is_final


def test_a_psql_that_is_not_there_is_named(fresh_database: PostgresEndpoint) -> None:
    assert "/nowhere/psql cannot be run" in ask_database("/nowhere/psql", fresh_database).text
