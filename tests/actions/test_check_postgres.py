"""Does `inv check` find, on a real PostgreSQL, each of the things that it is there for?"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.check import check_stack
from ops.adapters.postgres.stats import read_stats
from ops.adapters.system_clock import SystemClock
from ops.adapters.url_engine import UrlEngine
from ops.model.certificate import CertificateFile, CertificateRules, judge_certificates
from ops.model.compose.project import Stack as Services
from ops.model.database import DatabaseCopy
from ops.model.endpoint import PostgresEndpoint
from ops.model.finding import Finding
from ops.model.manifest import Drill
from ops.model.secret import Secret
from ops.ports import Migrator
from tests.adapters.postgres.restoring import Stack, make_stack
from tests.conftest import connect
from tests.fakes.archives import FakeArchives
from tests.fakes.migrator import FakeMigrator, line

pytestmark = pytest.mark.postgres
Check = Callable[..., Mapping[str, Finding]]


@pytest.fixture
def stack(fresh_database: PostgresEndpoint, tmp_path: Path) -> Stack:
    made = make_stack(fresh_database, tmp_path)
    made.run("CREATE TABLE books AS SELECT generate_series(1, 50) AS id")
    return made


@pytest.fixture
def check(stack: Stack, tmp_path: Path) -> Check:
    def run(history: Migrator | None = None) -> Mapping[str, Finding]:
        there, now = stack.endpoint, datetime.now(UTC)
        url = f"postgresql://{there.user}:{there.password.reveal()}@{there.host}:{there.port}/{there.database}"
        certificate = CertificateFile("fullchain.pem", now - timedelta(1), now + timedelta(days=3))
        found = check_stack(
            engine=UrlEngine(Secret(url)),
            stack=Services("demo", tmp_path, (), services={}),
            database=lambda: stack.database,
            archives=stack.tools.archives,
            migrator=lambda: history,
            read_stats=lambda: read_stats(there, long_s=0.0),
            heartbeat_age_s=lambda: 1.0,
            certificates=lambda: judge_certificates([certificate], CertificateRules(("*.pem",)), now),
            clock=SystemClock(),
        )
        return {one.name: one for one in found}

    return run


def test_a_fit_stack_has_a_line_for_everything_and_nothing_critical(stack: Stack, check: Check) -> None:
    manifest = stack.backup()
    stack.tools.archives.update(replace(manifest, drill=Drill(datetime.now(UTC), 3.0, "18.1", "me")))

    found = check()

    assert set(found) == {
        "engine", "services", "programs", "revision", "backup", "drill", "catalog", "room for a backup",
        "room for a restore",
        "scheduler", "certificate", "leftovers", "copies", "swap", "wraparound", "transactions", "collation",
    }  # fmt: skip
    assert {name: one.level for name, one in found.items() if one.level != "ok"} == {"certificate": "critical"}
    assert found["backup"].message == f"newest is {manifest.id}: 0.0 h would be lost now"
    assert found["drill"].message == "last one 0.0 days ago"


def test_tables_that_create_all_made_are_not_answered_with_a_migrate_that_would_refuse(check: Check) -> None:
    found = check(FakeMigrator(line("a", "b")))["revision"]

    assert (found.level, "public.books" in found.message) == ("warning", True)
    assert "alembic stamp" in found.hint


def test_without_a_backup_everything_would_be_lost(check: Check) -> None:
    found = check()

    assert (found["backup"].level, found["drill"].level) == ("critical", "warning")


def test_a_scratch_database_that_a_killed_run_left_is_named(stack: Stack, check: Check) -> None:
    name = f"{stack.endpoint.database}_left"
    copy = DatabaseCopy(name, "scratch", stack.endpoint.database, "restore", "20260101T000000Z", datetime.now(UTC))
    stack.database.create_copy(copy, stack.database.facts())

    assert (check()["leftovers"].level, name in check()["leftovers"].message) == ("warning", True)


def test_room_for_a_restore_is_what_the_servers_own_disk_has(stack: Stack, check: Check, monkeypatch) -> None:
    free = stack.database.free_space_bytes()
    assert free is not None
    assert abs(free - shutil.disk_usage("/tmp").free) < 5e9
    assert check()["room for a restore"].level == "ok"

    monkeypatch.setattr(stack.database, "free_space_bytes", lambda: stack.database.facts().size_bytes)
    assert check()["room for a restore"].level == "critical"


def test_room_for_a_backup_is_asked_of_the_backup_folder(stack: Stack, check: Check, tmp_path: Path) -> None:
    assert check()["room for a backup"].level == "ok"

    stack.tools = replace(stack.tools, archives=FakeArchives(tmp_path, room=1000))
    assert check()["room for a backup"].level == "critical"


def test_a_transaction_that_is_open_for_long_is_named_with_what_it_last_asked(stack: Stack, check: Check) -> None:
    with connect(stack.endpoint, autocommit=False) as idle:
        idle.execute("SELECT 'what was I doing'")
        pid, found = idle.info.backend_pid, check()["transactions"]

    assert found.level == "warning"
    assert f"pid {pid}" in found.message
    assert "what was I doing" in found.message
    assert f"pg_terminate_backend({pid})" in found.hint
    assert check()["transactions"].level == "ok"


def test_a_sort_order_that_changed_under_the_database_is_critical(stack: Stack, check: Check) -> None:
    name = stack.endpoint.database
    assert check()["collation"].level == "ok"

    with connect(stack.endpoint) as session:
        session.execute("SET allow_system_table_mods = on")
        session.execute("UPDATE pg_database SET datcollversion = '0' WHERE datname = %s", [name])

    assert (check()["collation"].level, f"database {name}" in check()["collation"].message) == ("critical", True)


def test_a_collation_of_ones_own_is_looked_at_too(stack: Stack, check: Check) -> None:
    with connect(stack.endpoint) as session:
        session.execute("CREATE COLLATION mine (provider = builtin, locale = 'C.UTF-8')")
        session.execute("SET allow_system_table_mods = on")
        session.execute("UPDATE pg_collation SET collversion = '0' WHERE collname = 'mine'")

    assert (check()["collation"].level, "collation mine" in check()["collation"].message) == ("critical", True)


def test_wraparound_is_that_of_the_servers_oldest_database_not_of_ours(stack: Stack, check: Check) -> None:
    oldest = stack.run("SELECT max(greatest(age(datfrozenxid), mxid_age(datminmxid))) FROM pg_database")[0][0]
    stack.run("VACUUM FREEZE")
    ours = stack.run("SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()")[0][0]

    said = int(check()["wraparound"].message.split()[0].replace(",", ""))

    assert ours < oldest <= said < oldest + 100


def test_what_would_keep_a_restore_from_swapping_is_named(stack: Stack, check: Check) -> None:
    slot = stack.endpoint.database
    assert check()["swap"].level == "ok"

    stack.run(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    try:
        assert (check()["swap"].level, slot in check()["swap"].message) == ("warning", True)
    finally:
        stack.run(f"SELECT pg_drop_replication_slot('{slot}')")


def test_a_database_that_cannot_be_asked_spoils_its_own_lines_only(stack: Stack, check: Check) -> None:
    stack.backup()
    with connect(replace(stack.endpoint, database="postgres")) as session:
        session.execute(f'ALTER DATABASE "{stack.endpoint.database}" RENAME TO "{stack.endpoint.database}_away"')

    found = check()

    assert found["backup"].level == "ok"
    assert {found[name].level for name in ("room for a restore", "database")} == {"critical"}
