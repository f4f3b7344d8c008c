"""Is a SQLite file dumped, loaded, compared and swapped without harm while an application has it open?"""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.adapters.sqlite.database import SqliteDatabase
from ops.adapters.sqlite.sessions import refuse_old
from ops.errors import (
    ArchiveCorrupt,
    ConfigurationError,
    DatabaseRefused,
    DumpFailed,
    LoadFailed,
    LockHeld,
    OpsError,
    Refused,
    RestoreRefused,
)
from ops.model.database import CopyRole, DatabaseCopy
from ops.model.endpoint import SqliteEndpoint
from ops.ports import LoadSource
from tests.fakes.clock import FakeClock
from tests.fakes.reporter import RecordingReporter

AT = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)


@pytest.fixture(params=["wal", "delete"])
def live(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "data" / "comic pile.db"
    path.parent.mkdir()
    run(
        path,
        f"PRAGMA journal_mode = {request.param}",
        "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)",
        "INSERT INTO users (name) VALUES ('a'), ('b'), (NULL)",
        "CREATE TABLE alembic_version (version_num VARCHAR(32))",
        "INSERT INTO alembic_version VALUES ('0002')",
    )
    return path


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as session:
        for statement in statements:
            session.execute(statement)


def names(path: Path) -> list[str | None]:
    with closing(sqlite3.connect(path)) as session:
        return [row[0] for row in session.execute("SELECT name FROM users ORDER BY id")]


def database_of(path: Path, **others: float) -> SqliteDatabase:
    return SqliteDatabase(SqliteEndpoint(path), clock=FakeClock(), **others)


def described(live: Path, name: str, role: CopyRole = "scratch") -> DatabaseCopy:
    return DatabaseCopy(
        name=name, role=role, live=live.name, change="restore", change_id="20260131T020000Z", created_at=AT
    )


def dump_to(path: Path, database: SqliteDatabase) -> Path:
    with path.open("wb") as file:
        database.dump(file.write, report=RecordingReporter(), lock_wait_s=1, idle_timeout_s=1)
    return path


def load_copy(database: SqliteDatabase, live: Path, archive: Path, name: str = "scratch.db") -> None:
    database.create_copy(described(live, name), database.facts())
    database.load(name, LoadSource(archive, "sqlite", "zstd"), jobs=1, report=RecordingReporter())


def litter(live: Path) -> list[str]:
    """What is beside the live file and is neither its own journal nor the lock's folder."""
    own = {live.name, f"{live.name}-wal", f"{live.name}-shm", f".{live.name}.lock"}
    return sorted(path.name for path in live.parent.iterdir() if path.name not in own)


def test_an_archive_holds_what_the_application_has_only_in_the_wal(live: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(live, isolation_level=None)) as application:
        application.execute("INSERT INTO users (name) VALUES ('just now')")
        database = database_of(live)

        archive = dump_to(tmp_path / "a.sqlite", database)

        database.decode(archive)
        load_copy(database, live, archive)
    assert names(live.with_name("scratch.db"))[-1] == "just now"
    assert database.tables("scratch.db") == database.tables()
    assert database.revisions("scratch.db") == ("0002",)


def test_a_dump_tells_what_it_holds(live: Path, tmp_path: Path) -> None:
    database = database_of(live)

    done = database.dump(lambda _: None, report=RecordingReporter(), lock_wait_s=1, idle_timeout_s=1)

    assert [(table.name, table.row_count) for table in done.tables] == [("alembic_version", 1), ("users", 3)]
    assert (done.format, done.codec, done.revisions) == ("sqlite", "zstd", ("0002",))
    assert (done.facts.kind, done.facts.name) == ("sqlite", live.name)
    assert litter(live) == []


@pytest.mark.parametrize("percent", [0, 50, 90, 99])
def test_a_cut_archive_neither_decodes_nor_loads(live: Path, tmp_path: Path, percent: int) -> None:
    database = database_of(live)
    archive = dump_to(tmp_path / "a.sqlite", database)
    with archive.open("r+b") as file:
        file.truncate(archive.stat().st_size * percent // 100)

    with pytest.raises(ArchiveCorrupt):
        database.decode(archive)
    with pytest.raises(LoadFailed):
        load_copy(database, live, archive)


def test_a_flipped_byte_does_not_decode(live: Path, tmp_path: Path) -> None:
    database = database_of(live)
    archive = dump_to(tmp_path / "a.sqlite", database)
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)

    with pytest.raises(ArchiveCorrupt):
        database.decode(archive)


def test_a_damaged_live_file_gives_no_dump(live: Path) -> None:
    run(live, "CREATE TABLE more AS WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) SELECT i FROM n")
    run(live, "CREATE INDEX more_i ON more (i)", "PRAGMA wal_checkpoint(TRUNCATE)")
    with live.open("r+b") as file:
        file.seek(-4096 * 3, os.SEEK_END)
        file.write(b"\xff" * 4096)

    with pytest.raises(DumpFailed):
        database_of(live).dump(lambda _: None, report=RecordingReporter(), lock_wait_s=1, idle_timeout_s=1)

    assert litter(live) == []


def test_a_swap_replaces_the_contents_under_an_open_application_and_keeps_the_old(live: Path, tmp_path: Path) -> None:
    database = database_of(live)
    archive = dump_to(tmp_path / "a.sqlite", database)
    load_copy(database, live, archive)
    with closing(sqlite3.connect(live, isolation_level=None)) as application:
        application.execute("DELETE FROM users")
        application.execute("INSERT INTO users (name) VALUES ('later')")
        inode = live.stat().st_ino

        database.swap("scratch.db", described(live, "kept.db", "recovery-point"))

        assert [row[0] for row in application.execute("SELECT name FROM users ORDER BY id")] == ["a", "b", None]
        assert application.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert live.stat().st_ino == inode
    assert names(live.with_name("kept.db")) == ["later"]
    assert [(copy.name, copy.role) for copy in database.copies()] == [("kept.db", "recovery-point")]
    assert litter(live) == ["kept.db", "kept.db.ops.json"]

    database.swap("kept.db", described(live, "kept-2.db", "recovery-point"))

    assert names(live) == ["later"]
    assert [copy.name for copy in database.copies()] == ["kept-2.db"]


def test_a_copy_with_other_pages_is_swapped_in_as_well(live: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    run(foreign, "PRAGMA page_size = 8192", "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
    run(foreign, "INSERT INTO users (name) VALUES ('foreign')")
    database = database_of(live)
    database.create_copy(described(live, "scratch.db"), database.facts())
    database.load("scratch.db", LoadSource(foreign, "sqlite"), jobs=1, report=RecordingReporter())

    database.swap("scratch.db", described(live, "kept.db", "recovery-point"))

    assert names(live) == ["foreign"]


def test_a_swap_that_the_application_blocks_leaves_everything_as_it_was(live: Path, tmp_path: Path) -> None:
    database = database_of(live, swap_wait_s=0.1)
    load_copy(database, live, dump_to(tmp_path / "a.sqlite", database))
    with closing(sqlite3.connect(live, isolation_level=None)) as application:
        application.execute("BEGIN IMMEDIATE")
        application.execute("INSERT INTO users (name) VALUES ('uncommitted')")

        with pytest.raises(RestoreRefused, match="it is as it was"):
            database.swap("scratch.db", described(live, "kept.db", "recovery-point"))

        application.execute("ROLLBACK")
    assert names(live) == ["a", "b", None]
    assert [copy.name for copy in database.copies()] == ["scratch.db"]


@pytest.mark.parametrize("moment", ["kept, not swapped", "swapped, not described"])
def test_a_swap_killed_around_its_one_transaction_is_told_right_afterwards(
    live: Path, tmp_path: Path, moment: str
) -> None:
    database = database_of(live)
    archive = dump_to(tmp_path / "a.sqlite", database)
    load_copy(database, live, archive)
    run(live, "INSERT INTO users (name) VALUES ('later')")

    class DyingClock(FakeClock):
        calls = 0

        def monotonic(self) -> float:
            type(self).calls += 1
            if type(self).calls == (1 if moment == "kept, not swapped" else 2):
                os.kill(os.getpid(), signal.SIGKILL)
            return super().monotonic()

    child = os.fork()
    if child == 0:
        try:
            dying = SqliteDatabase(SqliteEndpoint(live), clock=DyingClock())
            dying.swap("scratch.db", described(live, "kept.db", "recovery-point"))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

    roles = {copy.name: copy.role for copy in database.copies()}

    assert roles["scratch.db"] == "scratch"
    assert names(live.with_name("kept.db")) == ["a", "b", None, "later"]
    if moment == "kept, not swapped":
        assert names(live) == ["a", "b", None, "later"]
        assert roles["kept.db"] == "scratch"
    else:
        assert names(live) == ["a", "b", None]
        assert roles["kept.db"] == "recovery-point"


def test_a_file_without_our_description_is_never_dropped(live: Path) -> None:
    database = database_of(live)
    live.with_name("theirs.db").touch()

    for name in ("theirs.db", live.name, "../outside.db"):
        with pytest.raises(Refused):
            database.drop_copy(name)

    assert live.with_name("theirs.db").exists()
    database.drop_copy("never-there.db")


def test_dropping_a_copy_leaves_nothing_of_it(live: Path, tmp_path: Path) -> None:
    database = database_of(live)
    load_copy(database, live, dump_to(tmp_path / "a.sqlite", database))

    database.drop_copy("scratch.db")

    assert litter(live) == []
    assert database.copies() == ()


def test_orphans_and_sequences_behind_are_found(live: Path) -> None:
    run(
        live,
        "CREATE TABLE threads (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id))",
        "INSERT INTO threads VALUES (7, 99)",
        "UPDATE sqlite_sequence SET seq = 1",
    )
    database = database_of(live)

    found = database.integrity_problems(live.name)

    assert found == (
        "row 7 of threads points to a row of users that is not there",
        "the sequence of users stands at 1, its highest id is 3",
    )


def test_a_checksum_tells_storage_classes_apart_and_not_the_order_of_rows(tmp_path: Path) -> None:
    def checksum(*values: str) -> str:
        path = tmp_path / f"{abs(hash(values))}.db"
        run(path, "CREATE TABLE t (v)", *(f"INSERT INTO t VALUES ({value})" for value in values))
        (summary,) = database_of(path).tables()
        return summary.checksum

    assert checksum("1", "'a'") == checksum("'a'", "1")
    different = ["1", "1.0", "'1'", "x'31'", "NULL", "''", "x''", "'1' || char(0) || '2'", "cast(x'ff' AS TEXT)"]
    assert len({checksum(value) for value in different}) == len(different)


def test_a_missing_file_is_refused_and_a_second_holder_of_the_lock_too(live: Path) -> None:
    with pytest.raises(DatabaseRefused, match="there is no SQLite file"):
        database_of(live.with_name("absent.db")).facts()

    with database_of(live).exclusive("backup"), pytest.raises(LockHeld), database_of(live).exclusive("restore"):
        pass
    assert not database_of(live.with_name("absent.db")).exists()


def test_a_file_that_is_no_database_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("just text, and long enough to be looked at" * 100)

    with pytest.raises(OpsError):
        database_of(tmp_path / "text.db").facts()


def test_what_a_killed_dump_left_is_removed_by_the_next(live: Path, tmp_path: Path) -> None:
    left = live.with_name(f".{live.name}.passing-999999999-x")
    left.mkdir()
    (left / "copy").touch()

    dump_to(tmp_path / "a.sqlite", database_of(live))

    assert litter(live) == []


def test_the_line_to_restore_by_hand_gives_the_database_back(live: Path, tmp_path: Path) -> None:
    import zstandard

    database = database_of(live)
    archive = dump_to(tmp_path / "a.sqlite", database)

    words = database.restore_by_hand(archive.name)

    assert words == f"zstd -d -o 'restored-{live.name}' {archive.name}"
    (tmp_path / "by-hand.db").write_bytes(zstandard.decompress(archive.read_bytes()))
    assert names(tmp_path / "by-hand.db") == names(live)


def test_a_version_table_of_another_name_is_known_by_the_form_that_alembic_gives_it(tmp_path) -> None:
    database = SqliteDatabase(SqliteEndpoint(tmp_path / "other.db"), clock=FakeClock())
    seen = []
    for statement in (
        "CREATE TABLE versions (version_num VARCHAR(32), at TEXT)",
        "CREATE TABLE plain (version_num VARCHAR(32) NOT NULL)",
        "CREATE TABLE history (version_num VARCHAR(32) NOT NULL, CONSTRAINT history_pkc PRIMARY KEY (version_num))",
        "INSERT INTO history VALUES ('0003')",
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
    ):
        with closing(sqlite3.connect(tmp_path / "other.db")) as session, session:
            session.execute(statement)
        seen.append((database.version_tables(), database.revisions()))

    here = ("history",)
    assert seen == [((), ()), ((), ()), (here, ()), (here, ("0003",)), (("alembic_version",), ())]


def test_a_sqlite_that_cannot_list_its_tables_is_refused():
    refuse_old((3, 37, 0))

    with pytest.raises(ConfigurationError, match=r"3\.34\.1"):
        refuse_old((3, 34, 1))
