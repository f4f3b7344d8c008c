"""Does a transfer end that loads into a server which answers nothing any more?"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ops.adapters.docker.engine import DockerEngine
from ops.adapters.transfer.bridge import SqlitePostgresBridge
from ops.errors import LoadFailed
from ops.model.endpoint import PostgresEndpoint
from ops.model.transfer.schema import pair_up
from tests.adapters.docker.conftest import Bench, docker, engine
from tests.conftest import connect
from tests.fakes.reporter import RecordingReporter
from tests.faults.containers import database_service, healthy

__all__ = ["engine"]
pytestmark = [pytest.mark.docker, pytest.mark.slow]
Paused = tuple[PostgresEndpoint, Callable[[], object]]


class PausesAtTheFirstRows(RecordingReporter):
    def __init__(self, step: str, pause: Callable[[], object]) -> None:
        super().__init__()
        self.step, self.pause = step, pause

    def progress(self, step: str, done: int, total: int | None, unit: str = "bytes") -> None:
        if step == self.step and not self.steps:
            self.steps[step] = done
            self.pause()


@pytest.fixture
def pausable(engine: DockerEngine, tmp_path: Path) -> Iterator[Paused]:
    (tmp_path / "compose").mkdir()
    bench = Bench(tmp_path / "compose", f"opstest{secrets.token_hex(4)}", engine)
    compose = database_service(bench)
    healthy(engine, compose)
    container = engine.status(compose, "db").container_id
    yield engine.database_endpoint(compose, "db"), lambda: docker("pause", container)
    docker("unpause", container)
    bench.sweep()


def test_a_database_container_that_is_paused_while_a_transfer_loads_ends_it_as_stalled(
    pausable: Paused, tmp_path: Path
) -> None:
    endpoint, pause = pausable
    file = tmp_path / "source.db"
    with closing(sqlite3.connect(file)) as source, source, connect(endpoint) as target:
        for table in ("one", "two"):
            source.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, v TEXT)")
            source.executemany(f"INSERT INTO {table} (v) VALUES (?)", [["a" * 1000]] * 20_000)
            target.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, v text)")
    report = PausesAtTheFirstRows("loading", pause)
    bridge = SqlitePostgresBridge(endpoint, tmp_path / "work", report, load_idle_timeout_s=3.0)
    pairs, _ = pair_up(bridge.source_tables(file), bridge.target_tables(endpoint.database))
    folder = bridge.new_folder()
    found = bridge.examine(file.rename(folder / "copy.db"), pairs, (), is_kept=True)

    with pytest.raises(LoadFailed, match="stalled and was ended") as ended:
        bridge.load(folder / "copy.db", endpoint.database, pairs, found.lines)

    assert "answered nothing" in str(ended.value.cause)
