"""Do PostgreSQL, SQLite and the database in memory keep the same promises?"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.adapters.local_tools import LocalTools
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.sqlite.database import SqliteDatabase
from ops.adapters.system_clock import SystemClock
from ops.errors import ArchiveCorrupt, DatabaseRefused, LoadFailed, LockHeld, Refused
from ops.model.copy_name import copy_name
from ops.model.database import CopyRole, DatabaseCopy
from ops.model.endpoint import PostgresEndpoint, SqliteEndpoint
from ops.ports import Database, Dump, LoadSource
from tests.conftest import connect, postgres_binaries
from tests.fakes.database import FakeDatabase
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres

AT = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Subject:
    """A database with two users, and a way to add one behind its back."""

    database: Database
    live: str
    users: str
    add_user: Callable[[str], object]
    again: Callable[[], Database]
    """Another object for the same database, as another process would have it."""


def memory(_: pytest.FixtureRequest, __: Path) -> Subject:
    database = FakeDatabase({"public.users": ["a", "b"], "public.alembic_version": ["0002"]})
    users = database.tables_of[database.live]["public.users"]
    return Subject(database, database.live, "public.users", users.append, lambda: FakeDatabase(held_by="backup"))


def sqlite(_: pytest.FixtureRequest, folder: Path) -> Subject:
    path = folder / "live.db"

    def run(*statements: str) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as session:
            for statement in statements:
                session.execute(statement)

    run(*_statements("INTEGER PRIMARY KEY"))

    def open_again() -> Database:
        return SqliteDatabase(SqliteEndpoint(path), clock=SystemClock())

    return Subject(
        open_again(), path.name, "users", lambda name: run(f"INSERT INTO users (name) VALUES ('{name}')"), open_again
    )


def postgres(request: pytest.FixtureRequest, _: Path) -> Subject:
    endpoint: PostgresEndpoint = request.getfixturevalue("fresh_database")

    def run(*statements: str) -> None:
        with connect(endpoint) as session:
            for statement in statements:
                session.execute(statement)

    run(*_statements("bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"))

    def open_again() -> Database:
        tools = LocalTools(postgres_binaries(), endpoint)
        return PostgresDatabase(endpoint, tools, stack="opstest", clock=SystemClock())

    return Subject(
        open_again(),
        endpoint.database,
        "public.users",
        lambda name: run(f"INSERT INTO users (name) VALUES ('{name}')"),
        open_again,
    )


def _statements(key: str) -> Sequence[str]:
    return (
        f"CREATE TABLE users (id {key}, name text)",
        "INSERT INTO users (name) VALUES ('a'), ('b')",
        "CREATE TABLE alembic_version (version_num varchar(32))",
        "INSERT INTO alembic_version VALUES ('0002')",
    )


MAKERS = {"memory": memory, "sqlite": sqlite, "postgres": postgres}


@pytest.fixture(params=MAKERS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    return MAKERS[request.param](request, tmp_path)


def dumped(subject: Subject, archive: Path) -> Dump:
    with archive.open("wb") as file:

        def write(block: bytes) -> None:
            file.write(block)

        return subject.database.dump(write, report=RecordingReporter(), lock_wait_s=5, idle_timeout_s=30)


def described(subject: Subject, role: CopyRole, id: str = "20260131T020000Z") -> DatabaseCopy:
    return DatabaseCopy(copy_name(subject.live, role, id), role, subject.live, "restore", id, AT)


def loaded(subject: Subject, archive: Path, id: str = "20260131T020000Z") -> str:
    done = dumped(subject, archive)
    scratch = described(subject, "scratch", id)
    compression = "zstd" if done.format == "sqlite" else "none"
    subject.database.create_copy(scratch, subject.database.facts())
    subject.database.load(
        scratch.name, LoadSource(archive, done.format, compression), jobs=1, report=RecordingReporter()
    )
    return scratch.name


def count(subject: Subject, name: str | None = None) -> int:
    return {table.name: table.row_count for table in subject.database.tables(name)}[subject.users]


def test_what_a_dump_says_is_what_the_database_holds(subject: Subject, tmp_path: Path) -> None:
    done = dumped(subject, tmp_path / "archive")

    subject.database.decode(tmp_path / "archive")
    assert done.tables == subject.database.tables()
    assert done.revisions == subject.database.revisions() == ("0002",)
    own = subject.database.version_tables()
    assert [name for name in own if name in {table.name for table in done.tables}] == list(own)
    assert done.facts.name == subject.live


def test_what_was_loaded_equals_what_was_dumped(subject: Subject, tmp_path: Path) -> None:
    name = loaded(subject, tmp_path / "archive")

    assert subject.database.tables(name) == subject.database.tables()
    assert subject.database.revisions(name) == ("0002",)
    assert subject.database.integrity_problems(name) == ()
    subject.database.analyze(name)
    assert [copy.name for copy in subject.database.copies()] == [name]


def test_a_cut_archive_neither_decodes_nor_loads(subject: Subject, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    done = dumped(subject, archive)
    archive.write_bytes(archive.read_bytes()[:-20])
    scratch = described(subject, "scratch")
    subject.database.create_copy(scratch, subject.database.facts())
    compression = "zstd" if done.format == "sqlite" else "none"

    with pytest.raises(ArchiveCorrupt):
        subject.database.decode(archive)
    with pytest.raises(LoadFailed):
        subject.database.load(
            scratch.name, LoadSource(archive, done.format, compression), jobs=1, report=RecordingReporter()
        )
    assert count(subject) == 2


def test_a_swap_brings_the_copy_to_life_and_keeps_the_old_and_goes_back(subject: Subject, tmp_path: Path) -> None:
    name = loaded(subject, tmp_path / "archive")
    subject.add_user("later")
    kept, again = described(subject, "recovery-point"), described(subject, "recovery-point", "20260131T020001Z")

    away_s = subject.database.swap(name, kept)

    assert away_s >= 0
    assert (count(subject), count(subject, kept.name)) == (2, 3)
    assert [copy.name for copy in subject.database.copies()] == [kept.name]

    subject.database.swap(kept.name, again)

    assert (count(subject), count(subject, again.name)) == (3, 2)
    assert [(copy.name, copy.role) for copy in subject.database.copies()] == [(again.name, "recovery-point")]


def test_a_copy_is_dropped_but_never_the_live_database(subject: Subject, tmp_path: Path) -> None:
    name = loaded(subject, tmp_path / "archive")

    subject.database.drop_copy(name)
    subject.database.drop_copy(name)

    assert subject.database.copies() == ()
    assert not subject.database.exists(name)
    with pytest.raises(Refused):
        subject.database.drop_copy(subject.live)
    assert count(subject) == 2


def test_a_copy_says_of_itself_what_it_was_told_last(subject: Subject, tmp_path: Path) -> None:
    name = loaded(subject, tmp_path / "archive")

    subject.database.describe_copy(
        DatabaseCopy(name, "kept", subject.live, "restore", "20260131T020000Z", AT, expires_at=AT)
    )

    (copy,) = subject.database.copies()
    assert (copy.role, copy.expires_at, copy.created_at, copy.change) == ("kept", AT, AT, "restore")


def test_a_missing_database_is_refused(subject: Subject) -> None:
    assert subject.database.exists()
    assert not subject.database.exists("never_made")
    with pytest.raises(DatabaseRefused):
        subject.database.facts("never_made")


def test_one_change_at_a_time(subject: Subject) -> None:
    with subject.database.exclusive("backup"), pytest.raises(LockHeld), subject.again().exclusive("restore"):
        pass
