"""`python -m benchmarks.transfer.run [--scale 1.0] [--repeat 3] [--no-fsync]`: all sides in one run, ratios, memory.

Ours is whole: copy, preflight of every value, build, load, comparison of every row, keys, sequences, ANALYZE, swap.
pgloader loads into a schema that exists, keys in place, without any comparison. The guide's script merges row by row;
it is measured on a share of each table and scaled. The bound is PostgreSQL's own COPY of the same rows from files, and
the same keys and indexes behind it. The server has its defaults, so what it says is there is on the disk, as in
anybody's stack.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measured import load, machine
from benchmarks.transfer.others import bound, guide, pgloader
from benchmarks.transfer.sample import fill, write_project
from benchmarks.transfer.server import binaries, made, migrate, server, timed

SHARE = 0.02
"""Of each table, that the guide's script moves."""


def ours(given: dict[str, Any], file: Path, project: Path, home: Path) -> tuple[float, int, dict[str, Any]]:
    """`inv transfer`'s action into a database at head."""
    name = made(given, "ours", project)
    argv = [sys.executable, "-m", "benchmarks.transfer.ours", str(file), str(project), str(home / "state"),
            given["host"], str(given["port"]), given["user"], name, str(binaries())]  # fmt: skip
    seconds, memory, said = timed(argv, stdin=given["password"] + "\n")
    return seconds, memory, json.loads(said.splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--no-fsync", action="store_true", help="a server that would lose everything with the power")
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="opstest-bench-", dir="/var/tmp") as folder:
        home = Path(folder)
        home.chmod(0o755)
        project, file = home / "project", home / "source.db"
        write_project(project)
        migrate(project, f"sqlite:///{file}")
        rows = fill(file, asked.scale)
        print(f"{rows:,} rows, {file.stat().st_size / 1e6:.0f} MB of SQLite, fsync {'off' if asked.no_fsync else 'on'}")
        with server(home, is_durable=not asked.no_fsync) as given:
            compare(given, file, project, home, asked.repeat)
    print(load())


def compare(given: dict[str, Any], file: Path, project: Path, home: Path, repeat: int) -> None:
    """Both sides in turns, then what is measured once."""
    mine, theirs = [], []
    for _ in range(repeat):
        mine.append(ours(given, file, project, home))
        if shutil.which("pgloader"):
            theirs.append(pgloader(given, file, project, home))
    best = min(mine, key=lambda one: one[0])
    steps = {name: value for name, value in best[2].items() if name.endswith("_s")}
    print(f"ours      {best[0]:6.2f} s  {best[1] / 1e6:4.0f} MB  {steps}")
    print("          all:", *(f"{one[0]:.2f}" for one in mine))
    if theirs:
        least = min(theirs)
        print(f"pgloader  {least[0]:6.2f} s  {least[1] / 1e6:4.0f} MB: ours is {least[0] / best[0]:.2f}x")
        print("          all:", *(f"{one[0]:.2f}" for one in theirs))
    copied, keyed = bound(given, home)
    alone = f"rows {copied:.2f} s, the same keys and indexes {keyed:.2f} s"
    print(f"COPY      {copied + keyed:6.2f} s  (the server alone: {alone})")
    script = guide(given, file, project, SHARE)
    print(f"guide     {script:6.0f} s  (scaled from {SHARE:.0%} of each table): ours is {script / best[0]:.0f}x")


if __name__ == "__main__":
    main()
