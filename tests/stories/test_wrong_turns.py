"""Story: what a tired person gets wrong ends with its exit code, `error:`, `cause:` and `hint:`, and loses nothing.

One world on the embedded engine serves all cases; each leaves it as it found it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.stories.conftest import World, copy_of_the_repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("wrong") / "clone"
    folder.mkdir()
    copy_of_the_repository(folder)
    made = World(folder, "embedded", f"opstest-wrong-{os.getpid()}", free_port(), free_port())
    try:
        made.inv("up")
        made.inv("migrate")
        made.inv("seed")
        made.inv("backup")
        yield made
    finally:
        made.variables.clear()
        made.run(str(Path(sys.executable).with_name("inv")), "down", "--volumes", "--yes", "--forget")


@pytest.fixture(autouse=True)
def nothing_is_lost(world: World) -> Iterator[None]:
    def archives() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (world.folder / "backups").rglob("*.dump")}

    before, kept = world.contents(), archives()
    yield
    world.variables.clear()
    assert world.contents() == before
    assert archives() == kept


def says(world: World, code: int, *words: str) -> str:
    """Run a task that must fail with that exit code and all three parts; gives what it said."""
    done = world.inv(*words, code=code)
    assert re.search(r"^ops: error: [a-zA-Z0-9]", done.stderr, re.MULTILINE), done.stderr
    assert re.search(r"^  cause: .", done.stderr, re.MULTILINE), done.stderr
    assert re.search(r"^  hint: .", done.stderr, re.MULTILINE), done.stderr
    assert "Traceback" not in done.stderr
    assert "comicpile_password" not in done.stderr + done.stdout
    return done.stderr


def test_a_wrong_password_is_refused_by_the_database(world: World) -> None:
    world.variables |= {
        "OPS_ENGINE": "url",
        "DATABASE_URL": f"postgresql+psycopg://comicpile:wrong-secret@127.0.0.1:{world.db_port}/comicpile",
    }

    said = says(world, 17, "backup")

    assert "wrong-secret" not in said


def test_a_password_changed_in_the_settings_only_is_refused_and_nothing_is_replaced(world: World) -> None:
    before = world.inv_json("ps")
    world.variables["POSTGRES_PASSWORD"] = "only-in-the-settings"

    said = says(world, 17, "up")

    assert "\\password comicpile" in said
    assert "only-in-the-settings" not in said
    world.variables.clear()
    assert world.inv_json("ps") == before


def test_a_port_that_somebody_else_holds_is_named(world: World) -> None:
    world.inv("down")
    try:
        with socket.create_server(("127.0.0.1", world.app_port)):
            said = says(world, 16, "up")
        assert str(world.app_port) in said
    finally:
        world.inv("up")


def test_an_unset_variable_of_the_production_file_is_named(world: World) -> None:
    said = says(world, 2, "plan", "--prod")

    assert "POSTGRES_PASSWORD" in said


def test_an_unknown_compose_key_is_refused_by_its_path(world: World) -> None:
    file = world.folder / "docker-compose.yml"
    whole = file.read_text()
    file.write_text(whole.replace("services:\n", "services:\n  odd:\n    image: x\n    imagined_key: 1\n", 1))
    try:
        assert "services.odd.imagined_key" in says(world, 2, "ps")
    finally:
        file.write_text(whole)


def test_a_missing_compose_file_is_named(world: World) -> None:
    file = world.folder / "docker-compose.yml"
    file.rename(file.with_suffix(".away"))
    try:
        assert "docker-compose.yml" in says(world, 2, "ps")
    finally:
        file.with_suffix(".away").rename(file)


def test_a_file_to_restore_that_is_not_there_is_named(world: World) -> None:
    assert "nowhere.dump" in says(world, 30, "restore", "--file", "nowhere.dump", "--yes")


@pytest.fixture
def archive(world: World) -> Iterator[Path]:
    """The newest archive, to be damaged; it and what was noted about it are put right afterwards."""
    path = next((world.folder / "backups" / world.project).glob("*.dump"))
    manifest = path.with_suffix(".json")
    whole, noted = path.read_bytes(), manifest.read_bytes()
    yield path
    path.write_bytes(whole)
    manifest.write_bytes(noted)


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_cut_archive_is_refused_before_anything_changes(world: World, archive: Path, keep: float) -> None:
    whole = archive.read_bytes()

    archive.write_bytes(whole[: int(len(whole) * keep)])

    says(world, 32, "restore", "--file", archive.stem, "--yes")
    says(world, 32, "verify", "--id", archive.stem)
    assert archive.stem in says(world, 30, "restore", "--latest", "--yes")


def test_one_flipped_byte_is_found(world: World, archive: Path) -> None:
    flipped = bytearray(archive.read_bytes())

    flipped[len(flipped) // 2] ^= 1
    archive.write_bytes(flipped)

    says(world, 32, "verify")
    assert archive.stem in says(world, 30, "restore", "--latest", "--yes")


def test_another_stacks_backup_is_refused_and_named(world: World) -> None:
    source = world.folder / "backups" / world.project
    other = world.folder / "backups" / "other-stack"
    shutil.copytree(source, other)
    for manifest in other.glob("*.json"):
        document = json.loads(manifest.read_text())
        document["stack"] = "other-stack"
        manifest.write_text(json.dumps(document))
    archive = next(path for path in other.iterdir() if path.suffix == ".dump")
    try:
        said = says(world, 40, "restore", "--file", str(archive), "--yes")
        assert "other-stack" in said
    finally:
        shutil.rmtree(other)


@pytest.mark.skipif(os.geteuid() != 0, reason="NEEDS ROOT: a small tmpfs can only be mounted by root")
def test_a_full_disk_fails_the_backup_and_keeps_the_older_ones(world: World, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(small)], check=True)
    try:
        world.variables["BACKUP_DIR"] = str(small)
        says(world, 21, "backup")
        assert [path for path in small.rglob("*") if path.suffix in {".dump", ".json"}] == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_database_url_that_points_elsewhere_is_refused_by_what_changes_data(world: World) -> None:
    world.variables["DATABASE_URL"] = "postgresql+psycopg://me:hunter-two@db.example.net:5432/elsewhere"

    for task in (["migrate"], ["restore", "--latest", "--yes"], ["rollback", "--yes"], ["seed"]):
        assert "hunter-two" not in says(world, 2, *task)


def test_destroying_without_a_yes_is_refused_where_nobody_can_answer(world: World) -> None:
    for task in (["restore", "--latest"], ["down", "--volumes"]):
        assert "--yes" in says(world, 14, *task)


def test_an_unknown_service_is_named_with_those_that_exist(world: World) -> None:
    assert "nonsense" in says(world, 13, "logs", "--service", "nonsense")


def test_two_changes_at_once_are_refused_with_the_holder_named(world: World) -> None:
    import fcntl

    lock = world.folder / ".ops" / world.project / "change.lock"
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        says(world, 11, "backup")


def test_an_engine_that_is_gone_after_the_first_up_is_never_replaced(world: World) -> None:
    record = world.folder / ".ops" / world.project / "engine.json"
    whole = record.read_text()
    record.write_text(json.dumps({**json.loads(whole), "engine": "docker", "identity": "somebody-else"}))
    world.variables |= {"OPS_ENGINE": "auto", "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    try:
        says(world, 10, "ps")
        says(world, 10, "up")
    finally:
        record.write_text(whole)


def test_every_dry_run_changes_nothing(world: World) -> None:
    tasks = ["up", "down", "migrate", "seed", "backup", "prune", "pin"]
    for words in ([task, "--dry-run"] for task in tasks):
        world.inv(*words)
    world.inv("restore", "--latest", "--dry-run")
    world.inv("--dry", "restore", "--latest")
    world.inv("--dry", "down", "--volumes")

    assert {row["state"] for row in world.inv_json("ps") if row["service"] in {"db", "app"}} == {"running"}


def test_failures_are_json_too(world: World) -> None:
    done = world.inv("restore", "--file", "nowhere.dump", "--yes", "--json", code=30)

    assert json.loads(done.stdout)["error"]["exit_code"] == 30
