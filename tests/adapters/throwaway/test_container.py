"""Does a drill on Docker get a container of its own, and does the engine keep nothing of it however it ends?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from ops.actions.drill import drill
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.docker.client import Connection
from ops.adapters.docker.engine import DockerEngine
from ops.adapters.file_lock import StackLock
from ops.adapters.postgres.connect import connect as session
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.system_clock import SystemClock
from ops.adapters.throwaway.container import LABEL, ContainerServers
from ops.errors import DatabaseRefused, EngineUnreachable, RestoreRefused
from ops.model.compose.project import Stack
from ops.model.manifest_json import to_json
from ops.model.secret import Secret
from tests.adapters.docker.conftest import database, docker, engine, wait_for
from tests.conftest import connect
from tests.fakes.manifests import FACTS, manifest
from tests.fakes.reporter import RecordingReporter

__all__ = ["database", "engine"]
pytestmark = [pytest.mark.docker, pytest.mark.postgres]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def servers(database: tuple[DockerEngine, Stack]) -> Iterator[ContainerServers]:
    connection = Connection()
    yield ContainerServers(connection, database[1], "db", SystemClock())
    connection.close()


def throwaways(made_by: int | str) -> list[str]:
    """Ids of containers by the process, or the whole run, that made them: other sessions may drill here too."""
    lines = docker(
        "ps", "--all", "--no-trunc", "--filter", f"label={LABEL}", "--format", f'{{{{.ID}}}} {{{{.Label "{LABEL}"}}}}'
    ).splitlines()
    pairs = (line.split() for line in lines)
    return [id for id, run in pairs if run == made_by or run.split("-")[1] == str(made_by)]


def volumes_of(container: str) -> list[str]:
    mounts = json.loads(docker("inspect", "--format", "{{json .Mounts}}", container))
    return [mount["Name"] for mount in mounts if mount["Type"] == "volume"]


def exists(volume: str) -> bool:
    return bool(docker("volume", "ls", "--quiet", "--filter", f"name={volume}"))


def test_a_backup_is_restored_into_a_container_of_the_same_image_and_nothing_of_it_stays(
    database: tuple[DockerEngine, Stack], servers: ContainerServers, tmp_path: Path
) -> None:
    from ops.actions.backup import take_backup

    docker_engine, stack = database
    endpoint, clock, report = docker_engine.database_endpoint(stack, "db"), SystemClock(), RecordingReporter()
    with connect(endpoint) as session:
        session.execute("CREATE TABLE readers AS SELECT n AS id, 'Zoë ' || n AS name FROM generate_series(1, 3000) n")
        before = session.execute("SELECT array_agg(datname::text ORDER BY 1) FROM pg_database").fetchone()
    archives = ArchiveFolder(tmp_path / "backups", "demo")
    live = PostgresDatabase(endpoint, docker_engine.tools(stack, "db"), stack="demo", clock=clock)
    take_backup(
        database=live, archives=archives, clock=clock, report=report, stack="demo", environment="development",
        reason="manual",
    )  # fmt: skip

    done = drill(
        "", archives=archives, throwaways=servers, lock=StackLock(tmp_path, "me", clock), clock=clock, report=report,
        by="me",
    )  # fmt: skip

    assert done.rows == 3000
    assert done.manifest.drill is not None
    assert done.manifest.drill.server_version == done.manifest.database.server_version
    assert throwaways(os.getpid()) == []
    with connect(endpoint) as session:
        after = session.execute("SELECT array_agg(datname::text ORDER BY 1) FROM pg_database").fetchone()
    assert after == before


def test_a_killed_drill_leaves_neither_container_nor_volume_and_a_living_one_is_not_touched(
    servers: ContainerServers, tmp_path: Path
) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(to_json(manifest()))
    with subprocess.Popen(
        [
            sys.executable, "-m", "tests.adapters.throwaway.drill_child", "docker", tmp_path,
            servers.stack.working_dir, file,
        ],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"up\n"
            (container,) = throwaways(child.pid)
            (volume,) = volumes_of(container)
            inspected = json.loads(docker("inspect", container))[0]
            servers.clean()
            assert throwaways(child.pid) == [container]
            assert exists(volume)
        finally:
            os.killpg(child.pid, signal.SIGKILL)
    wait_for(lambda: throwaways(child.pid) == [], "the engine to remove the container")
    wait_for(lambda: not exists(volume), "the engine to remove the volume")
    assert [word for word in inspected["Config"]["Env"] if "PASSWORD" in word] == []
    assert inspected["HostConfig"]["NetworkMode"] == "none"
    assert inspected["NetworkSettings"]["Ports"] == {}
    assert {name for name, one in inspected["NetworkSettings"]["Networks"].items() if one["IPAddress"]} == set()


def test_a_container_that_a_killed_drill_left_is_removed_with_its_volume_by_the_next_one(
    servers: ContainerServers,
) -> None:
    from ops.adapters.docker.reaper import run_id

    gone = "-".join([run_id().split("-")[0], "4194300", "0a1b2c", "0123456789ab"])
    elsewhere = "m00000000-1-0a1b2c-0123456789ab"
    image = servers.stack.services["db"].image
    made = [
        docker("create", "--network=none", "--label", f"{LABEL}={run}", "--name", f"opstest-left-{n}", str(image))
        for n, run in enumerate((gone, elsewhere))
    ]
    docker("start", made[0])
    (volume,) = volumes_of(made[0])
    try:
        assert f"the throwaway container {made[0][:12]}" in servers.clean()
        assert throwaways(gone) == []
        assert throwaways(elsewhere) == [made[1]], "a run of another machine cannot be judged from here"
        assert not exists(volume)
    finally:
        docker("rm", "--force", "--volumes", *made, check=False)


def test_an_archive_of_a_newer_major_than_the_image_is_refused_by_name(servers: ContainerServers) -> None:
    newer = manifest(database=replace(FACTS, server_major=99, server_version="99.1"))

    with (
        pytest.raises(RestoreRefused, match=r"it is of PostgreSQL 99\.1") as refused,
        servers.server(newer, RecordingReporter()),
    ):
        pass

    assert "PostgreSQL 17" in refused.value.shown_cause
    assert throwaways(os.getpid()) == []


def test_the_container_has_no_network_and_whoever_reaches_its_port_is_asked_for_the_password(
    servers: ContainerServers,
) -> None:
    with servers.server(manifest(), RecordingReporter()) as throwaway:
        (container,) = throwaways(os.getpid())
        interfaces = docker("exec", container, "ls", "/sys/class/net").split()
        endpoint = throwaway._endpoint
        with pytest.raises(DatabaseRefused):
            session(replace(endpoint, password=Secret("guessed")))
        several = [session(endpoint) for _ in range(5)]
        sizes = [one.execute("SELECT length(repeat('x', 3000000))").fetchone() for one in several]
        text = several[0].execute("SELECT repeat('x', 3000000)").fetchone()
        for one in several:
            one.close()

    assert interfaces == ["lo"]
    assert sizes == [(3_000_000,)] * 5
    assert text == ("x" * 3_000_000,)
    with pytest.raises(EngineUnreachable):
        session(endpoint)


def test_a_session_ends_when_the_server_ends_it_and_the_server_sees_that_ours_is_gone(
    servers: ContainerServers,
) -> None:
    with servers.server(manifest(), RecordingReporter()) as throwaway:
        endpoint = throwaway._endpoint
        watcher, other = session(endpoint), session(endpoint, application_name="other")
        watcher.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'other'")
        with pytest.raises(psycopg.OperationalError):
            other.execute("SELECT 1")
        other = session(endpoint, application_name="other")
        other.close()
        wait_for(
            lambda: watcher.execute("SELECT FROM pg_stat_activity WHERE application_name = 'other'").fetchall() == [],
            "the server to see it",
        )
        watcher.close()
