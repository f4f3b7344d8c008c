"""A line to the engine that is cut while a dump streams over it: case 4 of docs/faults.md, from backup to catalog."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.docker.engine import DockerEngine
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.system_clock import SystemClock
from ops.errors import DumpFailed, EngineUnreachable
from ops.model.compose.project import Stack
from ops.model.manifest import Manifest
from tests.adapters.docker.conftest import database, engine
from tests.adapters.docker.relay import LEAKS, relayed_engine
from tests.conftest import connect
from tests.fakes.reporter import RecordingReporter

__all__ = ["database", "engine"]
pytestmark = [pytest.mark.docker, pytest.mark.postgres]


@LEAKS
@pytest.mark.parametrize("attempt", range(int(os.environ.get("OPS_REPEAT", "1"))))
def test_a_stream_that_is_cut_at_a_random_byte_gives_no_backup_and_the_next_one_succeeds(
    database: tuple[DockerEngine, Stack], tmp_path: Path, attempt: int
) -> None:
    byte = random.Random(f"{os.environ.get('OPS_SEED', '7')} {attempt}")
    check_cut(database, tmp_path, byte.randrange(3_000, 3_000_000))


@LEAKS
@pytest.mark.parametrize("after_bytes", [200_000, 2_000_000])
def test_a_stream_that_is_cut_gives_no_backup_and_the_next_one_succeeds(
    database: tuple[DockerEngine, Stack], tmp_path: Path, after_bytes: int
) -> None:
    check_cut(database, tmp_path, after_bytes)


def check_cut(database: tuple[DockerEngine, Stack], tmp_path: Path, after_bytes: int) -> None:
    whole, stack = database
    endpoint, clock = whole.database_endpoint(stack, "db"), SystemClock()
    with connect(endpoint) as session:
        session.execute("DROP TABLE IF EXISTS noise")
        session.execute(
            "CREATE TABLE noise AS SELECT n, array_agg(gen_random_uuid()) AS ids"
            " FROM generate_series(1, 5000) n, generate_series(1, 50) m GROUP BY n"
        )
    archives = ArchiveFolder(tmp_path / "backups", "demo")

    def take(engine: DockerEngine) -> Manifest:
        return take_backup(
            database=PostgresDatabase(endpoint, engine.tools(stack, "db"), stack="demo", clock=clock),
            archives=archives, clock=clock, report=RecordingReporter(), stack="demo", environment="development",
            reason="manual",
        )  # fmt: skip

    with connect(endpoint) as application, relayed_engine(tmp_path) as (relay, cut):
        cut.tools(stack, "db").version()
        relay.cut_after(after_bytes)
        with pytest.raises((DumpFailed, EngineUnreachable)):
            take(cut)
        assert application.execute("SELECT 1").fetchone() == (1,), "no other session was ended"

    assert archives.manifests() == ()
    assert archives.broken() == ()
    made = take(whole)
    assert made.size_bytes > after_bytes
    assert archives.manifests() == (made,)
