"""Faults of what lies in the backup folder: found by verify, refused by restore, and no reason to lose a good backup.

Cases 13, 14, 16 and 25 of docs/faults.md, on real archives.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.drill import drill
from ops.actions.list_backups import refuse_older_than
from ops.actions.pin import acknowledge
from ops.actions.prune import plan_prune, prune
from ops.actions.verify import refuse_problems, verify
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.throwaway.local_server import LocalServers
from ops.errors import ArchiveCorrupt, BackupTooOld, DataDiffers, OpsError, PruneRefused
from ops.model.manifest import Manifest
from ops.model.retention import is_good
from ops.model.retention_policy import parse_policy
from tests.adapters.postgres.restoring import STACK, Stack
from tests.conftest import postgres_binaries
from tests.fakes.clock import FakeClock
from tests.fakes.reporter import RecordingReporter
from tests.faults.offsite import killed_after

pytestmark = pytest.mark.postgres
DAMAGES = ["flipped early", "flipped in the middle", "cut at 50", "cut at 90", "cut at 99", "grown"]


def damage(path: Path, how: str) -> None:
    whole = bytearray(path.read_bytes())
    if how.startswith("flipped"):
        whole[len(whole) // 2 if "middle" in how else 5] ^= 1
    elif how == "grown":
        whole += b"\0"
    else:
        del whole[len(whole) * int(how.rpartition(" ")[2]) // 100 :]
    path.write_bytes(whole)


def uncompressed(stack: Stack, manifest: Manifest) -> Manifest:
    """The same backup as `pg_dump -Z0` would have made it: PostgreSQL itself finds no flipped byte in one."""
    there, path = stack.endpoint, stack.tools.archives.path(manifest)
    made = subprocess.run(
        [
            postgres_binaries() / "pg_dump", "--format=custom", "--compress=0", f"--host={there.host}",
            f"--port={there.port}", f"--username={there.user}", there.database,
        ],
        env={**os.environ, "PGPASSWORD": there.password.reveal()}, check=True, capture_output=True,
    ).stdout  # fmt: skip
    path.write_bytes(made)
    digest = hashlib.sha256(made).hexdigest()
    plain = replace(
        manifest, codec="none", size_bytes=len(made), sha256=digest, plain_size_bytes=len(made), plain_sha256=digest
    )
    stack.tools.archives.update(plain)
    return plain


@pytest.mark.parametrize("codec", ["gzip", "none"])
@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_archive_is_found_refused_and_counts_no_more(stack: Stack, how: str, codec: str) -> None:
    made, archives = stack.backup(), stack.tools.archives
    if codec == "none":
        made = uncompressed(stack, made)
    before = stack.database.tables()
    damage(archives.path(made), how)

    with pytest.raises(OpsError) as refused:
        stack.restore(file=made.id)
    results = verify(
        [], archives=archives, database=stack.database, lock=stack.tools.lock, clock=stack.tools.clock,
        report=RecordingReporter(),
    ) if archives.manifests() else ()  # fmt: skip

    assert refused.value.exit_code == 32
    assert stack.database.tables() == before
    assert stack.databases() == [stack.endpoint.database]
    assert [one for one in archives.manifests() if is_good(one)] == []
    if results:
        with pytest.raises(ArchiveCorrupt):
            refuse_problems(results)
    else:
        assert any(made.id in text for text in archives.broken())


@pytest.mark.parametrize("share", [10, 0])
def test_a_collapse_is_kept_flagged_and_withholds_pruning_until_it_is_acknowledged(stack: Stack, share: int) -> None:
    archives, lock, clock = stack.tools.archives, stack.tools.lock, stack.tools.clock
    good = [stack.backup() for _ in range(2)]
    stack.run(f"DELETE FROM books WHERE id > {40000 * share // 100}")
    newest = stack.backup()
    policy = parse_policy({"keep-last": 1}, UTC)

    assert newest.suspicious
    assert f"backup {newest.id} looks wrong" in stack.report.warnings[-1]
    plan = plan_prune(archives, policy, clock)
    assert plan.withheld
    with pytest.raises(PruneRefused):
        prune(plan, lock=lock, archives=archives, policy=policy, clock=clock, report=stack.report)
    assert len(archives.manifests()) == 3

    acknowledge(newest.id, lock=lock, archives=archives, clock=clock)
    plan = plan_prune(archives, policy, clock)
    removed = prune(plan, lock=lock, archives=archives, policy=policy, clock=clock, report=stack.report)
    assert set(removed) == {one.id for one in good}
    assert [one.id for one in archives.manifests()] == [newest.id]


def test_after_thirty_days_of_failures_the_last_good_backup_is_there_and_the_age_is_red(stack: Stack) -> None:
    """The prune after each failed night is the scheduler's not to run; here somebody runs it all the same."""
    made, archives = stack.backup(), stack.tools.archives
    policy = parse_policy({"keep-daily": 7}, UTC)
    for day in range(1, 31):
        clock = FakeClock(datetime.now(UTC) + timedelta(days=day))
        plan = plan_prune(archives, policy, clock)
        assert plan.removed == ()
        prune(plan, lock=stack.tools.lock, archives=archives, policy=policy, clock=clock, report=stack.report)

    assert archives.manifests() == (made,)
    archives.check(made, stack.report)
    with pytest.raises(BackupTooOld, match=r"72\d\.\d h old") as old:
        refuse_older_than(archives, clock, timedelta(hours=26))
    assert old.value.exit_code == 33


@pytest.mark.parametrize("step", ["manifest removed", "archive removed"])
def test_a_prune_killed_after_any_step_of_a_deletion_leaves_whole_backups_only(stack: Stack, step: str) -> None:
    folder = stack.tools.archives._folder.parent  # type: ignore[attr-defined]
    made = [stack.backup() for _ in range(3)]
    policy = parse_policy({"keep-last": 1}, UTC)

    def die_at(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            dying = ArchiveFolder(folder, STACK, checkpoint=die_at)
            plan = plan_prune(dying, policy, stack.tools.clock)
            prune(
                plan, lock=stack.tools.lock, archives=dying, policy=policy, clock=stack.tools.clock,
                report=RecordingReporter(),
            )  # fmt: skip
        finally:
            os._exit(70)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    archives = ArchiveFolder(folder, STACK)
    assert ended == -signal.SIGKILL
    assert made[-1] in archives.manifests()
    for one in archives.manifests():
        archives.check(one, stack.report)
    archives.clean()
    plan = plan_prune(archives, policy, stack.tools.clock)
    prune(plan, lock=stack.tools.lock, archives=archives, policy=policy, clock=stack.tools.clock, report=stack.report)
    assert archives.manifests() == (made[-1],)
    assert archives.broken() == ()


@pytest.mark.parametrize("attempt", range(int(os.environ.get("OPS_REPEAT", "1"))))
def test_a_prune_killed_at_a_random_moment_leaves_whole_backups_only(stack: Stack, attempt: int) -> None:
    moment = random.Random(f"{os.environ.get('OPS_SEED', '7')} {attempt}")
    stack.run("TRUNCATE books")
    archives, policy = stack.tools.archives, parse_policy({"keep-last": 1}, UTC)
    made = [stack.backup() for _ in range(6)]

    def work() -> None:
        plan = plan_prune(archives, policy, stack.tools.clock)
        prune(
            plan, lock=stack.tools.lock, archives=archives, policy=policy, clock=stack.tools.clock,
            report=RecordingReporter(),
        )  # fmt: skip

    killed_after(moment.uniform(0.0, 0.03), work)

    for one in archives.manifests():
        archives.check(one, stack.report)
    archives.clean()
    work()
    assert archives.manifests() == (made[-1],)
    assert archives.broken() == ()


def test_a_drill_catches_an_archive_that_is_intact_but_empty(stack: Stack, tmp_path: Path) -> None:
    """Size, hash and decoding are all in order; only loading it and counting tells."""
    tmp_path.chmod(0o711)
    made, archives = stack.backup(), stack.tools.archives
    stack.run("TRUNCATE books")
    empty = replace(uncompressed(stack, made), tables=made.tables)
    archives.update(empty)
    report = RecordingReporter()
    refuse_problems(
        verify(
            [], archives=archives, database=stack.database, lock=stack.tools.lock, clock=stack.tools.clock,
            report=report,
        )
    )  # fmt: skip
    servers = LocalServers(tmp_path / "drills", tmp_path, os.environ["PATH"], STACK, stack.tools.clock)

    with pytest.raises(DataDiffers, match="throwaway") as found:
        drill(
            "", archives=archives, throwaways=servers, lock=stack.tools.lock, clock=stack.tools.clock, report=report,
            by="me",
        )  # fmt: skip

    assert "public.books: 40000 rows" in found.value.shown_cause
    assert not is_good(archives.find(made.id))
