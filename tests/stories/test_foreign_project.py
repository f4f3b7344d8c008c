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
