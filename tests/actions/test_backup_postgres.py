"""Does a backup of a real database exist only when it is whole, wherever its run is killed?"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.actions.backup import backup, take_backup
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.local_tools import LocalTools
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.system_clock import SystemClock
from ops.model.endpoint import PostgresEndpoint
from ops.model.manifest import Manifest
from tests.conftest import connect, postgres_binaries
from tests.fakes.lock import FakeLock
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres

STACK = "opstest"
STEPS = (
    "begun",
    "written",
    "flushed",
    "read back",
    "manifest written",
    "archive renamed",
    "manifest renamed",
)


@pytest.fixture
def filled_database(fresh_database: PostgresEndpoint) -> PostgresEndpoint:
    with connect(fresh_database) as session:
        session.execute("CREATE TABLE users AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 5000) i")
        session.execute("CREATE TABLE alembic_version (version_num varchar(32))")
        session.execute("INSERT INTO alembic_version VALUES ('0002')")
    return fresh_database


def database_of(endpoint: PostgresEndpoint) -> PostgresDatabase:
    return PostgresDatabase(endpoint, LocalTools(postgres_binaries(), endpoint), stack=STACK, clock=SystemClock())


def take(endpoint: PostgresEndpoint, archives: ArchiveFolder) -> Manifest:
    return take_backup(
        database=database_of(endpoint),
        archives=archives,
        clock=SystemClock(),
        report=RecordingReporter(),
        stack=STACK,
        environment="development",
        reason="manual",
    )


def in_a_child(work: Callable[[], None]) -> int:
    """Run in a process of its own; gives how it ended, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(70)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_backup_can_be_listed_found_checked_and_decoded(filled_database: PostgresEndpoint, tmp_path: Path) -> None:
    archives, report = ArchiveFolder(tmp_path, STACK), RecordingReporter()
    database = database_of(filled_database)

    taken = backup(
        lock=FakeLock(),
        database=database,
        archives=archives,
        clock=SystemClock(),
        report=report,
        stack=STACK,
        environment="development",
    )

    manifest = taken.manifest
    assert archives.manifests() == (manifest,)
    assert archives.find(manifest.id) == manifest
    archives.check(manifest, report)
    database.decode(archives.path(manifest))
    assert archives.broken() == ()
    assert manifest.revisions == ("0002",)
    assert [(table.name, table.row_count) for table in manifest.tables] == [
        ("public.alembic_version", 1),
        ("public.users", 5000),
    ]
    assert manifest.verified_at == manifest.finished_at
    assert set(taken.steps_s) >= {"dump_s", "read_back_s", "decode_s", "commit_s", "fingerprint_s"}
    assert report.events[-1][0] == "backup.finished"
    assert not report.warnings


@pytest.mark.parametrize("step", STEPS)
def test_a_run_killed_after_any_step_leaves_a_whole_backup_or_none(
    filled_database: PostgresEndpoint, tmp_path: Path, step: str
) -> None:
    good = take(filled_database, ArchiveFolder(tmp_path, STACK))

    def die_at(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    ended = in_a_child(lambda: take(filled_database, ArchiveFolder(tmp_path, STACK, checkpoint=die_at)))

    archives = ArchiveFolder(tmp_path, STACK)
    found = archives.manifests()
    assert ended == -signal.SIGKILL
    assert good in found
    assert len(found) == (2 if step == "manifest renamed" else 1)
    for manifest in found:
        archives.check(manifest, RecordingReporter())

    again = take(filled_database, archives)

    assert again in archives.manifests()
    assert archives.broken() == ()
    assert not [path for path in (tmp_path / STACK).iterdir() if path.name.endswith(".partial")]


def test_a_dump_killed_halfway_leaves_no_backup_and_no_session(
    filled_database: PostgresEndpoint, tmp_path: Path
) -> None:
    class Dying(ArchiveFolder):
        def begin(self, backup_id: str):
            archive = super().begin(backup_id)
            archive.write = lambda block: os.kill(os.getpid(), signal.SIGKILL)
            return archive

    ended = in_a_child(lambda: take(filled_database, Dying(tmp_path, STACK)))

    assert ended == -signal.SIGKILL
    assert ArchiveFolder(tmp_path, STACK).manifests() == ()
    assert len(take(filled_database, ArchiveFolder(tmp_path, STACK)).sha256) == 64
    assert _sessions_end(filled_database)


def _sessions_end(endpoint: PostgresEndpoint) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with connect(endpoint) as session:
        for _ in range(100):
            if session.execute(f"{query} AND application_name LIKE 'ops%'").fetchone() == (0,):
                return True
            session.execute("SELECT pg_sleep(0.05)")
    return False
