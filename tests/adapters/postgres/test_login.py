"""Is a wrong login told from a server that only cannot let us in now?"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ops.adapters.postgres.login import check_login
from ops.errors import DatabaseRefused, EngineUnreachable
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from tests.conftest import connect, free_port

pytestmark = pytest.mark.postgres


@pytest.fixture
def guest(fresh_database: PostgresEndpoint) -> Iterator[PostgresEndpoint]:
    """The fresh database as a role of its own."""
    role = f"guest_{secrets.token_hex(4)}"
    with connect(fresh_database) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'of the guest'")
    yield replace(fresh_database, user=role, password=Secret("of the guest"))
    with connect(fresh_database) as admin:
        admin.execute(f"DROP ROLE {role}")


def test_the_login_that_the_server_knows_is_taken(guest: PostgresEndpoint) -> None:
    check_login(guest)


def test_another_password_is_refused_with_the_way_to_change_it_and_not_shown(guest: PostgresEndpoint) -> None:
    with pytest.raises(DatabaseRefused) as refusal:
        check_login(replace(guest, password=Secret("hunter-two")))

    said = refusal.value
    assert f"another password of {guest.user}" in said.message
    assert f"\\password {guest.user}" in (said.hint or "")
    assert "hunter-two" not in f"{said.message} {said.cause} {said.hint}"


def test_a_database_that_is_not_there_is_refused(guest: PostgresEndpoint) -> None:
    with pytest.raises(DatabaseRefused, match="no database elsewhere"):
        check_login(replace(guest, database="elsewhere"))


def test_a_server_that_is_full_says_nothing_of_the_login(
    fresh_database: PostgresEndpoint, guest: PostgresEndpoint
) -> None:
    with connect(fresh_database) as admin:
        admin.execute(f"ALTER ROLE {guest.user} CONNECTION LIMIT 0")

    with pytest.raises(EngineUnreachable):
        check_login(guest)


def test_a_server_that_is_not_there_says_nothing_either(guest: PostgresEndpoint) -> None:
    with pytest.raises(EngineUnreachable):
        check_login(replace(guest, port=free_port()))
