"""Faults while a backup is taken: each ends as an error, leaves no backup, and the next backup succeeds.

Cases 1, 2, 5, 6, 7, 8 and 10 of docs/faults.md.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ops.actions.backup import backup
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.file_lock import StackLock
from ops.adapters.local_tools import LocalTools
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.system_clock import SystemClock
from ops.errors import ArchiveUnwritable, DatabaseRefused, DumpFailed, EngineUnreachable, LockHeld, OpsError
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from tests.adapters.postgres.restoring import STACK, Stack, make_stack
from tests.conftest import connect, free_port, postgres_binaries
from tests.fakes.reporter import RecordingReporter
from tests.faults.conftest import at_the_second_block, backup_within, files_of, programs, sessions, wait_for

pytestmark = pytest.mark.postgres


def send_to_pg_dump(stack: Stack, number: signal.Signals) -> None:
    (pid,) = programs("pg_dump", stack)
    os.kill(pid, number)


@contextmanager
def waited_on(stack: Stack, statement: str) -> Iterator[int]:
    """A transaction that holds a lock until the block ends; gives its backend's id."""
    with connect(stack.endpoint, autocommit=False) as holder:
        holder.execute(statement)
        yield holder.info.backend_pid
        holder.rollback()


def next_one_succeeds(stack: Stack) -> None:
    made = stack.backup()
    stack.database.decode(stack.tools.archives.path(made))
    assert stack.tools.archives.manifests() == (made,)


@pytest.mark.parametrize("fault", ["down", "password"])
def test_a_database_that_cannot_be_reached_gives_no_file_under_any_name(stack: Stack, tmp_path: Path, fault) -> None:
    bent = (
        replace(stack.endpoint, port=free_port())
        if fault == "down"
        else replace(stack.endpoint, password=Secret("not-it"))
    )
    there = make_stack(bent, tmp_path)

    with pytest.raises(EngineUnreachable if fault == "down" else DatabaseRefused):
        there.backup()

    assert files_of(there) == []


def test_a_pg_dump_that_is_killed_at_work_gives_no_backup(stack: Stack) -> None:
    with (
        at_the_second_block(stack, lambda: send_to_pg_dump(stack, signal.SIGKILL)),
        pytest.raises(DumpFailed, match="signal 9"),
    ):
        stack.backup()

    assert files_of(stack) == []
    wait_for(lambda: sessions(stack) == 0, "the server to forget the dump")
    next_one_succeeds(stack)


def test_a_pg_dump_whose_session_the_server_ends_gives_no_backup(stack: Stack) -> None:
    ended = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        f" WHERE datname = '{stack.endpoint.database}' AND query LIKE 'COPY %'"
    )

    with (
        at_the_second_block(stack, lambda: stack.run(ended, database="postgres")),
        pytest.raises(DumpFailed),
    ):
        stack.backup()

    assert files_of(stack) == []
    next_one_succeeds(stack)


def test_a_pg_dump_that_is_stopped_is_ended_and_its_locks_are_released(stack: Stack) -> None:
    with (
        at_the_second_block(stack, lambda: send_to_pg_dump(stack, signal.SIGSTOP)),
        pytest.raises(DumpFailed),
    ):
        backup_within(stack, idle_timeout_s=2)

    assert files_of(stack) == []
    wait_for(lambda: sessions(stack) == 0, "the server to forget the dump")
    with connect(stack.endpoint, autocommit=False) as session:
        session.execute("LOCK TABLE books IN ACCESS EXCLUSIVE MODE NOWAIT")
        session.rollback()
    next_one_succeeds(stack)


def test_a_migration_that_holds_a_table_ends_the_backup_which_names_it_and_its_query(stack: Stack) -> None:
    with waited_on(stack, "ALTER TABLE books ADD COLUMN author text") as pid, pytest.raises(DumpFailed) as failed:
        backup_within(stack, lock_wait_s=1)

    said = f"{failed.value.message} {failed.value.shown_cause}"
    assert str(pid) in said
    assert "ALTER TABLE books" in said
    assert files_of(stack) == []
    next_one_succeeds(stack)


@pytest.mark.parametrize("fault", ["revoked", "row security"])
def test_a_role_that_does_not_see_every_row_gets_no_backup_and_the_table_is_named(
    stack: Stack, tmp_path: Path, fault: str
) -> None:
    role = f"reader_{stack.endpoint.database}"
    stack.run(
        f"CREATE ROLE {role} LOGIN PASSWORD 'reader'",
        f"GRANT SELECT ON books, words TO {role}",
        f"GRANT pg_read_all_settings, pg_monitor TO {role}",
        f"REVOKE SELECT ON words FROM {role}" if fault == "revoked" else "ALTER TABLE words ENABLE ROW LEVEL SECURITY",
    )
    try:
        there = make_stack(replace(stack.endpoint, user=role, password=Secret("reader")), tmp_path)
        with pytest.raises((DumpFailed, DatabaseRefused)) as failed:
            there.backup()
        assert "words" in f"{failed.value.message} {failed.value.cause}"
        assert files_of(there) == []
    finally:
        stack.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.skipif(os.geteuid() != 0, reason="NEEDS ROOT: a small tmpfs can only be mounted by root")
def test_a_disk_that_fills_up_while_the_archive_is_written_keeps_the_older_ones_and_no_partial(
    stack: Stack, tmp_path: Path
) -> None:
    """Somebody else fills the disk after the estimate said that there is room: the folder claims to be endless."""

    class Endless(ArchiveFolder):
        def free_space_bytes(self) -> int:
            return 10**15

    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        archives = Endless(small, STACK)
        there = Stack(stack.endpoint, stack.database, replace(stack.tools, archives=archives), stack.report)
        stack.run("TRUNCATE books, words")
        first = there.backup()
        stack.run("INSERT INTO books SELECT n, gen_random_uuid()::text FROM generate_series(1, 60000) n")

        with pytest.raises(ArchiveUnwritable) as failed:
            there.backup()

        assert "No space left" in failed.value.shown_cause
        assert archives.manifests() == (first,)
        archives.check(first, stack.report)
        assert archives.broken() == ()
        wait_for(lambda: sessions(stack) == 0, "the server to forget the dump")
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.timeout(3000)
def test_of_four_backups_at_once_one_is_taken_and_the_others_name_its_holder(stack: Stack, tmp_path: Path) -> None:
    """Four processes with four connections and one lock file, as four people would have it."""
    repeat = int(os.environ.get("OPS_REPEAT", "2"))
    for _ in range(repeat):
        before = len(stack.tools.archives.manifests())
        children = [_in_a_process(stack.endpoint, tmp_path, who=f"person-{n}") for n in range(4)]
        codes = sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)

        taken = len(stack.tools.archives.manifests()) - before
        assert set(codes) <= {0, 11}
        assert codes.count(0) == taken >= 1
        said = [path.read_text() for path in tmp_path.glob("person-*.said")]
        assert all("backup is running on this stack" in text or "another change" in text for text in said)
        assert len(said) == codes.count(11)
        assert stack.tools.archives.broken() == ()
        for path in tmp_path.glob("person-*.said"):
            path.unlink()
    assert stack.tools.archives.manifests()


def _in_a_process(endpoint: PostgresEndpoint, folder: Path, *, who: str) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        clock = SystemClock()
        backup(
            lock=StackLock(folder / "state", who, clock),
            database=PostgresDatabase(endpoint, LocalTools(postgres_binaries(), endpoint), stack=STACK, clock=clock),
            archives=make_stack(endpoint, folder).tools.archives,
            clock=clock, report=RecordingReporter(), stack=STACK, environment="development",
        )  # fmt: skip
        code = 0
    except LockHeld as exc:
        (folder / f"{who}.said").write_text(f"{exc.message}; {exc.cause}")
        code = exc.exit_code
    except OpsError as exc:
        code = exc.exit_code
    finally:
        os._exit(code)
