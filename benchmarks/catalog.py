"""How long do the catalog and the retention policy take over 10,000 backups?

    python -m benchmarks.catalog [--backups 10000] [--repeats 5]

In the process (reading all manifests, deciding) and as a user sees it (`inv backups`, `inv prune --dry-run`, start of
Python included). The archives are sparse files of the size that their manifests say.
"""

from __future__ import annotations

import argparse
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.measured import below, load, machine, taking_turns
from benchmarks.world import SCRATCH, World, world
from ops.adapters.archive_folder import ArchiveFolder
from ops.model.backup_id import manifest_name
from ops.model.manifest_json import to_json
from ops.model.retention import decide
from ops.model.retention_policy import Policy
from tests.fakes.manifests import manifest

TARGET_S = 1.0
STACK = "opsbench"
EVERY = timedelta(hours=3)
POLICY = Policy(
    keep_last=7, keep_daily=30, keep_weekly=52, keep_monthly=60, keep_yearly=10, zone=ZoneInfo("Europe/Berlin")
)


def main() -> None:
    """Measure, print, clean up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backups", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    wanted = parser.parse_args()
    print(machine())
    now = datetime.now(UTC)
    root = SCRATCH / "catalog"
    try:
        fill(root / STACK, wanted.backups, now)
        archives = ArchiveFolder(root, STACK)
        manifests = archives.manifests()
        assert len(manifests) == wanted.backups, archives.broken()[:3]
        with world("embedded") as made:
            one = outside(made, root)
            taken = taking_turns(
                {
                    "catalog: read all manifests": lambda: ArchiveFolder(root, STACK).manifests(),
                    "retention: decide": lambda: decide(manifests, POLICY, now),
                    "both, as a prune does": lambda: decide(ArchiveFolder(root, STACK).manifests(), POLICY, now),
                    "inv backups --json": lambda: one.inv("backups", "--json"),
                    "inv prune --dry-run --json": lambda: one.inv("prune", "--dry-run", "--json"),
                },
                wanted.repeats,
            )
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(load())
    for sample in taken.values():
        print(sample)
    for sample in taken.values():
        print(below(f"{sample.name}, {wanted.backups} backups", sample.median, TARGET_S, "s"))


def fill(folder: Path, backups: int, now: datetime) -> None:
    """So many backups, the newest an hour old."""
    folder.mkdir(parents=True)
    for number in range(backups):
        made = manifest(now.replace(microsecond=0) - timedelta(hours=1) - number * EVERY, stack=STACK)
        (folder / manifest_name(made.id)).write_text(to_json(made), encoding="utf-8")
        with (folder / made.archive).open("wb") as archive:
            archive.truncate(made.size_bytes)


def outside(made: World, root: Path) -> World:
    """The same folder as the tasks of a stack see it."""
    return World(made.folder, {**made.environment, "COMPOSE_PROJECT_NAME": STACK, "BACKUP_DIR": str(root)})


if __name__ == "__main__":
    main()
