"""Is it told how far a load is, whichever way the archive comes, and does asking never spoil the load?"""

from __future__ import annotations

import gzip
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from ops.adapters.postgres import load_progress
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.postgres.load_progress import load_watched
from ops.errors import LoadFailed
from ops.model.database import DatabaseCopy
from ops.model.endpoint import PostgresEndpoint
from ops.model.manifest import Manifest
from ops.ports import LoadSource
from tests.adapters.postgres.restoring import STACK, Stack, make_stack
from tests.conftest import connect
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres


class Heard(RecordingReporter):
    """Keeps every progress, and lets somebody wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[str, int, int | None]] = []
        self.came = threading.Event()

    def progress(self, step: str, done: int, total: int | None, unit: str = "bytes") -> None:
        self.all.append((step, done, total))
        if done:
            self.came.set()


@pytest.fixture
def stack(fresh_database: PostgresEndpoint, tmp_path: Path) -> Stack:
    made = make_stack(fresh_database, tmp_path)
    made.run("CREATE TABLE books AS SELECT n AS id, repeat(md5(n::text), 30) AS text FROM generate_series(1, 5000) n")
    return made


def copy_of(stack: Stack, name: str) -> DatabaseCopy:
    taken = stack.tools.clock.now()
    return DatabaseCopy(name, "scratch", stack.endpoint.database, "restore", "20260131T020000Z", taken)


def test_the_growing_database_is_told_with_its_expected_end_while_somebody_fills_it(stack: Stack) -> None:
    heard = Heard()
    with (
        psycopg.connect(**parameters(stack), autocommit=True) as asking,
        connect(stack.endpoint) as filling,
        load_watched(asking, stack.endpoint.database, 10**9, heard, every_s=0.01),
    ):
        filling.execute("CREATE TABLE more AS SELECT repeat(md5(n::text), 30) AS text FROM generate_series(1, 5000) n")
        assert heard.came.wait(20)

    step, done, total = heard.all[-1]
    assert step == "load"
    assert 4_000_000 < done < 20_000_000
    assert total is not None
    assert 900_000_000 < total < 10**9, "what an empty database takes is no part of it"


def test_a_question_that_is_not_answered_holds_up_nobody_for_long(stack: Stack) -> None:
    def occupy() -> None:
        with suppress(psycopg.Error):
            asking.execute("SELECT pg_sleep(20)")

    with psycopg.connect(**parameters(stack), autocommit=True) as asking:
        occupied = threading.Thread(target=occupy)
        with load_watched(asking, stack.endpoint.database, 0, Heard(), every_s=0.05, patience_s=0.2):
            occupied.start()
            threading.Event().wait(0.5)
            began = time.monotonic()
        took_s = time.monotonic() - began
        asking.cancel_safe()
        occupied.join()

    assert took_s < 5


@pytest.mark.parametrize("tracked", ["on", "off"])
def test_a_session_is_seen_at_work_also_where_the_server_tracks_no_activities(
    fresh_database: PostgresEndpoint, tracked: str
) -> None:
    with connect(fresh_database) as working:
        working.execute(f"SET track_activities = {tracked}")

        _, is_busy = load_progress._seen(working, fresh_database.database)

    assert is_busy


def test_past_the_expected_size_no_end_is_told_any_more(stack: Stack) -> None:
    heard = Heard()
    with (
        psycopg.connect(**parameters(stack), autocommit=True) as asking,
        connect(stack.endpoint) as filling,
        load_watched(asking, stack.endpoint.database, 0, heard, every_s=60),
    ):
        filling.execute("CREATE TABLE more AS SELECT * FROM books")

    assert [(step, total) for step, _, total in heard.all] == [("load", None)]


def test_a_server_that_ends_the_asking_session_does_not_end_the_load(stack: Stack) -> None:
    heard = Heard()
    with (
        psycopg.connect(**parameters(stack), autocommit=True) as asking,
        load_watched(asking, stack.endpoint.database, 0, heard, every_s=0.01),
    ):
        with connect(stack.endpoint) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [asking.info.backend_pid])
        with connect(stack.endpoint) as filling:
            filling.execute("CREATE TABLE more AS SELECT * FROM books")

    assert stack.run("SELECT count(*) FROM more") == [(5000,)]


def source_of(manifest: Manifest, stack: Stack, way: str, folder: Path) -> tuple[LoadSource, int]:
    path = stack.tools.archives.path(manifest)
    file = LoadSource(path, "custom", loaded_bytes=manifest.database.size_bytes)
    if way == "stream":
        content = path.read_bytes()
        return replace(file, stream=lambda: iter([content]), stream_bytes=len(content)), 1
    if way == "plain":
        text = folder / "dump.sql.gz"
        rows = "\n".join(f"{n}\t{'x' * 900}" for n in range(5000))
        said = f"CREATE TABLE books (id int, text text);\nCOPY books FROM stdin;\n{rows}\n\\.\n"
        text.write_bytes(gzip.compress(said.encode()))
        return LoadSource(text, "plain", compression="gzip", loaded_bytes=10**9), 1
    return file, 2


@pytest.mark.parametrize("way", ["jobs", "stream", "plain"])
def test_every_way_of_loading_ends_with_what_was_loaded(stack: Stack, way: str, tmp_path: Path) -> None:
    manifest, heard = stack.backup(), Heard()
    name = f"{stack.endpoint.database}_new"
    stack.database.create_copy(copy_of(stack, name), stack.database.facts())
    source, jobs = source_of(manifest, stack, way, tmp_path)

    stack.database.load(name, source, jobs=jobs, report=heard)

    done = [done for step, done, _ in heard.all if step == "load"]
    assert stack.run("SELECT count(*) FROM books", database=name) == [(5000,)]
    assert done[-1] > 4_000_000
    assert done == sorted(done)


def test_a_load_that_fails_says_why_and_the_watching_ends(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "bad.sql"
    path.write_text("CREATE TABLE a (id int);\nSELECT 1/0;\n")
    name, before = f"{stack.endpoint.database}_new", threading.active_count()
    stack.database.create_copy(copy_of(stack, name), stack.database.facts())

    with pytest.raises(LoadFailed, match="division by zero"):
        stack.database.load(name, LoadSource(path, "plain"), jobs=1, report=Heard())

    assert threading.active_count() == before


def parameters(stack: Stack) -> dict[str, object]:
    there = stack.endpoint
    return {
        "host": there.host, "port": there.port, "user": there.user, "password": there.password.reveal(),
        "dbname": "postgres",
    }  # fmt: skip


WAITS = """
CREATE FUNCTION waits(int) RETURNS int IMMUTABLE LANGUAGE plpgsql
AS 'BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN $1; END'
"""


@pytest.mark.parametrize("way", ["jobs", "stream", "plain"])
def test_a_load_that_stands_still_is_ended_whichever_way_it_came(stack: Stack, way: str, tmp_path: Path) -> None:
    stack.run(WAITS, "CREATE INDEX ON books (waits(id))")
    manifest, name = stack.backup(), f"{stack.endpoint.database}_new"
    stack.database.create_copy(copy_of(stack, name), stack.database.facts())
    source, jobs = source_of(manifest, stack, way, tmp_path)
    if way == "plain":
        source.path.write_bytes(gzip.compress(b"SELECT pg_advisory_lock(4711);\n"))
    database = PostgresDatabase(
        replace(stack.endpoint, silence_s=5.0), stack.database._tools, stack=STACK, clock=stack.tools.clock
    )
    before = threading.active_count()

    with connect(stack.at(name)) as holder:
        holder.execute("SELECT pg_advisory_lock(4711)")
        with pytest.raises(LoadFailed, match="stalled and was ended") as failure:
            database.load(name, source, jobs=jobs, report=Heard())

    assert "no session on it was at work" in (failure.value.cause or "")
    assert failure.value.exit_code == 41
    assert threading.active_count() == before
    stack.database.drop_copy(name)
