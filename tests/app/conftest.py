"""On which databases do the application's tests run?

On both: each test that asks for `database_url` runs once on SQLite and once on PostgreSQL, on a database that Alembic
brought to head. It is migrated once a run: a SQLite file is copied for each test, the PostgreSQL database is emptied
after each (a clone of a template takes ten times as long).
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from fastapi.testclient import TestClient
from sqlalchemy import URL

from app.config import Settings
from app.database import Database
from app.main import create_app
from app.models import Base
from ops.model.endpoint import PostgresEndpoint
from tests.app.reader import LoadedDie, Reader
from tests.conftest import connect

ROOT = Path(__file__).parents[2]
KINDS = [pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgres)]


def url_of(endpoint: PostgresEndpoint) -> str:
    """The address of a test database as the application takes it."""
    return URL.create(
        "postgresql+psycopg", endpoint.user, endpoint.password.reveal(), endpoint.host, endpoint.port,
        endpoint.database,
    ).render_as_string(hide_password=False)  # fmt: skip


def alembic_config(url: str) -> Config:
    """Alembic's configuration of this repository, on that database."""
    config = Config(ROOT / "alembic.ini")
    config.attributes["url"] = url
    return config


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'comic_pile.db'}"
    return url_of(request.getfixturevalue("fresh_database"))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database at head, to be copied."""
    path = tmp_path_factory.mktemp("app") / "head.db"
    command.upgrade(alembic_config(f"sqlite:///{path}"), "head")
    return path


@pytest.fixture(scope="session")
def migrated_database(postgres_server: PostgresEndpoint) -> Iterator[PostgresEndpoint]:
    """A PostgreSQL database at head, shared by all tests of the application."""
    shared = replace(postgres_server, database=f"t_{secrets.token_hex(4)}_app")
    with connect(postgres_server) as admin:
        admin.execute(f"CREATE DATABASE {shared.database} TEMPLATE template0")
    command.upgrade(alembic_config(url_of(shared)), "head")
    yield shared
    with connect(postgres_server) as admin:
        admin.execute(f"DROP DATABASE {shared.database} WITH (FORCE)")


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database at head of each kind, without rows, for one test."""
    if request.param == "sqlite":
        path = tmp_path / "comic_pile.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        yield f"sqlite:///{path}"
        return
    shared = request.getfixturevalue("migrated_database")
    yield url_of(shared)
    with connect(shared) as cleaner:
        cleaner.execute("SET lock_timeout = '10s'")
        cleaner.execute(f"TRUNCATE {', '.join(Base.metadata.tables)} RESTART IDENTITY")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The application's database, closed afterwards."""
    database = Database(Settings(database_url=database_url))
    yield database
    database.close()


@pytest.fixture
def die() -> LoadedDie:
    """The die of `client`."""
    return LoadedDie()


@pytest.fixture
def client(database_url: str, die: LoadedDie) -> Iterator[TestClient]:
    """The application, answering; it starts and stops with the test."""
    app = create_app(Settings(database_url=database_url), die=die)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def reader(client: TestClient, die: LoadedDie) -> Reader:
    """A user without threads."""
    return Reader(client, die, client.post("/users", json={"name": "Ada"}).json()["id"])
