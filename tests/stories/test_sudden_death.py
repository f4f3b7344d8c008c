"""Story: SIGKILL at random moments of a backup, restore, rollback, migrate and transfer, on both engines.

Whatever the moment: the live database is whole, no backup in the catalog is bad, no pg_dump is left running, and the
same command run again succeeds. scripts/soak repeats it (OPS_REPEAT).
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.stories.conftest import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

REPEAT = int(os.environ.get("OPS_REPEAT", "3"))


def kill_after(world: World, delay_s: float, *words: str) -> int:
    """Start a task, SIGKILL its whole process group after a while; returns its exit code (negative: our signal)."""
    started = world.start_inv(*words)
    try:
        started.wait(delay_s)
    except Exception:  # noqa: BLE001 - subprocess.TimeoutExpired: it still runs, which is the point
        os.killpg(started.pid, signal.SIGKILL)
    return started.wait(30)


def moments(shortest_s: float, longest_s: float) -> Iterator[float]:
    """When to kill, once for each repetition; OPS_SEED chooses others."""
    drawn = random.Random(os.environ.get("OPS_SEED", "7"))
    for _ in range(REPEAT):
        yield drawn.uniform(shortest_s, longest_s)


def tools_running(world: World) -> int:
    """How many dumps and restores the server still serves."""
    with world.connect() as session:
        row = session.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('pg_dump', 'pg_restore', 'psql')"
        ).fetchone()
    return row[0]


def wait_until_no_tool_runs(world: World) -> None:
    deadline = time.monotonic() + 20
    while tools_running(world):
        assert time.monotonic() < deadline, "a tool outlived the run that was killed"
        time.sleep(0.1)


@pytest.fixture
def loaded_world(world: World) -> World:
    """A stack with enough rows for a dump to take a moment."""
    world.inv("up", "--services", "db")
    world.inv("migrate")
    with world.connect() as session:
        session.execute(
            "INSERT INTO users (name, created_at, updated_at)"
            " SELECT 'reader ' || n || repeat(md5(n::text), 2), now(), now() FROM generate_series(1, 200000) n"
        )
    world.inv("backup")
    return world


def test_a_killed_backup_leaves_no_bad_backup_and_no_running_dump(loaded_world: World) -> None:
    world = loaded_world
    before = world.contents()

    for moment in moments(0.2, 3.0):
        kill_after(world, moment, "backup")

        wait_until_no_tool_runs(world)
        assert world.contents() == before
        assert all(row["verified_at"] or row["sha256"] for row in world.inv_json("backups"))
        world.inv("verify", "--all")

    taken = world.inv_json("backup")
    assert world.inv_json("backups")[0]["id"] == taken["id"]


def test_a_killed_restore_leaves_the_live_database_whole(loaded_world: World) -> None:
    world = loaded_world
    saved = world.contents()
    with world.connect() as session:
        session.execute("DELETE FROM users WHERE id % 2 = 0")
    changed = world.contents()

    for moment in moments(0.3, 4.0):
        kill_after(world, moment, "restore", "--latest", "--yes")

        wait_until_no_tool_runs(world)
        assert world.contents() in (changed, saved)
        if world.contents() == saved:
            world.inv("rollback", "--yes")
            assert world.contents() == changed

    world.inv("restore", "--latest", "--yes")
    assert world.contents() == saved
    assert scratch_databases(world) == []
    assert files_in_the_container(world) == ""


def files_in_the_container(world: World) -> str:
    """What our runs left beside the server: archives for pg_restore are as large as backups."""
    if world.engine != "docker":
        return ""
    return world.inv("exec", "--service", "db", "--", "sh", "-c", "ls -d /tmp/ops-* /var/tmp/ops-* || :").stdout


def scratch_databases(world: World) -> list[str]:
    with world.connect() as session:
        found = session.execute("SELECT datname FROM pg_database WHERE datname LIKE '%scratch%'").fetchall()
    return [name for (name,) in found]


def test_a_killed_rollback_leaves_the_database_from_before_or_after_it(loaded_world: World) -> None:
    world = loaded_world
    saved = world.contents()
    with world.connect() as session:
        session.execute("DELETE FROM users WHERE id % 2 = 0")
    changed = world.contents()

    for moment in moments(0.3, 2.5):
        world.inv("restore", "--latest", "--yes")
        kill_after(world, moment, "rollback", "--yes")

        assert world.contents() in (changed, saved)
        if world.contents() == saved:
            world.inv("rollback", "--yes")
            assert world.contents() == changed


def test_a_killed_migrate_leaves_a_database_that_the_same_command_brings_to_the_head(world: World) -> None:
    world.inv("up", "--services", "db")
    world.inv("migrate")
    head, tables = revision(world), world.contents().keys()

    for moment in moments(0.3, 3.0):
        with world.connect() as session:
            session.execute("DROP SCHEMA public CASCADE")
            session.execute("CREATE SCHEMA public")
        kill_after(world, moment, "migrate")

        wait_until_no_tool_runs(world)
        world.inv("migrate")
        assert revision(world) == head
        assert world.contents().keys() == tables
        assert world.inv_json("migrate", "--dry-run")["plan"]["steps"] == []


def revision(world: World) -> list[tuple[str]]:
    with world.connect() as session:
        return session.execute("SELECT version_num FROM alembic_version").fetchall()


def test_a_killed_transfer_leaves_the_old_database_or_the_new_one(loaded_world: World) -> None:
    world, file = loaded_world, loaded_world.folder / "moved.db"
    world.inv("transfer", "--to", f"sqlite:///{file}")
    moved = world.contents()
    with world.connect() as session:
        session.execute("DELETE FROM users WHERE id % 2 = 0")
    changed = world.contents()

    for moment in moments(0.3, 6.0):
        kill_after(world, moment, "transfer", "--source", f"sqlite:///{file}", "--yes")

        wait_until_no_tool_runs(world)
        assert world.contents() in (changed, moved)
        if world.contents() == moved:
            world.inv("rollback", "--yes")
            assert world.contents() == changed

    world.inv("transfer", "--source", f"sqlite:///{file}", "--yes")
    assert world.contents() == moved
    assert scratch_databases(world) == []
    assert list((world.folder / ".ops" / world.project).rglob("transfer/*")) == []


def test_a_killed_transfer_back_leaves_no_file_or_a_whole_one(loaded_world: World) -> None:
    world, file = loaded_world, loaded_world.folder / "back.db"
    before = world.contents()

    for moment in moments(0.3, 5.0):
        kill_after(world, moment, "transfer", "--to", f"sqlite:///{file}")

        assert world.contents() == before
        if file.exists():
            assert users_in(file) == before["users"][0]
            file.unlink()

    world.inv("transfer", "--to", f"sqlite:///{file}")
    assert users_in(file) == before["users"][0]
    assert [path.name for path in file.parent.glob("*back.db*")] == ["back.db"]
    assert list((world.folder / ".ops" / world.project).rglob("transfer/*")) == []


def users_in(file: object) -> int:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as session:
        assert session.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return int(session.execute("SELECT count(*) FROM users").fetchone()[0])
