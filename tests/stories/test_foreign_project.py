"""Does a project that shares nothing with ours have all of it?

Its compose file lies in a folder of its own, its database has another service's name, no health check, its password
from a file, and a name and a user that need quoting everywhere. There is no application service.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.stories.conftest import ENGINES, INV, ROOT, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

COMPOSE = """\
services:
  pg:
    image: ${POSTGRES_IMAGE:-postgres:17}
    environment:
      POSTGRES_USER: Shop-Owner
      POSTGRES_DB: My-Shop DB
      POSTGRES_PASSWORD_FILE: /run/secrets/password
    secrets: [password]
    ports: ["127.0.0.1:${DB_PORT:?}:5432"]
    volumes: ["data:/var/lib/postgresql/data"]
secrets:
  password: {file: ../password.txt}
volumes: {data: {}}
"""
SETTINGS = """\
[tool.ops]
compose-file = "stack/compose.yaml"
database-service = "pg"
app-service = "web"
seed-command = ["true"]
"""
PASSWORD = "p@ss%wörd:/ #1"


@pytest.fixture(params=ENGINES)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    folder = tmp_path / "a shop"
    (folder / "stack").mkdir(parents=True)
    (folder / "stack" / "compose.yaml").write_text(COMPOSE)
    (folder / "pyproject.toml").write_text(SETTINGS)
    (folder / "tasks.py").write_text("from ops.cli import namespace\n")
    (folder / "password.txt").write_text(PASSWORD + "\n", "utf-8")
    project = f"opstest-shop-{os.getpid()}"
    made = World(folder, request.param, project, free_port(), free_port(), {"PYTHONPATH": str(ROOT)})
    try:
        yield made
    finally:
        subprocess.run(
            [INV, "down", "--volumes", "--yes", "--forget"], cwd=folder, env=made.environment,
            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120,
        )  # fmt: skip


def test_a_database_without_a_health_check_takes_sessions_when_up_ends(shop: World) -> None:
    shop.inv("up")

    with shop.connect(user="Shop-Owner", password=PASSWORD, database="My-Shop DB") as session:
        session.execute("CREATE TABLE notes AS SELECT 1 AS id")
    made = shop.inv_json("backup")
    with shop.connect(user="Shop-Owner", password=PASSWORD, database="My-Shop DB") as session:
        session.execute("DELETE FROM notes")
    shop.inv("restore", "--latest", "--yes")

    with shop.connect(user="Shop-Owner", password=PASSWORD, database="My-Shop DB") as session:
        assert session.execute("SELECT id FROM notes").fetchall() == [(1,)]
    assert [one["id"] for one in shop.inv_json("backups")] == [made["id"]]
    assert "it has pg" in shop.inv("seed", code=13).stderr


UNREACHABLE = """\
services:
  db:
    image: ${POSTGRES_IMAGE:-postgres:17}
    environment: {POSTGRES_PASSWORD: opstest-secret}
    network_mode: none
    volumes: ["data:/var/lib/postgresql/data", "./first:/docker-entrypoint-initdb.d:ro"]
volumes: {data: {}}
"""


@pytest.mark.docker
def test_a_database_without_health_check_and_without_a_way_to_it_comes_up_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "slow.sql").write_text("SELECT pg_sleep(5); CREATE TABLE made_at_first_start ();")
    (tmp_path / "docker-compose.yml").write_text(UNREACHABLE)
    (tmp_path / "tasks.py").write_text("from ops.cli import namespace\n")
    project = f"opstest-alone-{os.getpid()}"
    world = World(tmp_path, "docker", project, free_port(), free_port(), {"PYTHONPATH": str(ROOT)})
    try:
        said = world.inv("up", "--timeout", "120")
        listed = world.inv("exec", "--service", "db", "--", "psql", "-U", "postgres", "-Atc", r"\dt")
        refused = world.inv("backup", code=10)
    finally:
        world.inv("down", "--volumes", "--yes", "--forget")

    assert "made_at_first_start" in listed.stdout
    for told in (said.stderr, refused.stderr):
        assert "there is no way to db from here" in told
        assert "it has no network" in told
        assert 'ports: ["127.0.0.1:5432:5432"]' in told


def test_tables_without_a_revision_are_named_after_up_with_a_step_that_works(tmp_path: Path) -> None:
    (tmp_path / "alembic" / "versions").mkdir(parents=True)
    (tmp_path / "alembic" / "versions" / "a1.py").write_text("revision = 'a1'\ndown_revision = None\n")
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = alembic\n")
    (tmp_path / "docker-compose.yml").write_text(UNREACHABLE.replace("    network_mode: none\n", ""))
    (tmp_path / "tasks.py").write_text("from ops.cli import namespace\n")
    (tmp_path / "first").mkdir()
    project = f"opstest-made-{os.getpid()}"
    world = World(tmp_path, "embedded", project, free_port(), free_port(), {"PYTHONPATH": str(ROOT)})
    try:
        empty = world.inv("up").stdout
        with world.connect(user="postgres", password="opstest-secret", database="postgres") as session:
            session.execute("CREATE TABLE notes (id int)")
        made = world.inv("up").stdout
    finally:
        world.inv("down", "--volumes", "--yes", "--forget")

    assert "no revision, the head is a1: inv migrate" in empty
    assert "1 tables but no revision, which inv migrate refuses" in made
    assert "alembic stamp a1" in made
