"""Story: a new user's first day and first night, from the README's first command on."""

from __future__ import annotations

import urllib.request

import pytest

from tests.stories.conftest import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def answer(world: World, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{world.app_port}{path}", timeout=10) as reply:
        return reply.status, reply.read().decode()


def test_a_stranger_gets_to_a_backed_up_restored_and_rolled_back_stack(world: World) -> None:
    world.run("scripts/up")
    assert answer(world, "/health")[0] == 200
    assert answer(world, "/health/ready")[0] == 200
    services = {row["service"]: row for row in world.inv_json("ps")}
    assert {name: services[name]["health"] for name in ("db", "app")} == {"db": "healthy", "app": "healthy"}

    world.inv("seed")
    seeded = world.contents()
    assert seeded["threads"][0] > 0

    taken = world.inv_json("backup", "--note", "first night")
    listed = world.inv_json("backups")
    assert [row["id"] for row in listed] == [taken["id"]]
    assert listed[0]["sha256"] == taken["sha256"]

    with world.connect() as session:
        session.execute("DELETE FROM events")
        session.execute("UPDATE threads SET name = 'destroyed'")
    destroyed = world.contents()
    assert destroyed != seeded

    restored = world.inv_json("restore", "--latest", "--yes")
    assert world.contents() == seeded
    assert restored["away_s"] < 5
    assert answer(world, "/health/ready")[0] == 200

    world.inv("rollback", "--yes")
    assert world.contents() == destroyed

    world.inv("down")
    world.inv("up")
    assert world.contents() == destroyed
    assert answer(world, "/health/ready")[0] == 200
