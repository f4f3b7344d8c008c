"""What do the fault tests share: one stack on the shared server, with enough rows for a dump to take a moment."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.actions.backup import Limits, take_backup
from ops.model.endpoint import PostgresEndpoint
from ops.model.manifest import Manifest
from tests.adapters.postgres.restoring import Stack, make_stack

FILL = (
    "CREATE TABLE books (id int PRIMARY KEY, text text)",
    "INSERT INTO books SELECT n, repeat(md5(n::text), 8) || random() FROM generate_series(1, 40000) n",
    "CREATE TABLE words AS SELECT 'one' AS word",
)


@pytest.fixture
def stack(fresh_database: PostgresEndpoint, tmp_path: Path) -> Stack:
    """A live database with 40,000 rows of 300 bytes; no backup yet."""
    made = make_stack(fresh_database, tmp_path)
    made.run(*FILL)
    return made


def backup_within(stack: Stack, *, lock_wait_s: float = 10.0, idle_timeout_s: float = 30.0) -> Manifest:
    """A backup that gives up early."""
    return take_backup(
        database=stack.database, archives=stack.tools.archives, clock=stack.tools.clock, report=stack.report,
        stack=stack.tools.stack, environment="development", reason="manual",
        limits=Limits(lock_wait_s=lock_wait_s, idle_timeout_s=idle_timeout_s),
    )  # fmt: skip


@contextmanager
def at_the_second_block(stack: Stack, work: Callable[[], object]) -> Iterator[None]:
    """Do something once while pg_dump is at work: it has written and has more to write."""
    archives = stack.tools.archives
    begin = archives.begin

    def begin_and_watch(backup_id: str):
        archive, blocks = begin(backup_id), [0]
        write = archive.write

        def watched(block: bytes) -> None:
            blocks[0] += 1
            if blocks[0] == 2:
                work()
            write(block)

        archive.write = watched
        return archive

    archives.begin = begin_and_watch
    try:
        yield
    finally:
        archives.begin = begin


def files_of(stack: Stack) -> list[str]:
    """Everything in the stack's folder of backups."""
    folder = stack.tools.archives._folder  # type: ignore[attr-defined]
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def programs(name: str, stack: Stack) -> list[int]:
    """Process ids of a PostgreSQL program that works on the stack's database or a copy of it."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().split(b"\0")
        except OSError:
            continue
        is_it = words[0].rpartition(b"/")[2] == name.encode()
        if is_it and any(stack.endpoint.database.encode() in word for word in words):
            found.append(int(file.parent.name))
    return found


def signal_when_it_runs(name: str, stack: Stack, number: signal.Signals, within_s: float = 20.0) -> int:
    """Send a signal to a program once it has a session that works; gives its process id."""
    working = (
        "SELECT count(*) FROM pg_stat_activity WHERE starts_with(datname, %s) AND application_name LIKE %s"
        " AND query ~ 'COPY|CREATE INDEX|ALTER TABLE'"
    )
    from tests.conftest import connect

    deadline = time.monotonic() + within_s
    with connect(stack.at("postgres")) as session:
        while time.monotonic() < deadline:
            row = session.execute(working, [stack.endpoint.database, "%" + name + "%"]).fetchone()
            if row is not None and row[0] and (pids := programs(name, stack)):
                for pid in pids:
                    os.kill(pid, number)
                return pids[0]
            time.sleep(0.002)
    raise AssertionError(f"{name} was never seen at work")


def wait_for(condition: Callable[[], bool], what: str, within_s: float = 20.0) -> None:
    """Poll until true; fails with a sentence."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {within_s} s for {what}"
        time.sleep(0.02)


def sessions(stack: Stack) -> int:
    """How many sessions of ours or of our programs are on the stack's databases."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE starts_with(datname, '{}')"
        " AND (application_name LIKE 'ops%' OR application_name LIKE 'pg\\_%')"
    )
    return int(stack.run(query.format(stack.endpoint.database), database="postgres")[0][0])
