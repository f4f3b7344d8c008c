"""Does a drill restore into a server of its own on this machine, and leave nothing behind however it ends?"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from ops.actions.backup import take_backup
from ops.actions.drill import drill
from ops.actions.encrypted import Sealing
from ops.adapters.age_encryption import AgeEncryption
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.archive_proof import StreamedProof
from ops.adapters.file_lock import StackLock
from ops.adapters.sqlite.database import SqliteDatabase
from ops.adapters.system_clock import SystemClock
from ops.adapters.throwaway.local_server import LocalServers, programs_for
from ops.adapters.throwaway.sqlite_file import SqliteFiles
from ops.errors import DataDiffers, RestoreRefused
from ops.model.encryption import Keys
from ops.model.endpoint import PostgresEndpoint, SqliteEndpoint
from ops.model.manifest_json import to_json
from tests.adapters.postgres.restoring import STACK, Stack, make_stack
from tests.conftest import connect
from tests.fakes.manifests import FACTS, manifest
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).resolve().parents[3]


def servers_in(folder: Path) -> LocalServers:
    return LocalServers(folder / "drills", folder, os.environ["PATH"], STACK, SystemClock())


def left_in(folder: Path) -> list[str]:
    return [path.name for path in (folder / "drills").glob("*")]


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that have to do with a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(folder / "drills") in words and "drill_child" not in words:
            found.append(words)
    return found


def wait_for(condition: Callable[[], bool], what: str, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {within_s} s for {what}"
        time.sleep(0.05)


@pytest.fixture
def stack(fresh_database: PostgresEndpoint, tmp_path: Path) -> Stack:
    """A database with what only a superuser can own, a setting, and an umlaut in its rows."""
    tmp_path.chmod(0o711)
    made = make_stack(fresh_database, tmp_path)
    made.run(
        "CREATE TABLE readers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL)",
        "INSERT INTO readers (name) SELECT 'Zoë ' || n FROM generate_series(1, 2000) n",
        "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$",
        "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watch()",
        f"ALTER DATABASE \"{fresh_database.database}\" SET timezone = 'Europe/Berlin'",
    )
    return made


def test_a_backup_is_restored_elsewhere_and_nothing_of_it_stays(stack: Stack, tmp_path: Path) -> None:
    made = stack.backup()
    databases, report = stack.databases(), RecordingReporter()

    done = drill(
        "", archives=stack.tools.archives, throwaways=servers_in(tmp_path), lock=stack.tools.lock,
        clock=SystemClock(), report=report, by="me", jobs=2,
    )  # fmt: skip

    noted = stack.tools.archives.find(made.id).drill
    assert noted is not None
    assert noted.server_version.startswith("18")
    assert (done.rows, done.not_carried_over, done.problems, done.roles_made) == (2000, (), (), ())
    assert left_in(tmp_path) == []
    assert processes_of(tmp_path) == []
    assert stack.databases() == databases
    assert report.warnings == []


def test_an_encrypted_backup_is_drilled_where_its_key_is_and_only_there(stack: Stack, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    file = tmp_path / "identity.txt"
    file.write_text(f"{identity}\n")
    keys, clock = Keys((str(identity.to_public()),)), SystemClock()
    server, holder = (
        Sealing(AgeEncryption(one), StreamedProof) for one in (keys, replace(keys, identity_file=file))
    )  # fmt: skip
    archives = stack.tools.archives
    made = take_backup(
        database=stack.database, archives=archives, clock=clock, report=stack.report, stack=STACK,
        environment="development", reason="manual", sealing=server,
    )  # fmt: skip
    shared = {
        "archives": archives, "throwaways": servers_in(tmp_path), "lock": stack.tools.lock, "clock": clock,
        "report": stack.report, "by": "me",
    }  # fmt: skip

    with pytest.raises(RestoreRefused, match="cannot be drilled: it is encrypted"):
        drill("", sealing=server, **shared)
    assert archives.find(made.id) == made

    assert drill("", sealing=holder, **shared).rows == 2000
    assert left_in(tmp_path) == []


def test_rows_that_are_not_those_of_the_manifest_end_with_71(stack: Stack, tmp_path: Path) -> None:
    made, archives = stack.backup(), stack.tools.archives
    (table,) = made.tables
    archives.update(replace(made, tables=(replace(table, checksum="0" * len(table.checksum)),)))

    with pytest.raises(DataDiffers, match="throwaway"):
        drill(
            made.id, archives=archives, throwaways=servers_in(tmp_path), lock=stack.tools.lock,
            clock=SystemClock(), report=RecordingReporter(), by="me",
        )  # fmt: skip

    assert archives.find(made.id).suspicious
    assert left_in(tmp_path) == []


def test_a_killed_drill_takes_its_server_with_it_and_the_next_one_removes_its_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    file = tmp_path / "manifest.json"
    file.write_text(to_json(manifest(codec="gzip", database=replace(FACTS, server_major=18, server_version="18.6"))))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.adapters.throwaway.drill_child", "local", tmp_path / "drills", tmp_path, file],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"up\n"
            assert processes_of(tmp_path)
            assert servers_in(tmp_path).clean() == (), "a living drill's folder is not touched"
        finally:
            os.killpg(child.pid, signal.SIGKILL)

    wait_for(lambda: not processes_of(tmp_path), "the server to end by itself")
    (folder,) = left_in(tmp_path)
    assert servers_in(tmp_path).clean() == (f"the drill folder {folder}",)
    assert left_in(tmp_path) == []
    assert servers_in(tmp_path).clean() == ()


def test_a_server_that_outlived_its_drill_is_ended_by_the_next_one(tmp_path: Path) -> None:
    """Its dead man's pipe was killed with the drill, and the signal of the kernel did not come."""
    data = tmp_path / "drills" / "drill-1" / "volume" / "data"
    data.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "-D", data]) as server:
        (data / "postmaster.pid").write_text(f"{server.pid}\n{data}\n")
        wait_for(lambda: processes_of(tmp_path), "the program to be what it is")

        assert servers_in(tmp_path).clean() == ("the drill folder drill-1",)

        assert server.wait(10) < 0


def test_a_process_that_only_has_the_number_of_an_old_server_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "drills" / "drill-1" / "volume" / "data"
    data.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        (data / "postmaster.pid").write_text(f"{stranger.pid}\n")

        assert servers_in(tmp_path).clean() == ("the drill folder drill-1",)

        assert stranger.poll() is None
        stranger.kill()


def test_an_archive_of_a_newer_major_than_every_server_here_is_refused_by_name() -> None:
    newer = manifest(codec="gzip", database=replace(FACTS, server_major=99, server_version="99.1"))

    with pytest.raises(RestoreRefused, match=r"it is of PostgreSQL 99\.1") as refused:
        programs_for(newer, os.environ["PATH"])

    assert "found only 18." in refused.value.shown_cause


def test_an_archive_of_an_older_major_goes_to_a_newer_server_and_that_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    report = RecordingReporter()
    older = manifest(codec="none", database=replace(FACTS, server_major=16, server_version="16.4"))

    with servers_in(tmp_path).server(older, report) as database:
        assert database.offers().server_major >= 17

    assert "20260131T020000Z is of PostgreSQL 16.4" in report.warnings[0]


def test_no_room_is_said_before_anything_is_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    huge = manifest(codec="gzip", database=replace(FACTS, size_bytes=10**18))

    with pytest.raises(RestoreRefused, match=r"has \d+ left"), servers_in(tmp_path).server(huge, RecordingReporter()):
        pass

    assert left_in(tmp_path) == []


def test_sqlite_is_drilled_in_a_file_of_its_own(tmp_path: Path) -> None:
    file, clock = tmp_path / "app.db", SystemClock()
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("CREATE TABLE readers (id integer PRIMARY KEY, name text)")
        session.executemany("INSERT INTO readers (name) VALUES (?)", [("Zoë",), ("",), (None,)])
    session.close()
    before, archives = file.read_bytes(), ArchiveFolder(tmp_path / "backups", STACK)
    take_backup(
        database=SqliteDatabase(SqliteEndpoint(file), clock=clock), archives=archives, clock=clock,
        report=RecordingReporter(), stack=STACK, environment="development", reason="manual",
    )  # fmt: skip

    done = drill(
        "", archives=archives, throwaways=SqliteFiles(tmp_path / "drills", clock), clock=clock,
        lock=StackLock(tmp_path / "state", "me", clock), report=RecordingReporter(), by="me",
    )  # fmt: skip

    assert (done.tables, done.rows) == (1, 3)
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("app")) == ["app.db"]
    assert left_in(tmp_path) == []


def test_the_server_is_loopback_only_and_nobody_gets_in_without_its_password(stack: Stack, tmp_path: Path) -> None:
    made = stack.backup()
    with servers_in(tmp_path).server(made, RecordingReporter()) as database:
        there = database._endpoint
        assert there.host == "127.0.0.1"
        assert there.password.reveal() not in "".join(processes_of(tmp_path))
        with pytest.raises(Exception, match="password"):
            connect(replace(there, password=type(there.password)("wrong")))
        with connect(there) as session:
            assert session.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
