"""Story: SIGKILL during a backup and during a restore, at random moments, on both engines.

Whatever the moment: the live database is whole, no backup in the catalog is bad, no pg_dump is left running, and the
same command run again succeeds. scripts/soak repeats it (OPS_REPEAT).
"""

from __future__ import annotations

import os
import random
import signal
import time

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
    moments = random.Random(os.environ.get("OPS_SEED", "7"))

    for _ in range(REPEAT):
        kill_after(world, moments.uniform(0.2, 3.0), "backup")

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
    moments = random.Random(os.environ.get("OPS_SEED", "7"))

    for _ in range(REPEAT):
        kill_after(world, moments.uniform(0.3, 4.0), "restore", "--latest", "--yes")

        wait_until_no_tool_runs(world)
        assert world.contents() in (changed, saved)
        if world.contents() == saved:
            world.inv("rollback", "--yes")
            assert world.contents() == changed

    world.inv("restore", "--latest", "--yes")
    assert world.contents() == saved
    with world.connect() as session:
        left = session.execute("SELECT datname FROM pg_database WHERE datname LIKE '%scratch%'").fetchall()
    assert left == []
