"""Are foreign archives restored where the server's programs run in a container?"""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from ops.actions.restore import RestoreRequest, plan_restore, restore
from ops.actions.restore_tools import RestoreTools
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.archive_probe import NamedFiles
from ops.adapters.file_lock import StackLock
from ops.adapters.journal_file import JournalFile
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.system_clock import SystemClock
from tests.fakes.reporter import RecordingReporter

from .conftest import docker

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("kind", ["plain", "custom", "directory", "tar"])
def test_a_foreign_dump_of_each_kind_is_restored(database, tmp_path: Path, kind: str) -> None:
    engine, stack = database
    endpoint, clock = engine.database_endpoint(stack, "db"), SystemClock()
    container = engine.status(stack, "db").container_id
    live = PostgresDatabase(endpoint, engine.tools(stack, "db"), stack="opstest", clock=clock)
    tools = RestoreTools(
        database=live, archives=ArchiveFolder(tmp_path, "demo"), catalog_of=lambda name: ArchiveFolder(tmp_path, name),
        files=NamedFiles(), migrator=None, lock=StackLock(tmp_path / "state", "tester", clock),
        journal=JournalFile(tmp_path / "journal"), clock=clock, report=RecordingReporter(), by="tester", stack="demo",
        live=endpoint.database,
    )  # fmt: skip
    with psycopg.connect(
        host=endpoint.host, port=endpoint.port, user=endpoint.user, password=endpoint.password.reveal(),
        dbname=endpoint.database, autocommit=True,
    ) as session:  # fmt: skip
        session.execute("DROP TABLE IF EXISTS books; CREATE TABLE books AS SELECT generate_series(1, 100) AS id")
    before = live.tables()
    dump = f"pg_dump -h 127.0.0.1 -U {endpoint.user} -F {kind[0]} -f /tmp/theirs {endpoint.database}"
    docker("exec", container, "sh", "-c", f"rm -rf /tmp/theirs && {dump}")
    docker("cp", f"{container}:/tmp/theirs", str(tmp_path / "theirs"))
    docker("exec", container, "rm", "-rf", "/tmp/theirs")

    restore(plan_restore(RestoreRequest(file=str(tmp_path / "theirs")), tools), tools)

    assert live.tables() == before
    assert docker("exec", container, "sh", "-c", "ls /tmp | grep ops- || :").split() == []
    for copy in live.copies():
        live.drop_copy(copy.name)
