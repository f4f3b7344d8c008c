"""Does the Alembic program do its work in a one-off container, and end there when we die?"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from ops.adapters.alembic_migrator import AlembicMigrator
from ops.adapters.alembic_runner import run_in_container
from ops.adapters.docker.engine import DockerEngine
from ops.model.compose.project import Mount, Service, Stack
from ops.model.endpoint import SqliteEndpoint
from tests.alembic_project import AlembicProject

pytestmark = pytest.mark.docker
REPOSITORY = Path(__file__).parents[2]
PROJECT = "opstest-alembic"
LIMITS = {"lock_timeout_s": 5.0, "statement_timeout_s": 60.0}


def migrator_in_container(folder: Path, engine: DockerEngine) -> AlembicMigrator:
    """The libraries are ours, mounted: what is pure in them runs on the image's Python too."""
    service = Service(
        "app",
        image="python:3.13-slim",
        network_mode="none",
        environment={"PYTHONPATH": "/libraries", "PYTHONDONTWRITEBYTECODE": "1"},
        mounts=(
            Mount("bind", "/srv", str(folder)),
            Mount("bind", "/libraries", sysconfig.get_path("purelib"), read_only=True),
        ),
        working_dir="/srv",
        user=f"{os.getuid()}:{os.getgid()}",
    )
    stack = Stack(PROJECT, folder, (), {"app": service})
    return AlembicMigrator(run_in_container(engine, stack, service), SqliteEndpoint(Path("/srv/live.db")))


def containers() -> str:
    listing = ["docker", "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}"]
    return subprocess.run(listing, capture_output=True, text=True, check=True).stdout


@pytest.fixture(autouse=True)
def _nothing_stays():
    yield
    for container in containers().split():
        subprocess.run(["docker", "rm", "--force", container], check=False, capture_output=True)


def rows(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(folder / "live.db")) as session:
        return session.execute(sql).fetchall()


def until(holds, what):
    for _ in range(300):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError(f"never happened: {what}")


def test_revisions_are_applied_where_the_deployed_image_is(tmp_path):
    AlembicProject(tmp_path).three_tables()
    heard = []

    with contextlib.closing(DockerEngine()) as engine:
        migrator = migrator_in_container(tmp_path, engine)
        heads = migrator.history().heads
        migrator.upgrade_each(["a", "b"], **LIMITS, on_applied=lambda name, _s: heard.append(name))

    assert heads == ("c",)
    assert heard == ["a", "b"]
    assert rows(tmp_path, "SELECT version_num FROM alembic_version") == [("b",)]
    assert containers() == ""


PARENT = """
import sys
from pathlib import Path
from ops.adapters.docker.engine import DockerEngine
from tests.adapters.test_alembic_container import LIMITS, migrator_in_container
migrator_in_container(Path(sys.argv[1]), DockerEngine()).upgrade_each(["a", "b"], **LIMITS)
"""


def test_kill_9_of_ours_ends_the_program_in_the_container_too(tmp_path):
    project = AlembicProject(tmp_path)
    project.revision("a", up="op.create_table('t_a', sa.Column('id', sa.Integer))")
    project.revision("b", "a", up="import pathlib, time\npathlib.Path('reached').touch()\ntime.sleep(600)")
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], cwd=REPOSITORY) as parent:
        try:
            until((tmp_path / "reached").exists, "revision b runs in the container")
        finally:
            os.kill(parent.pid, signal.SIGKILL)

    until(lambda: containers() == "", "the container is gone")

    assert rows(tmp_path, "SELECT version_num FROM alembic_version") == [("a",)]
