"""How long do `inv --list` and `inv ps` take beside bare Invoke with an empty task file?

    python -m benchmarks.cli [--rounds 5] [--engines embedded,docker]

Uses hyperfine where it is installed, in rounds, so that all commands meet the same load; else a loop of its own.
Processor time is printed beside the time on the wall: on a busy machine it is the steadier of the two.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measured import Sample, docker_version, load, machine, ratio
from benchmarks.world import INV, SCRATCH, World, world

PER_ROUND = 5
LIST_TARGET = 1.3
PS_TARGET = 2.0


@dataclass(frozen=True, slots=True)
class Command:
    """One program that is timed."""

    name: str
    argv: tuple[str, ...]
    folder: Path
    environment: dict[str, str]


def measure(commands: list[Command], rounds: int) -> dict[str, tuple[Sample, Sample]]:
    """Wall and processor seconds of each command, in rounds."""
    wall: dict[str, list[float]] = defaultdict(list)
    processor: dict[str, list[float]] = defaultdict(list)
    time_one = _hyperfine if shutil.which("hyperfine") else _loop
    for _ in range(rounds):
        for command in commands:
            times, spent = time_one(command)
            wall[command.name] += times
            processor[command.name] += spent
    return {
        name: (Sample(name, tuple(wall[name])), Sample(f"{name}, processor", tuple(processor[name]))) for name in wall
    }


def _hyperfine(command: Command) -> tuple[list[float], list[float]]:
    """Its processor time is the mean of the round."""
    export = SCRATCH / "hyperfine.json"
    subprocess.run(
        ["hyperfine", "-N", "-i", "--style=none", "--warmup=1", f"--runs={PER_ROUND}", f"--export-json={export}",
         " ".join(command.argv)],
        cwd=command.folder, env=command.environment, check=True, capture_output=True,
    )  # fmt: skip
    result = json.loads(export.read_text("utf-8"))["results"][0]
    return result["times"], [result["user"] + result["system"]]


def _loop(command: Command) -> tuple[list[float], list[float]]:
    times, spent = [], []
    for number in range(PER_ROUND + 1):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command.argv, cwd=command.folder, env=command.environment, check=False, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if number:  # the first warms the disk's cache
            times.append(time.perf_counter() - began)
            spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return times, spent


def main() -> None:
    """Measure, print, clean up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", default="embedded,docker")
    wanted = parser.parse_args()
    print(machine(docker_version()))
    with ExitStack() as stack:
        worlds = {engine: stack.enter_context(world(engine)) for engine in wanted.engines.split(",")}
        for made in worlds.values():
            made.inv("up")
            made.inv("ps")
        commands = [_bare(), *_ours(worlds)]
        found = measure(commands, wanted.rounds)
    print(load())
    bare_wall, bare_processor = found["bare invoke, empty task file"]
    for wall, processor in found.values():
        print(wall, processor, sep="\n")
    for name, (wall, processor) in found.items():
        if name.startswith("inv"):
            target = LIST_TARGET if "list" in name else PS_TARGET
            print(ratio(name, wall.median, bare_wall.median, target))
            print(ratio(f"{name}, processor", processor.median, bare_processor.median, target))


def _bare() -> Command:
    folder = SCRATCH / "empty"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tasks.py").write_text("")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return Command("bare invoke, empty task file", (INV, "--list"), folder, kept)


def _ours(worlds: dict[str, World]) -> list[Command]:
    first = next(iter(worlds.values()))
    listed = Command("inv --list", (INV, "--list"), first.folder, first.environment)
    asked = [Command(f"inv ps, {name}", (INV, "ps"), made.folder, made.environment) for name, made in worlds.items()]
    return [listed, *asked]


if __name__ == "__main__":
    main()
