"""The out-of-memory killer ends a program, a server process or the daemon: it is named, and nothing is half done.

Cases 2, 18 and 25 of docs/faults.md. The kernel does it itself, in a memory cgroup or a container with a limit.
"""

from __future__ import annotations

import gc
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.list_backups import refuse_older_than
from ops.adapters.docker.engine import DockerEngine
from ops.adapters.schedule_state import ScheduleState
from ops.errors import BackupTooOld, DumpFailed, EngineUnreachable, LoadFailed
from ops.model.compose.project import Stack as ComposeStack
from tests.adapters.docker.conftest import Bench, docker, engine
from tests.adapters.postgres.restoring import Stack
from tests.fakes.clock import FakeClock
from tests.faults import out_of_memory
from tests.faults.conftest import at_the_second_block, files_of, programs, sessions, wait_for
from tests.faults.containers import books, database_service, filled, healthy, restore_ending

__all__ = ["engine"]
pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def kill_program(name: str, stack: Stack) -> None:
    out_of_memory.kills(programs(name, stack)[0])


def test_a_pg_dump_that_runs_out_of_memory_gives_no_backup_and_is_named(stack: Stack) -> None:
    out_of_memory.required()

    with (
        at_the_second_block(stack, lambda: kill_program("pg_dump", stack)),
        pytest.raises(DumpFailed, match="signal 9"),
    ):
        stack.backup()

    assert files_of(stack) == []
    wait_for(lambda: sessions(stack) == 0, "the server to forget the dump")
    assert stack.tools.archives.manifests() == ()
    made = stack.backup()
    assert stack.tools.archives.manifests() == (made,)


def test_a_pg_restore_that_runs_out_of_memory_leaves_the_live_database_and_nothing_else(stack: Stack) -> None:
    out_of_memory.required()
    for what in ("text", "md5(text)", "lower(text)"):
        stack.run(f"CREATE INDEX ON books (({what}))")
    stack.backup()
    stack.run("DELETE FROM books WHERE id > 3")

    ended = restore_ending(stack, lambda: kill_program("pg_restore", stack), within_s=60)

    assert ended.code == LoadFailed.exit_code
    assert "pg_restore ended with" in ended.said
    assert books(stack) == 3
    assert stack.databases() == [stack.endpoint.database]
    stack.restore(is_latest=True)
    assert books(stack) == 40_000


@dataclass
class Small:
    """A database in a container whose memory is enough for anything but one enormous value."""

    engine: DockerEngine
    compose: ComposeStack
    stack: Stack

    @property
    def container(self) -> str:
        return self.engine.status(self.compose, "db").container_id

    def memory(self, megabytes: int) -> None:
        docker("update", f"--memory={megabytes}m", f"--memory-swap={megabytes}m", self.container)

    def add_enormous_value(self) -> None:
        self.memory(900)
        self.stack.run("CREATE TABLE enormous AS SELECT repeat('x', 150000000) AS value")

    def processes_killed(self) -> int:
        """What the server says of itself."""
        return docker_logs(self.container).count("was terminated by signal 9")


def docker_logs(container: str) -> str:
    done = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout + done.stderr


@pytest.fixture
def small(engine: DockerEngine, tmp_path: Path) -> Iterator[Small]:
    (tmp_path / "compose").mkdir()
    bench = Bench(tmp_path / "compose", f"opstest{secrets.token_hex(4)}", engine)
    compose = database_service(bench, "mem_limit: 900m")
    yield Small(engine, compose, filled(engine, compose, tmp_path))
    bench.sweep()
    gc.collect()


@pytest.mark.docker
def test_a_server_process_that_runs_out_of_memory_in_a_dump_gives_no_backup(small: Small) -> None:
    small.add_enormous_value()
    small.memory(220)

    with pytest.raises((DumpFailed, EngineUnreachable)) as failed:
        small.stack.backup()

    assert small.processes_killed() >= 1
    assert failed.value.shown_cause
    assert files_of(small.stack) == []
    small.memory(900)
    healthy(small.engine, small.compose)
    assert books(small.stack) == 40_000
    made = small.stack.backup()
    assert small.stack.tools.archives.manifests() == (made,)


@pytest.mark.docker
def test_a_server_process_that_runs_out_of_memory_in_a_restore_leaves_the_live_database_as_it_was(
    small: Small,
) -> None:
    small.add_enormous_value()
    small.stack.backup()
    small.stack.run("DROP TABLE enormous", "DELETE FROM books WHERE id > 3")
    small.memory(220)

    with pytest.raises((LoadFailed, EngineUnreachable)):
        small.stack.restore(is_latest=True)

    assert small.processes_killed() >= 1
    small.memory(900)
    healthy(small.engine, small.compose)
    assert books(small.stack) == 3
    small.stack.restore(is_latest=True)
    assert books(small.stack) == 40_000
    assert [copy.role for copy in small.stack.database.copies()] == ["recovery-point"]


def test_a_scheduler_that_runs_out_of_memory_turns_red_everywhere_else_and_its_backups_age_grows(
    stack: Stack, tmp_path: Path
) -> None:
    """A daemon that is gone says nothing: the age is read by others, from the catalog and the heartbeat."""
    out_of_memory.required()
    made = stack.backup()
    state = tmp_path / "scheduler"
    daemon = subprocess.Popen(
        [sys.executable, "-m", "tests.scheduler.daemon", str(state), "long", "0"],
        cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for((state / "started").exists, "the daemon's job to run", within_s=60)

    out_of_memory.kills(daemon.pid)

    assert daemon.wait(10) == -9
    beat = ScheduleState(state).heartbeat()
    assert beat is not None
    time.sleep(1.1)
    assert datetime.now(UTC) - beat.at > timedelta(seconds=1), "nothing of it goes on beating"
    for hours in (27, 28):
        with pytest.raises(BackupTooOld, match=rf"{hours}\.\d h old") as old:
            refuse_older_than(
                stack.tools.archives, FakeClock(made.started_at + timedelta(hours=hours)), timedelta(hours=26)
            )
        assert old.value.exit_code == 33
    wait_for((state / "cleaned").exists, "its job to end with it", within_s=60)
    assert json.loads((state / "heartbeat.json").read_text())
