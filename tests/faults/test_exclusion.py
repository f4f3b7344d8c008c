"""One change at a time: whatever runs, the second comer ends at once with 11 and names it, here and on another host.

Case 6 of docs/faults.md. The first is a process that stands still in the middle of its work.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ops.actions.backup import backup
from ops.actions.migrate import migrate, plan_migration
from ops.actions.migrate_run import Limits, MigrateTools
from ops.actions.prune import plan_prune, prune
from ops.actions.rollback import plan_rollback, rollback
from ops.actions.rollback_run import RollbackTools
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.file_lock import StackLock
from ops.errors import LockHeld
from ops.model.retention_policy import Policy
from tests.adapters.postgres.restoring import STACK, Stack, make_stack
from tests.fakes.migrator import FakeMigrator, line
from tests.faults.conftest import sessions, wait_for

pytestmark = pytest.mark.postgres
REPEAT = int(os.environ.get("OPS_REPEAT", "1"))
Pause = Callable[[], None]
ONE = Policy(keep_last=1)


def take(stack: Stack, pause: Pause) -> None:
    given = stack.tools
    backup(
        lock=given.lock, database=stack.database, archives=_pausing(stack, "begun", pause), clock=given.clock,
        report=given.report, stack=STACK, environment="development",
    )  # fmt: skip


def put_back(stack: Stack, pause: Pause) -> None:
    stack.tools = replace(stack.tools, checkpoint=_at("load", pause))
    stack.restore(is_latest=True)


def undo(stack: Stack, pause: Pause) -> None:
    tools = RollbackTools(replace(stack.tools, checkpoint=_at("journal", pause)))
    rollback(plan_rollback(tools), tools)


def thin_out(stack: Stack, pause: Pause) -> None:
    given, archives = stack.tools, _pausing(stack, "manifest removed", pause)
    prune(
        plan_prune(archives, ONE, given.clock), lock=given.lock, archives=archives, policy=ONE, clock=given.clock,
        report=given.report,
    )  # fmt: skip


def upgrade(stack: Stack, pause: Pause) -> None:
    class Pausing(FakeMigrator):
        def upgrade_each(self, targets, **how) -> None:
            pause()

    given = stack.tools
    tools = MigrateTools(
        database=stack.database, migrator=Pausing(line("one", "two"), at=["one"]), lock=given.lock,
        journal=given.journal, clock=given.clock, report=given.report, by="tester", work=Path(), jitter=lambda: 0.5,
    )  # fmt: skip
    migrate(plan_migration(tools), tools, Limits(lock_wait_s=0))


def _at(step: str, pause: Pause) -> Callable[[str], None]:
    return lambda reached: pause() if reached == step else None


def _pausing(stack: Stack, step: str, pause: Pause) -> ArchiveFolder:
    folder = stack.tools.archives._folder  # type: ignore[attr-defined]
    return ArchiveFolder(folder.parent, STACK, checkpoint=_at(step, pause))


CHANGES = {"backup": take, "restore": put_back, "rollback": undo, "prune": thin_out, "migrate": upgrade}


@pytest.fixture
def busy(stack: Stack) -> Stack:
    """A stack with something for each of them to do."""
    stack.run("CREATE TABLE alembic_version (version_num text)", "INSERT INTO alembic_version VALUES ('one')")
    stack.backup()
    stack.restore(is_latest=True)
    stack.backup()
    stack.backup()
    return stack


@contextmanager
def standing_still(stack: Stack, folder: Path, change: str) -> Iterator[None]:
    """The change in a process of its own, in the middle of its work; killed at the end."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)

            def pause() -> None:
                os.write(writer, b"here")
                time.sleep(600)

            CHANGES[change](make_stack(stack.endpoint, folder), pause)
        finally:
            os._exit(70)
    os.close(writer)
    try:
        assert os.read(reader, 4) == b"here", f"the {change} ended before it was half done"
        yield
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def on_another_host(stack: Stack, folder: Path) -> Stack:
    """The same catalog and database, but a lock folder that the first knows nothing of."""
    folder.mkdir(exist_ok=True)
    lock = StackLock(folder, "somebody@else", stack.tools.clock)
    return replace(stack, tools=replace(stack.tools, lock=lock))


def never() -> None:
    raise AssertionError("it went on")


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("first", CHANGES)
def test_while_a_change_runs_every_other_ends_at_once_and_names_it_here_and_on_another_host(
    busy: Stack, tmp_path: Path, first: str
) -> None:
    for _ in range(REPEAT):
        before = (busy.databases(), busy.tools.archives.manifests())
        with standing_still(busy, tmp_path, first):
            held = busy.databases()
            hosts = [make_stack(busy.endpoint, tmp_path), on_another_host(busy, tmp_path / "elsewhere")]
            for second, change in CHANGES.items():
                for host in hosts[:1] if "prune" in {first, second} else hosts:  # prune works on this machine's files
                    began = time.monotonic()
                    with pytest.raises(LockHeld) as refused:
                        change(host, never)
                    assert refused.value.exit_code == 11
                    assert first in f"{refused.value.message} {refused.value.cause}"
                    assert time.monotonic() - began < 10
            assert busy.databases() == held
        wait_for(lambda: sessions(busy) == 0, "the server to forget who was killed")
        assert len(busy.tools.archives.manifests()) >= len(before[1]) - (first == "prune")
        busy.tools.archives.clean()
        busy.restore(is_latest=True)
        busy.backup()
