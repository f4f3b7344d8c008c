"""Is a dump whole and of one moment, or else an error that says why and leaves nothing at the server?"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ops.adapters.postgres.decode import decode, restore_by_hand
from ops.adapters.postgres.dump import dump
from ops.adapters.postgres.table_locks import TOLD_AFTER_S
from ops.errors import ArchiveCorrupt, DatabaseRefused, DumpFailed
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from ops.ports import Dump, ToolResult
from tests.conftest import connect, postgres_binaries
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres


@dataclass(frozen=True)
class BentTools:
    """The real tools, bent in one place."""

    real: Any
    before: Callable[[], None] = lambda: None
    argv: Callable[[Sequence[str]], Sequence[str]] = list
    stated_version: str | None = None

    def run(
        self,
        argv: Sequence[str],
        *,
        on_stdout: Callable[[bytes], None] | None = None,
        password: Secret | None = None,
        environment: Mapping[str, str] | None = None,
        idle_timeout_s: float | None = None,
    ) -> ToolResult:
        self.before()
        return self.real.run(
            self.argv(argv),
            on_stdout=on_stdout,
            password=password,
            environment=environment,
            idle_timeout_s=idle_timeout_s,
        )

    def version(self) -> str:
        return self.stated_version or self.real.version()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def dump_to(
    archive: Path,
    endpoint: PostgresEndpoint,
    tools: Any,
    *,
    lock_wait_s: float = 10.0,
    idle_timeout_s: float = 30.0,
    report: RecordingReporter | None = None,
) -> Dump:
    with archive.open("wb") as out:
        return dump(
            endpoint,
            tools,
            out.write,
            report=report or RecordingReporter(),
            lock_wait_s=lock_wait_s,
            idle_timeout_s=idle_timeout_s,
        )


def run(endpoint: PostgresEndpoint, *statements: str) -> None:
    with connect(endpoint) as session:
        for statement in statements:
            session.execute(statement)


def sessions_of_ours(endpoint: PostgresEndpoint) -> list[str]:
    """What of a dump is still at the server; backends need a moment to end."""
    query = (
        "SELECT application_name FROM pg_stat_activity WHERE datname = %s AND application_name LIKE 'ops:%%'"
        " AND backend_type = 'client backend'"
    )
    with connect(endpoint) as session:
        for _ in range(50):
            left = [row[0] for row in session.execute(query, [endpoint.database]).fetchall()]
            if not left:
                return []
            time.sleep(0.1)
    return left


def test_a_dump_decodes_and_tells_what_it_holds(
    fresh_database: PostgresEndpoint, wheel_tools: Any, tmp_path: Path
) -> None:
    run(
        fresh_database,
        "CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 20000) i",
        "CREATE TABLE alembic_version (version_num text)",
        "INSERT INTO alembic_version VALUES ('0002')",
    )
    archive, report = tmp_path / "a.dump", RecordingReporter()

    done = dump_to(archive, fresh_database, wheel_tools, report=report)

    decode(wheel_tools, archive)
    assert archive.read_bytes()[:5] == b"PGDMP"
    assert {table.name: table.row_count for table in done.tables} == {"public.t": 20000, "public.alembic_version": 1}
    assert (done.revisions, done.format, done.codec) == (("0002",), "custom", "gzip")
    assert done.tool_version == wheel_tools.version()
    assert done.facts.name == fresh_database.database
    assert report.steps["dump"] == archive.stat().st_size
    assert report.steps["fingerprint"] > 1_000_000
    assert sessions_of_ours(fresh_database) == []


def test_rows_written_meanwhile_are_in_neither_the_archive_nor_the_counts(
    fresh_database: PostgresEndpoint, wheel_tools: Any, tmp_path: Path
) -> None:
    run(fresh_database, "CREATE TABLE t AS SELECT generate_series(1, 100) AS i")
    late = BentTools(wheel_tools, before=lambda: run(fresh_database, "INSERT INTO t VALUES (101)"))
    archive = tmp_path / "a.dump"

    done = dump_to(archive, fresh_database, late)

    sql = subprocess.run(
        [postgres_binaries() / "pg_restore", "--data-only", "--file=-", archive], check=True, capture_output=True
    ).stdout
    assert done.tables[0].row_count == 100
    assert b"\n100\n" in sql
    assert b"\n101\n" not in sql


def test_a_table_held_exclusively_ends_the_dump_and_names_the_holder(
    fresh_database: PostgresEndpoint, wheel_tools: Any, tmp_path: Path
) -> None:
    run(fresh_database, "CREATE TABLE held (i int)")

    with connect(fresh_database, autocommit=False) as holder:
        holder.execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        holder.execute("SELECT 'canary', * FROM held")
        pid = holder.info.backend_pid

        with pytest.raises(DumpFailed) as caught:
            dump_to(tmp_path / "a.dump", fresh_database, wheel_tools, lock_wait_s=0.3)

    assert f"pid {pid} " in caught.value.cause
    assert f'inv shell -- -c "SELECT pg_terminate_backend({pid})"' in caught.value.hint
    assert "held" in caught.value.cause
    assert "FROM held" in caught.value.cause
    assert "canary" not in caught.value.cause
    assert sessions_of_ours(fresh_database) == []


def test_a_wait_for_a_held_table_is_told_with_who_holds_it(
    fresh_database: PostgresEndpoint, wheel_tools: Any, tmp_path: Path
) -> None:
    run(fresh_database, "CREATE TABLE held (i int)")
    report = RecordingReporter()

    with connect(fresh_database, autocommit=False) as holder:
        holder.execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        pid = holder.info.backend_pid
        with pytest.raises(DumpFailed):
            dump_to(tmp_path / "a.dump", fresh_database, wheel_tools, report=report, lock_wait_s=TOLD_AFTER_S + 1)

    assert [note.partition(" (")[0] for note in report.notes] == [f"waiting at most 1 s for a table: pid {pid}"]
    assert any("holds held: LOCK TABLE held" in note for note in report.notes)


def test_a_lock_that_comes_between_ours_and_pg_dumps_is_waited_for(
    fresh_database: PostgresEndpoint, wheel_tools: Any, tmp_path: Path
) -> None:
    run(fresh_database, "CREATE TABLE t AS SELECT generate_series(1, 10) AS i")
    migrations: list[threading.Thread] = []

    def migrate() -> None:
        run(fresh_database, "ALTER TABLE t ADD COLUMN added int")

    def begin_a_migration() -> None:
        if migrations:
            return
        migrations.append(threading.Thread(target=migrate))
        migrations[0].start()
        with connect(fresh_database) as session:
            while not session.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall():
                time.sleep(0.01)

    done = dump_to(
        tmp_path / "a.dump", fresh_database, BentTools(wheel_tools, before=begin_a_migration), lock_wait_s=30
    )

    migrations[0].join()
    assert done.tables[0].row_count == 10
    decode(wheel_tools, tmp_path / "a.dump")


def test_timeouts_that_the_role_has_do_not_end_a_long_dump(
    fresh_database: PostgresEndpoint, wheel_tools: Any, tmp_path: Path
) -> None:
    name = fresh_database.database
    run(
        fresh_database,
        "CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 300000) i",
        f"ALTER DATABASE {name} SET statement_timeout = '50ms'",
        f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '50ms'",
        f"ALTER DATABASE {name} SET transaction_timeout = '150ms'",
    )

    done = dump_to(tmp_path / "a.dump", fresh_database, wheel_tools)

    assert done.tables[0].row_count == 300000


def test_a_failing_pg_dump_fails_the_dump_with_its_own_words(
    fresh_database: PostgresEndpoint, wheel_tools: Any, tmp_path: Path
) -> None:
    bent = BentTools(wheel_tools, argv=lambda argv: [*argv, "--table=no_such_table"])

    with pytest.raises(DumpFailed, match="exit code 1") as caught:
        dump_to(tmp_path / "a.dump", fresh_database, bent)

    assert "no matching tables" in caught.value.cause
    assert sessions_of_ours(fresh_database) == []


def test_a_reader_that_fails_ends_the_dump_and_frees_every_lock(
    fresh_database: PostgresEndpoint, wheel_tools: Any
) -> None:
    run(fresh_database, "CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 200000) i")

    def full(block: bytes) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        dump(fresh_database, wheel_tools, full, report=RecordingReporter(), lock_wait_s=5, idle_timeout_s=30)

    assert sessions_of_ours(fresh_database) == []


def test_a_stalled_pg_dump_is_ended_and_its_sessions_with_it(
    fresh_database: PostgresEndpoint, wheel_tools: Any, tmp_path: Path
) -> None:
    run(fresh_database, "CREATE TABLE t (i int)")

    def stopped(argv: Sequence[str]) -> Sequence[str]:
        return ["/bin/sh", "-c", 'kill -STOP $$; exec "$@"', "sh", postgres_binaries() / argv[0], *argv[1:]]

    with pytest.raises(DumpFailed, match="stalled after 0 bytes"):
        dump_to(tmp_path / "a.dump", fresh_database, BentTools(wheel_tools, argv=stopped), idle_timeout_s=0.3)

    assert sessions_of_ours(fresh_database) == []


def test_a_role_that_may_not_read_every_table_gets_no_dump(
    fresh_database: PostgresEndpoint, wheel_tools: Any, tmp_path: Path
) -> None:
    role = f"{fresh_database.database}_reader"
    run(fresh_database, "CREATE TABLE hidden (i int)", f"CREATE ROLE {role} LOGIN PASSWORD 'reader'")
    try:
        with pytest.raises(DatabaseRefused) as caught:
            dump_to(tmp_path / "a.dump", replace(fresh_database, user=role, password=Secret("reader")), wheel_tools)
    finally:
        run(fresh_database, f"DROP ROLE {role}")

    assert "hidden" in caught.value.cause


def test_a_pg_dump_of_another_major_is_refused_with_both_versions(
    fresh_database: PostgresEndpoint, wheel_tools: Any, tmp_path: Path
) -> None:
    with pytest.raises(DumpFailed, match=r"pg_dump 17\.5 .* server 18"):
        dump_to(tmp_path / "a.dump", fresh_database, BentTools(wheel_tools, stated_version="17.5"))


@pytest.mark.parametrize("percent", [50, 90, 99])
def test_a_cut_archive_does_not_decode(
    fresh_database: PostgresEndpoint, wheel_tools: Any, tmp_path: Path, percent: int
) -> None:
    run(fresh_database, "CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 20000) i")
    archive = tmp_path / "a.dump"
    dump_to(archive, fresh_database, wheel_tools)
    with archive.open("r+b") as file:
        file.truncate(archive.stat().st_size * percent // 100)

    with pytest.raises(ArchiveCorrupt, match=r"a\.dump does not decode"):
        decode(wheel_tools, archive)


def test_the_line_to_restore_by_hand_restores(
    fresh_database: PostgresEndpoint, wheel_tools: Any, tmp_path: Path
) -> None:
    run(fresh_database, "CREATE TABLE t AS SELECT generate_series(1, 10) AS i")
    dump_to(tmp_path / "a.dump", fresh_database, wheel_tools)
    there = fresh_database

    subprocess.run(
        ["/bin/sh", "-ec", restore_by_hand("a.dump", there.database)],
        check=True, cwd=tmp_path,
        env={
            "PATH": f"{postgres_binaries()}:/usr/bin:/bin", "PGHOST": there.host, "PGPORT": str(there.port),
            "PGUSER": there.user, "PGPASSWORD": there.password.reveal(),
        },
    )  # fmt: skip

    with connect(replace(there, database=f"{there.database}_restored")) as session:
        assert session.execute("SELECT count(*) FROM t").fetchone() == (10,)
