"""Does the application say truly whether it lives and whether it can serve?"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from fastapi.testclient import TestClient
from sqlalchemy import text

from app.config import Settings
from app.main import create_app
from ops.model.endpoint import PostgresEndpoint
from tests.app.conftest import alembic_config, url_of


def test_a_migrated_database_makes_ready(client: TestClient) -> None:
    answer = client.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "reason": None, "revision": "0002", "head": "0002"}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("revision", [None, "0001"])
def test_another_revision_is_alive_and_not_ready(empty_url: str, revision: str | None) -> None:
    if revision:
        command.upgrade(alembic_config(empty_url), revision)

    with TestClient(create_app(Settings(database_url=empty_url))) as client:
        alive, ready = client.get("/health"), client.get("/health/ready")

    assert (alive.status_code, alive.json()) == (200, {"status": "healthy"})
    assert ready.status_code == 503
    assert (ready.json()["status"], ready.json()["revision"]) == ("not ready", revision)
    assert "the application needs 0002" in ready.json()["reason"]


def test_requests_to_a_database_without_tables_say_that_it_is_not_migrated(empty_url: str) -> None:
    with TestClient(create_app(Settings(database_url=empty_url)), raise_server_exceptions=False) as client:
        answer = client.get("/users")

    assert answer.status_code == 503
    assert "not migrated" in answer.json()["detail"]


def test_no_table_is_made_by_starting(empty_url: str) -> None:
    with TestClient(create_app(Settings(database_url=empty_url))) as client:
        client.get("/health")
        with client.app.state.database.engine.connect() as connection:  # type: ignore[attr-defined]
            kind = connection.dialect.name
            tables = "sqlite_master" if kind == "sqlite" else "pg_tables WHERE schemaname = 'public'"
            assert connection.execute(text(f"SELECT count(*) FROM {tables}")).scalar() == 0


@pytest.mark.postgres
def test_a_database_that_refuses_is_503_without_its_address_or_password(
    fresh_database: PostgresEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    url = url_of(fresh_database).replace(fresh_database.password.reveal(), "wrongpassword")
    caplog.set_level(logging.DEBUG)

    with TestClient(create_app(Settings(database_url=url)), raise_server_exceptions=False) as client:
        answers = [client.get(path) for path in ("/health", "/health/ready", "/users")]

    assert [answer.status_code for answer in answers] == [200, 503, 503]
    assert answers[1].json()["reason"] == "the database does not answer"
    assert answers[2].headers["retry-after"] == "5"
    everything = " ".join(answer.text for answer in answers) + caplog.text
    assert "wrongpassword" not in everything
    assert "127.0.0.1" not in " ".join(answer.text for answer in answers)


def test_a_server_that_went_and_came_back_is_served_again(database_url: str, client: TestClient) -> None:
    if database_url.startswith("sqlite"):
        return
    client.post("/users", json={"name": "Ada"})
    database: Any = client.app.state.database  # type: ignore[attr-defined]
    with database.engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        )

    assert client.get("/users").status_code == 200


def test_failures_that_nobody_foresaw_are_one_json_object(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_faces: int) -> int:
        raise RuntimeError("boom")

    client.app.state.die = fail  # type: ignore[attr-defined]
    client.post("/users", json={"name": "Ada"})
    client.post("/threads", json={"name": "Saga"})

    answer = client.post("/roll")

    assert (answer.status_code, answer.json()) == (500, {"detail": "internal server error"})
    assert client.get("/sessions").json() == [], "nothing of the failed use case stays"
    assert "boom" in caplog.text


def test_browsers_of_other_origins_are_let_in_only_where_settings_name_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    headers = {"Origin": "https://friend.example"}

    def allowed(settings: Settings) -> str | None:
        with TestClient(create_app(settings)) as client:
            return client.get("/health", headers=headers).headers.get("access-control-allow-origin")

    assert allowed(Settings(database_url=url)) is None
    assert allowed(Settings(database_url=url, cors_origins=("https://other.example",))) is None
    assert allowed(Settings(database_url=url, cors_origins=("https://friend.example",))) == "https://friend.example"
