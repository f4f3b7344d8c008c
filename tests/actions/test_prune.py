"""Is exactly the plan carried out, and nothing where it would be unsafe?"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ops.actions.prune import PrunePlan, plan_prune, prune
from ops.errors import ArchiveUnwritable, LockHeld, PruneRefused
from ops.model.manifest import Manifest
from ops.model.retention_policy import Policy
from tests.fakes.archives import FakeArchives
from tests.fakes.clock import FakeClock
from tests.fakes.journal import FakeJournal
from tests.fakes.lock import FakeLock
from tests.fakes.manifests import AT, manifest
from tests.fakes.reporter import RecordingReporter

POLICY = Policy(keep_last=2)
NOW = AT + timedelta(days=30)


def catalog(tmp_path: Path, *more: Manifest) -> FakeArchives:
    return FakeArchives(tmp_path, *(manifest(AT + timedelta(days=day)) for day in range(5)), *more)


def carry_out(plan: PrunePlan, archives: FakeArchives, lock: FakeLock | None = None, **more: object) -> tuple[str, ...]:
    return prune(
        plan,
        lock=lock or FakeLock(),
        archives=archives,
        policy=POLICY,
        clock=FakeClock(NOW),
        report=RecordingReporter(),
        **more,
    )


def test_what_the_plan_removes_is_removed_oldest_first_and_nothing_else(tmp_path: Path) -> None:
    archives, journal = catalog(tmp_path), FakeJournal()
    plan = plan_prune(archives, POLICY, FakeClock(NOW))

    removed = carry_out(plan, archives, journal=journal, by="tester")

    assert removed == plan.removed == ("20260131T020000Z", "20260201T020000Z", "20260202T020000Z")
    assert [line for line in archives.log if line.startswith("delete")] == [f"delete {id}" for id in removed]
    assert [one.id for one in archives.manifests()] == ["20260204T020000Z", "20260203T020000Z"]
    assert plan.freed_bytes == 300_000
    assert journal.changes()[-1].details == {"removed": list(removed)}


def test_a_plan_changes_nothing_and_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    archives = catalog(tmp_path)
    plan_prune(archives, POLICY, FakeClock(NOW))
    assert archives.log == []

    carry_out(plan_prune(archives, POLICY, FakeClock(NOW)), archives)
    again = plan_prune(archives, POLICY, FakeClock(NOW))

    assert again.removed == ()
    assert carry_out(again, archives, FakeLock(held_by="a backup")) == ()


@pytest.mark.parametrize("policy", [Policy(), Policy(minimum=5)])
def test_a_policy_that_keeps_nothing_is_refused(tmp_path: Path, policy: Policy) -> None:
    with pytest.raises(PruneRefused, match="keeps nothing"):
        plan_prune(catalog(tmp_path), policy, FakeClock(NOW))


def test_nothing_is_removed_while_the_newest_looks_wrong(tmp_path: Path) -> None:
    archives = catalog(tmp_path, manifest(AT + timedelta(days=9), suspicious=("public.users went to 0 rows",)))
    plan = plan_prune(archives, POLICY, FakeClock(NOW))

    assert plan.removed == ()
    with pytest.raises(PruneRefused) as caught:
        carry_out(plan, archives)
    assert "public.users went to 0 rows" in caught.value.cause
    assert archives.log == []


def test_a_catalog_that_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    archives = catalog(tmp_path)
    plan = plan_prune(archives, POLICY, FakeClock(NOW))
    archives.update(manifest(AT, pinned=True))

    with pytest.raises(PruneRefused, match="changed since the plan"):
        carry_out(plan, archives)

    assert len(archives.manifests()) == 5


def test_another_change_holds_pruning_off(tmp_path: Path) -> None:
    archives = catalog(tmp_path)

    with pytest.raises(LockHeld):
        carry_out(plan_prune(archives, POLICY, FakeClock(NOW)), archives, FakeLock(held_by="restore"))

    assert len(archives.manifests()) == 5


def test_a_file_that_cannot_be_removed_stops_the_run_and_the_newer_ones_stay(tmp_path: Path) -> None:
    class Stuck(FakeArchives):
        def delete(self, manifest: Manifest) -> None:
            if manifest.id == "20260201T020000Z":
                raise ArchiveUnwritable("the backup folder cannot be written to")
            super().delete(manifest)

    archives, journal = Stuck(tmp_path, *catalog(tmp_path).manifests()), FakeJournal()

    with pytest.raises(ArchiveUnwritable):
        carry_out(plan_prune(archives, POLICY, FakeClock(NOW)), archives, journal=journal)

    assert len(archives.manifests()) == 4
    assert journal.changes()[-1].state == "failed"
    assert journal.changes()[-1].details["removed"] == ["20260131T020000Z"]
