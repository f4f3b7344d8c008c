"""How long does `inv up` take beside the real Compose (`up -d --wait`), fresh and with nothing to do?

    python -m benchmarks.up [--fresh 4] [--again 3]

One folder, one stack name, the same compose file and prebuilt images for both; each fresh start finds no container,
network or volume. Both wait until every service is healthy.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

from benchmarks.measured import Sample, docker_version, load, machine, ratio, seconds
from benchmarks.world import COMPOSE, INV, World, world

FRESH_TARGET = 1.1
AGAIN_TARGET = 2.0
SIDES = {"inv up": (INV, "up"), "compose up": (str(COMPOSE), "up", "-d", "--wait")}


def main() -> None:
    """Measure, print, clean up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", type=int, default=4, help="fresh starts of each side")
    parser.add_argument("--again", type=int, default=3, help="starts with nothing to do after each of them")
    wanted = parser.parse_args()
    print(machine(docker_version()))
    with world("docker") as made:
        print("Compose", made.run([str(COMPOSE), "version", "--short"]).strip())
        made.inv("build", "--services", "app")
        taken = measure(made, wanted.fresh, wanted.again)
    print(load())
    for values in taken.values():
        print(values)
    for state, target in (("fresh", FRESH_TARGET), ("nothing to do", AGAIN_TARGET)):
        ours, theirs = (taken[f"{side}, {state}"].median for side in SIDES)
        print(ratio(f"inv up, {state}", ours, theirs, target))


def measure(made: World, fresh: int, again: int) -> dict[str, Sample]:
    """Both sides in turn: a fresh start, then nothing to do, then everything goes."""
    taken: dict[str, list[float]] = defaultdict(list)
    for number in range(fresh):
        for side, argv in list(SIDES.items())[:: 1 if number % 2 == 0 else -1]:
            taken[f"{side}, fresh"].append(seconds(lambda argv=argv: made.run(argv)))  # type: ignore[misc]
            for _ in range(again):
                taken[f"{side}, nothing to do"].append(seconds(lambda argv=argv: made.run(argv)))  # type: ignore[misc]
            made.run([str(COMPOSE), "down", "--volumes", "--timeout", "5"])
    return {name: Sample(name, tuple(values)) for name, values in sorted(taken.items())}


if __name__ == "__main__":
    main()
