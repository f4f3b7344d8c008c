"""The engine is restarted or killed, or the database's container is: what runs fails in bounded time, nothing is lost.

Cases 4 and 18 of docs/faults.md. The engine that dies is one of our own: the machine's serves others.
"""

from __future__ import annotations

import gc
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops.adapters.docker.engine import DockerEngine
from ops.errors import DumpFailed, EngineUnreachable, LoadFailed
from ops.model.compose.project import Stack as ComposeStack
from tests.adapters.docker.conftest import Bench, docker, engine, wait_for
from tests.adapters.docker.relay import LEAKS
from tests.adapters.postgres.restoring import Stack
from tests.faults.conftest import at_the_second_block, backup_within, files_of
from tests.faults.containers import (
    books,
    database_service,
    dump_ending,
    dump_ending_at_its_locks,
    filled,
    healthy,
    restore_ending,
    restore_ending_in,
    stack_on,
)
from tests.faults.second_engine import missing, second_engine

__all__ = ["engine"]
pytestmark = [pytest.mark.docker, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(600), LEAKS]
WITHIN_S = 45


@dataclass
class Mortal:
    """A database service on an engine that may die."""

    engine: DockerEngine
    compose: ComposeStack
    die: Callable[[], None]
    come_back: Callable[[], None]
    up: Callable[[], None]

    def stack(self, folder: Path) -> Stack:
        return filled(self.engine, self.compose, folder)

    def is_back(self) -> None:
        """Bring it back, and then `up`: an engine that crashed takes what it stops for stopped by hand (moby 20.10)."""
        self.engine.close()
        self.come_back()
        self.up()
        healthy(self.engine, self.compose)

    def shell(self, script: str) -> str:
        container = self.engine.status(self.compose, "db").container_id
        return docker(*self.options, "exec", container, "sh", "-c", script)

    @property
    def options(self) -> list[str]:
        host = self.engine.info().endpoint
        return ["--host", host]


@pytest.fixture(scope="module", params=["killed", "restarted", "killed under live containers"])
def mortal_engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    if why := missing():
        if os.environ.get("OPS_REQUIRE_DOCKER") == "1":
            pytest.fail(why)
        pytest.skip(why)
    with second_engine(live_restore=request.param == "killed under live containers") as daemon:
        daemon.take_image("postgres:17")
        there = DockerEngine(environment={"DOCKER_HOST": daemon.host})
        bench = Bench(tmp_path_factory.mktemp("mortal"), f"opstest{secrets.token_hex(4)}", there)
        compose = database_service(bench, address=daemon.address)
        die = daemon.terminate if request.param == "restarted" else daemon.kill
        yield Mortal(there, compose, die, daemon.start, lambda: bench.up(compose))
        there.close()
        gc.collect()


@pytest.fixture
def mortal_container(engine: DockerEngine, tmp_path: Path) -> Iterator[Mortal]:
    """Killed by `docker kill`, which the restart policy respects; `up` starts it again."""
    folder = tmp_path / "compose"
    folder.mkdir()
    bench = Bench(folder, f"opstest{secrets.token_hex(4)}", engine)
    compose = database_service(bench)

    def die() -> None:
        docker("kill", engine.status(compose, "db").container_id)

    yield Mortal(engine, compose, die, lambda: None, lambda: bench.up(compose))
    bench.sweep()


def check_dump(mortal: Mortal, folder: Path) -> None:
    stack = mortal.stack(folder)

    ended = dump_ending(stack, mortal.die, within_s=WITHIN_S, engine=mortal.engine)

    assert ended.code in {DumpFailed.exit_code, EngineUnreachable.exit_code}, ended.said
    assert files_of(stack) == []
    mortal.is_back()
    assert books(stack) == 40_000
    made = stack.backup()
    assert stack.tools.archives.manifests() == (made,)
    _nothing_is_left(mortal, stack)


def check_restore(mortal: Mortal, folder: Path) -> None:
    stack = mortal.stack(folder)
    stack.backup()
    stack.run("DELETE FROM books WHERE id > 3")

    ended = restore_ending(stack, mortal.die, within_s=WITHIN_S, engine=mortal.engine)

    assert ended.code in {LoadFailed.exit_code, EngineUnreachable.exit_code}, ended.said
    mortal.is_back()
    _next_restore_succeeds(mortal, stack)


def _next_restore_succeeds(mortal: Mortal, stack: Stack) -> None:
    """The live database is as it was; what is left is named and dropped."""
    assert books(stack) == 3
    left = [copy.name for copy in stack.database.copies()]
    report = stack.restore(is_latest=True)
    assert books(stack) == 40_000
    assert [name for name in left if not any(name in text for text in report.cleaned)] == []
    assert [copy.role for copy in stack.database.copies()] == ["recovery-point"]
    _nothing_is_left(mortal, stack)
    for copy in stack.database.copies():
        stack.database.drop_copy(copy.name)


def _nothing_is_left(mortal: Mortal, stack: Stack) -> None:
    """No session at the server; of files only what names a run of this very process, which lives: no archive."""
    sessions = "SELECT application_name FROM pg_stat_activity WHERE application_name ~ '^(ops|pg_)'"
    wait_for(lambda: stack.run(sessions, database="postgres") == [], "the server to forget our programs")
    left = mortal.shell("ls -d /tmp/ops-* /var/tmp/ops-* 2>/dev/null || :").split()
    assert [path for path in left if f"-{os.getpid()}-" not in path or not path.endswith(".pid")] == []


def test_an_engine_that_dies_while_a_dump_runs_gives_no_backup_in_bounded_time_and_the_next_one_succeeds(
    mortal_engine: Mortal, tmp_path: Path
) -> None:
    check_dump(mortal_engine, tmp_path)


def test_an_engine_that_dies_while_a_restore_loads_leaves_the_live_database_and_the_next_one_cleans_up(
    mortal_engine: Mortal, tmp_path: Path
) -> None:
    check_restore(mortal_engine, tmp_path)


def test_a_database_container_that_is_killed_while_a_dump_runs_gives_no_backup(
    mortal_container: Mortal, tmp_path: Path
) -> None:
    check_dump(mortal_container, tmp_path)


def test_a_database_container_that_is_killed_while_a_restore_loads_leaves_the_live_database_as_it_was(
    mortal_container: Mortal, tmp_path: Path
) -> None:
    check_restore(mortal_container, tmp_path)


def test_a_database_container_that_is_paused_while_a_dump_runs_ends_it_and_leaves_no_lock(
    mortal_container: Mortal, tmp_path: Path
) -> None:
    stack, container = mortal_container.stack(tmp_path), mortal_container.engine.status(mortal_container.compose, "db")

    with (
        at_the_second_block(stack, lambda: docker("pause", container.container_id)),
        pytest.raises((DumpFailed, EngineUnreachable)),  # as what stops first: the archive, or our own sessions
    ):
        backup_within(stack, idle_timeout_s=3)

    assert files_of(stack) == []
    docker("unpause", container.container_id)
    healthy(mortal_container.engine, mortal_container.compose)
    _nothing_is_left(mortal_container, stack)
    stack.run("BEGIN; LOCK TABLE books IN ACCESS EXCLUSIVE MODE NOWAIT; COMMIT")
    made = stack.backup()
    assert stack.tools.archives.manifests() == (made,)


SLOW_INDEX = (
    (
        "CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql"
        " AS 'BEGIN PERFORM pg_sleep(0.02); RETURN $1; END'"
    ),
    "CREATE TABLE slowly AS SELECT n FROM generate_series(1, 200) n",
    "CREATE INDEX ON slowly (slow(n))",
)
"""What keeps pg_restore at work for some seconds."""


def test_a_database_container_that_is_paused_while_a_restore_loads_ends_it_as_stalled_and_the_next_one_cleans_up(
    mortal_container: Mortal, tmp_path: Path
) -> None:
    mortal, container = mortal_container, mortal_container.engine.status(mortal_container.compose, "db").container_id
    stack = mortal.stack(tmp_path)
    stack.run(*SLOW_INDEX)
    stack.backup()
    stack.run("DELETE FROM books WHERE id > 3")
    impatient = stack_on(mortal.engine, mortal.compose, tmp_path, silence_s=3.0)

    try:
        ended = restore_ending(impatient, lambda: docker("pause", container), within_s=60, engine=mortal.engine)
    finally:
        docker("unpause", container)

    assert ended.code == LoadFailed.exit_code, ended.said
    assert "stalled and was ended" in ended.said
    assert "answered nothing" in ended.said
    healthy(mortal.engine, mortal.compose)
    _next_restore_succeeds(mortal, stack)


@pytest.mark.parametrize(("step_before", "what"), [("load", "counting"), ("integrity", "analysing")])
def test_a_database_container_that_is_paused_while_a_restore_compares_or_analyses_ends_it_as_stalled(
    mortal_container: Mortal, tmp_path: Path, step_before: str, what: str
) -> None:
    mortal, container = mortal_container, mortal_container.engine.status(mortal_container.compose, "db").container_id
    stack = mortal.stack(tmp_path)
    stack.backup()
    stack.run("DELETE FROM books WHERE id > 3")
    impatient = stack_on(mortal.engine, mortal.compose, tmp_path, silence_s=3.0)

    try:
        ended = restore_ending_in(
            step_before, impatient, lambda: docker("pause", container), within_s=60, engine=mortal.engine
        )
    finally:
        docker("unpause", container)

    assert ended.code == LoadFailed.exit_code, ended.said
    assert what in ended.said
    assert "stalled and was ended; the live database is as it was" in ended.said
    assert "answered nothing" in ended.said
    healthy(mortal.engine, mortal.compose)
    _next_restore_succeeds(mortal, stack)


def test_a_database_container_that_is_paused_before_pg_dump_runs_ends_the_backup_as_stalled(
    mortal_container: Mortal, tmp_path: Path
) -> None:
    mortal, container = mortal_container, mortal_container.engine.status(mortal_container.compose, "db").container_id
    stack = mortal.stack(tmp_path)

    def fault() -> None:
        docker("pause", container)

    try:
        ended = dump_ending_at_its_locks(stack, fault, idle_timeout_s=3, within_s=60, engine=mortal.engine)
    finally:
        docker("unpause", container)

    assert ended.code == DumpFailed.exit_code, ended.said
    assert "stalled and was ended" in ended.said
    assert "answered nothing" in ended.said
    assert files_of(stack) == []
    healthy(mortal.engine, mortal.compose)
    _nothing_is_left(mortal, stack)
    made = stack.backup()
    assert stack.tools.archives.manifests() == (made,)
