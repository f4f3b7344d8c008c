"""Faults while a restore runs: the live database stays as it was and serves; the next restore succeeds.

Cases 18, 19, 20, 21 and 22 of docs/faults.md.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from ops.actions.rollback import plan_rollback, rollback
from ops.actions.rollback_run import RollbackTools
from ops.errors import LoadFailed, RestoreRefused
from tests.adapters.postgres.restoring import Stack
from tests.faults.conftest import sessions, signal_when_it_runs, wait_for

pytestmark = pytest.mark.postgres


@pytest.fixture
def saved(stack: Stack) -> Stack:
    """A stack with a backup, and fewer rows since; two indexes give pg_restore something to do."""
    stack.run(
        "CREATE INDEX ON books (text)", "CREATE INDEX ON books (md5(text))", "CREATE INDEX ON books (lower(text))"
    )
    stack.backup()
    stack.run("DELETE FROM books WHERE id > 3")
    return stack


def books(stack: Stack) -> int:
    return int(stack.run("SELECT count(*) FROM books")[0][0])


def restored_beside(stack: Stack, fault: Callable[[], object]) -> list[LoadFailed]:
    """Restore in a thread while the fault happens; what the restore raised, if anything."""
    failures: list[LoadFailed] = []

    def work() -> None:
        try:
            stack.restore(is_latest=True)
        except LoadFailed as exc:
            failures.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        fault()
    finally:
        thread.join(60)
    return failures


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_pg_restore_that_is_killed_at_work_leaves_the_live_database_and_nothing_else(saved: Stack, number) -> None:
    failures = restored_beside(saved, lambda: signal_when_it_runs("pg_restore", saved, number))

    assert len(failures) == 1
    assert books(saved) == 3
    assert saved.databases() == [saved.endpoint.database]
    wait_for(lambda: sessions(saved) == 0, "the server to forget pg_restore")
    saved.restore(is_latest=True)
    assert books(saved) == 40_000


def test_a_restore_whose_sessions_an_operator_ends_leaves_the_live_database_and_nothing_else(saved: Stack) -> None:
    ended = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        f" WHERE datname LIKE '{saved.endpoint.database}\\_\\_%' AND query ~ 'COPY|CREATE INDEX'"
    )
    failures = restored_beside(
        saved, lambda: wait_for(lambda: saved.run(ended, database="postgres") != [(0,)], "pg_restore to be at work")
    )

    assert len(failures) == 1
    assert books(saved) == 3
    assert saved.databases() == [saved.endpoint.database]


def test_applications_with_pools_see_the_old_rows_or_the_new_and_soon_only_the_new(saved: Stack) -> None:
    there = saved.endpoint
    url = f"postgresql+psycopg://{there.user}:{there.password.reveal()}@{there.host}:{there.port}/{there.database}"
    engine = create_engine(url, pool_size=4, max_overflow=4, pool_pre_ping=True)
    seen: set[int] = set()
    strange: list[str] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            try:
                with engine.connect() as session:
                    seen.add(int(session.execute(text("SELECT count(*) FROM books")).scalar_one()))
            except DBAPIError as exc:
                said = str(exc.orig)
                if not any(
                    words in said
                    for words in ("terminating connection", "does not exist", "closed", "being accessed", "connection")
                ):
                    strange.append(said)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        report = saved.restore(is_latest=True)
        seen.clear()
        wait_for(lambda: 40_000 in seen, "the pool to come back")
        after = set(seen)
        tools = RollbackTools(saved.tools)
        rollback(plan_rollback(tools), tools)
        seen.clear()
        wait_for(lambda: 3 in seen, "the pool to come back after the rollback")
    finally:
        is_over.set()
        for reader in readers:
            reader.join(30)
        engine.dispose()

    assert strange == []
    assert after == {40_000}
    assert 0 <= report.away_s < 10
    assert report.kept


def test_an_archive_that_wants_what_the_server_lacks_is_refused_with_every_reason_and_changes_nothing(
    saved: Stack,
) -> None:
    (made,) = saved.tools.archives.manifests()
    facts = replace(made.database, extensions={"plpgsql": "1.0", "postgis": "3.5"}, size_bytes=10**18)
    saved.tools.archives.update(replace(made, database=facts, codec="zstd"))

    with pytest.raises(RestoreRefused) as refused:
        saved.restore(is_latest=True)

    assert refused.value.exit_code == 40
    for reason in ("postgis", "zstd", "are free"):
        assert reason in refused.value.shown_cause
    assert books(saved) == 3
    assert saved.databases() == [saved.endpoint.database]


def test_the_old_database_is_there_to_go_back_to_before_the_new_one_is_live(saved: Stack) -> None:
    """The recovery point of a restore is the old database itself: there is no moment without one."""
    report = saved.restore(is_latest=True)

    assert saved.run("SELECT count(*) FROM books", database=report.kept) == [(3,)]
    tools = RollbackTools(saved.tools)
    rollback(plan_rollback(tools), tools)
    assert books(saved) == 3
