"""Is data of another PostgreSQL major seen in a volume, on the real engine, and left as it is?"""

from __future__ import annotations

import os

import pytest

from ops.actions.start import start
from ops.adapters.docker.looks import LABEL
from ops.adapters.docker.reaper import run_id
from ops.adapters.system_clock import SystemClock
from ops.errors import ConfigurationError, Refused

from .conftest import SLEEPER, Bench, docker, left_of

pytestmark = pytest.mark.docker
HOME = "/var/lib/postgresql"


def database(image: str, mount: str, more: str = "") -> str:
    """A database service that is ready as soon as it answers."""
    return f"""
  db:
    image: {image}
    environment:
      POSTGRES_PASSWORD: secret
{more}
    volumes: ["{mount}"]
    stop_grace_period: 5s
    healthcheck: {{test: ["CMD-SHELL", "psql -h 127.0.0.1 -U postgres -c 'SELECT 1'"], interval: 500ms, retries: 90}}
"""


def up(bench: Bench, services: str, volumes: str = "volumes: {data: {}}") -> None:
    stack = bench.write(services, volumes)
    start(bench.engine, stack, clock=SystemClock(), report=bench.report, timeout_s=90)
    bench.note_volumes(stack)


def say(bench: Bench, sql: str) -> str:
    return docker("exec", f"{bench.project}-db-1", "psql", "-U", "postgres", "-XAtc", sql)


def test_another_major_is_refused_running_or_not_and_nothing_changes(bench: Bench) -> None:
    old, new = database("postgres:17", f"data:{HOME}/data"), database("postgres:18", f"data:{HOME}/data")
    up(bench, old)
    say(bench, "CREATE TABLE kept AS SELECT 1 AS one")
    before = docker("inspect", f"{bench.project}-db-1", "--format", "{{.Id}} {{.State.StartedAt}}")

    with pytest.raises(Refused, match=r"data of PostgreSQL 17, and postgres:18 is PostgreSQL 18"):
        up(bench, new)

    assert docker("inspect", f"{bench.project}-db-1", "--format", "{{.Id}} {{.State.StartedAt}}") == before
    bench.down(bench.read())
    with pytest.raises(Refused, match=r"data of PostgreSQL 17"):
        up(bench, new)
    with pytest.raises(Refused, match=r"data of PostgreSQL 17"):
        up(bench, database("postgres:18", f"data:{HOME}"))
    assert left_of(bench.project)["containers"] == []
    up(bench, old)
    assert say(bench, "SELECT one FROM kept") == "1"


def test_each_layout_of_the_newer_image_starts_again_on_its_own_data_and_refuses_the_older(bench: Bench) -> None:
    volumes = "volumes: {above: {}, told: {}}"
    told = "      PGDATA: /var/lib/postgresql/data"
    for mount, more in ((f"above:{HOME}", ""), (f"told:{HOME}/data", told)):
        up(bench, database("postgres:18", mount, more), volumes)
        bench.down(bench.read())
        up(bench, database("postgres:18", mount, more), volumes)
        bench.down(bench.read())

        with pytest.raises(Refused, match=r"data of PostgreSQL 18, and postgres:17 is PostgreSQL 17"):
            up(bench, database("postgres:17", mount, more), volumes)


def test_a_volume_where_the_newer_image_does_not_look_is_refused_before_it_is_made(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="would not be in data"):
        up(bench, database("postgres:18", f"data:{HOME}/data"))

    assert left_of(bench.project)["containers"] == []


def test_a_folder_of_this_machine_is_looked_into_too(bench: Bench) -> None:
    folder = bench.folder / "data"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("16\n")

    with pytest.raises(Refused, match="holds data of PostgreSQL 16"):
        up(bench, database("postgres:17", f"./data:{HOME}/data"), "")

    assert [path.name for path in folder.iterdir()] == ["PG_VERSION"]


def test_an_image_that_is_not_here_is_refused_by_its_tag_in_the_plan(bench: Bench) -> None:
    up(bench, database("postgres:17", f"data:{HOME}/data"))
    stack = bench.write(database("postgres:99", f"data:{HOME}/data"), "volumes: {data: {}}")

    with pytest.raises(Refused, match=r"postgres:99 is PostgreSQL 99"):
        bench.engine.preflight(bench.plan(stack), stack)


def test_a_look_that_a_killed_run_left_keeps_no_volume_from_being_removed(bench: Bench) -> None:
    stack = bench.write(SLEEPER + '    volumes: ["data:/data"]\n', "volumes: {data: {}}")
    bench.up(stack)
    alive, dead = run_id(), run_id().replace(f"-{os.getpid()}-", "-999999999-")
    for run in (dead, alive):
        docker(
            "create", "--label", f"com.docker.compose.project={bench.project}", "--label", f"{LABEL}={run}",
            "--mount", f"source={bench.project}_data,target=/x", "--name", f"{bench.project}-{run[-4:]}",
            "python:3.13-slim",
        )  # fmt: skip
    with pytest.raises(Refused):
        bench.down(stack, remove_volumes=True)
    assert docker("ps", "-a", "--filter", f"label={LABEL}={dead}", "-q") == ""
    docker("rm", f"{bench.project}-{alive[-4:]}")

    bench.down(stack, remove_volumes=True)

    assert left_of(bench.project) == {"containers": [], "networks": [], "volumes": []}
