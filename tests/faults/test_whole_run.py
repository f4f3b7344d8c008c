"""What only a whole run shows: secrets and file modes of every task that touches a backup, on a real embedded stack.

Case 12 of docs/faults.md, and the drill of case 25 through the command line, killed and repeated.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.stories.conftest import ENGINES, INV, World, copy_of_the_repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
CANARY = "canary-5f1e-secret"
CHANGES = (
    ["backup", "--json"], ["restore", "--latest", "--yes", "--json"], ["rollback", "--yes"],
    ["verify", "--drill", "--json"],
)  # fmt: skip
RUNS = {
    "docker": CHANGES,  # what shows things shows them by the same code
    "embedded": (
        *CHANGES, ["backup", "--note", "x"], ["backups", "--json"], ["verify", "--all"], ["config"], ["plan"],
        ["check"], ["stats"],
    ),
}  # fmt: skip


@contextmanager
def canary_world(engine: str, folder: Path) -> Iterator[World]:
    """A stack whose password is a canary and whose umask hides nothing."""
    copy_of_the_repository(folder)
    made = World(
        folder, engine, f"opstest-fault-{os.getpid()}-{engine}", free_port(), free_port(), {"POSTGRES_PASSWORD": CANARY}
    )
    previous = os.umask(0)
    try:
        made.inv("up", "--services", "db")
        made.inv("migrate")
        with made.connect(password=CANARY) as session:
            session.execute(
                "INSERT INTO users (name, created_at, updated_at)"
                " SELECT 'reader ' || n, now(), now() FROM generate_series(1, 20000) n"
            )
        yield made
    finally:
        os.umask(previous)
        subprocess.run(
            [str(INV), "down", "--volumes", "--yes", "--forget"], cwd=folder, env=made.environment,
            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120,
        )  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """On the embedded engine."""
    with canary_world("embedded", tmp_path_factory.mktemp("fault")) as made:
        yield made


@pytest.fixture(params=ENGINES)
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """On each engine: what runs in a container is seen from outside like every other process."""
    if request.param == "embedded":
        yield request.getfixturevalue("world")
        return
    (tmp_path / "clone").mkdir()
    with canary_world(request.param, tmp_path / "clone") as made:
        yield made


@contextmanager
def watched_processes() -> Iterator[set[str]]:
    """Every command line that holds the canary, looked for all the time."""
    found: set[str] = set()
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.005):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = file.read_bytes()
                except OSError:
                    continue
                if CANARY.encode() in words:
                    found.add(words.replace(b"\0", b" ").decode(errors="replace"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join(10)


def written_by(world: World) -> dict[Path, os.stat_result]:
    """Backups and the stack's state, but for the data of the database and what a server's user must pass."""
    roots = [world.folder / "backups" / world.project, world.folder / ".ops" / world.project]
    return {
        path: path.lstat()
        for root in roots
        for path in [root, *root.rglob("*")]
        if "volumes" not in path.parts and path.exists()
    }


def test_no_run_shows_its_password_in_an_argument_an_output_or_a_file(any_world: World) -> None:
    world = any_world
    said = []
    with watched_processes() as seen:
        for words in RUNS[world.engine]:
            done = subprocess.run(
                [str(INV), *words], cwd=world.folder, env=world.environment, capture_output=True, text=True,
                stdin=subprocess.DEVNULL, check=False, timeout=120,
            )  # fmt: skip
            assert done.returncode in {0, 3, 4}, (words, done.stderr)
            said.append(done.stdout + done.stderr)

    assert seen == set()
    assert [text for text in said if CANARY in text] == []
    holding = [str(path) for path in written_by(world) if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert holding == []


def test_files_are_0600_and_folders_0700_whatever_the_umask(world: World) -> None:
    """Folders on the way to a server's data may be passed through (0711), never listed."""
    world.inv("backup")

    backups = {path: found for path, found in written_by(world).items() if "backups" in path.parts}
    assert len(backups) >= 3
    assert stat.S_IMODE((world.folder / ".ops").lstat().st_mode) & 0o022 == 0
    for path, found in written_by(world).items():
        mode = stat.S_IMODE(found.st_mode)
        if stat.S_ISDIR(found.st_mode):
            assert mode == 0o700 or (path not in backups and mode & 0o066 == 0), f"{path} {mode:o}"
        elif stat.S_ISREG(found.st_mode):
            assert mode & 0o077 == 0, f"{path} {mode:o}"


def test_a_drill_that_is_killed_leaves_the_stack_as_it_was_and_the_next_backup_removes_its_folder(world: World) -> None:
    world.inv("backup")
    drills = world.folder / ".ops" / world.project / "drills"
    started = world.start_inv("verify", "--drill")
    deadline = time.monotonic() + 60
    while not list(drills.glob("drill-*/volume/data/postmaster.pid")):
        assert time.monotonic() < deadline
        assert started.poll() is None
        time.sleep(0.005)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait(30)
    (left,) = drills.glob("drill-*")

    said = world.inv("backup").stderr

    assert f"removed the drill folder {left.name}" in said
    assert list(drills.iterdir()) == []
    done = world.inv_json("verify", "--drill")
    assert (done["good"], done["rows"]) == (True, 20_001)
    assert world.inv_json("backups")[0]["drilled_at"] == done["drill"]["at"]
    assert world.inv_json("scheduler", "--once", "drill")["rows"] == 20_001
