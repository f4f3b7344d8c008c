"""How does a story live like a new user?

A `World` is a fresh copy of what git tracks in a folder of its own, with its own stack name and ports; `inv` and the
scripts run in it as child processes. Nothing of our code is called directly.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
INV = Path(sys.executable).with_name("inv")


@dataclass
class World:
    """A new user's machine."""

    folder: Path
    engine: str
    project: str
    app_port: int
    db_port: int
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("OPS_", "POSTGRES_", "COMPOSE"))
        }
        return {
            **kept,
            "OPS_ENGINE": self.engine,
            "COMPOSE_PROJECT_NAME": self.project,
            "APP_PORT": str(self.app_port),
            "DB_PORT": str(self.db_port),
            **self.variables,
        }

    def run(self, *argv: str, code: int = 0, timeout_s: float = 280) -> subprocess.CompletedProcess[str]:
        """Run a program in the folder; its exit code must be `code`."""
        done = subprocess.run(
            argv, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout_s,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == code, (
            f"{argv} gave {done.returncode}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
        )
        return done

    def inv(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a task."""
        return self.run(str(INV), *words, code=code)

    def inv_json(self, *words: str, code: int = 0) -> Any:
        """Run a task with --json and read its one document."""
        return json.loads(self.inv(*words, "--json", code=code).stdout)

    def start_inv(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a task without waiting, in a process group of its own."""
        return subprocess.Popen(
            [str(INV), *words], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def connect(
        self, *, user: str = "comicpile", password: str = "comicpile_password", database: str = "comicpile"
    ) -> psycopg.Connection:
        """Speak to the database as a person with psql would."""
        return psycopg.connect(
            host="127.0.0.1", port=self.db_port, user=user, password=password, dbname=database, autocommit=True
        )

    def contents(self) -> dict[str, tuple[int, str]]:
        """Row count and a hash of all rows of every table; computed without the runner's own checksums."""
        found = {}
        with self.connect() as session:
            names = [row[0] for row in session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
            for name in sorted(names):
                rows = sorted(repr(row) for row in session.execute(f'SELECT * FROM public."{name}"').fetchall())
                found[name] = (len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest())
        return found


def copy_of_the_repository(folder: Path) -> None:
    """What a clone would hold, uncommitted edits included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)


@pytest.fixture(scope="session")
def project() -> Iterator[str]:
    """The name of every stack of this process, one after another, so that its image is built from the cache."""
    name = f"opstest-story-{os.getpid()}"
    yield name
    if shutil.which("docker"):
        subprocess.run(["docker", "image", "rm", f"{name}-app"], capture_output=True, check=False, timeout=60)


ENGINES = ["embedded", pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture(params=ENGINES)
def world(request: pytest.FixtureRequest, tmp_path: Path, project: str) -> Iterator[World]:
    """A new user's machine, once on each engine; everything it started is gone afterwards."""
    folder = tmp_path / "clone"
    folder.mkdir()
    copy_of_the_repository(folder)
    made = World(folder, request.param, project, free_port(), free_port())
    try:
        yield made
    finally:
        subprocess.run(
            [str(INV), "down", "--volumes", "--yes", "--forget"], cwd=folder, env=made.environment,
            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120,
        )  # fmt: skip
