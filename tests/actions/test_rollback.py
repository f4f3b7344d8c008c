"""Which way does a rollback take, and is nothing lost on any of them that is not kept?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ops.actions.rollback import plan_rollback, rollback
from ops.actions.rollback_run import RollbackTools
from ops.errors import Irreversible, LockHeld, RestoreRefused, RevisionConflict, UpgradeFailed
from ops.model.change import Change, RecoveryPoint
from ops.model.rollback_plan import TableDifference
from tests.actions.restoring import Bench
from tests.fakes.lock import FakeLock
from tests.fakes.migrator import LIVE, FakeMigrator, line

DROPS = {"c": "DROP TABLE old", "-c": "CREATE TABLE old (x int)"}


def migrated(bench: Bench, start: str, *applied: str, state: str = "finished", backup: str = "") -> Change:
    """A migrate of the live database, as its action writes it down."""
    bench.pass_time()
    change = Change(
        id=f"{bench.clock.now():%Y%m%dT%H%M%SZ}", kind="migrate", state="started", at=bench.clock.now(), by="ann",
        database=LIVE, from_revisions=(start,), to_revisions=applied[-1:] or ("c",),
    )  # fmt: skip
    bench.journal.append(change)
    if applied:
        bench.migrator.at[LIVE] = applied[-1:]
    if state != "started":
        kept = RecoveryPoint("backup", backup) if backup else None
        ended = replace(change, state=state, recovery=kept, details={"applied": list(applied)})
        bench.journal.append(ended if applied else replace(ended, to_revisions=(start,)))
    return change


def bench_at(folder: Path, revision: str, **sql: str) -> Bench:
    return Bench(folder, FakeMigrator(line("a", "b", "c"), at=[revision], sql={**DROPS, **sql} if sql else {}))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return bench_at(tmp_path, "a")


def test_with_no_change_there_is_nothing_to_go_back_to(bench: Bench) -> None:
    with pytest.raises(Irreversible, match=f"there is no change of {LIVE} to roll back"):
        bench.plan_rollback()


def test_a_restore_is_rolled_back_by_a_swap_and_so_is_that_rollback(bench: Bench) -> None:
    bench.backup()
    bench.rows = ["now"]
    bench.restore(is_latest=True)
    seen = [bench.rows]

    for _ in range(3):
        assert bench.rollback().way == "swap"
        seen.append(bench.rows)

    assert seen == [["a", "b"], ["now"], ["a", "b"], ["now"]]
    assert len(bench.database.copies()) == 1


def test_the_plan_of_a_swap_says_what_would_be_set_aside(bench: Bench) -> None:
    bench.backup()
    restored = bench.restore(is_latest=True)
    bench.rows = ["a", "b", "since"]

    plan = bench.plan_rollback()

    assert (plan.way, plan.undoes, plan.undone_kind, plan.estimate_s) == ("swap", restored.change_id, "restore", 1.0)
    assert TableDifference("public.users", 3, 2) in plan.set_aside
    assert plan.keeps is not None
    assert plan.keeps.kind == "database"


def test_a_migrate_that_loses_nothing_backwards_is_undone_in_place_and_done_again_by_the_next(bench: Bench) -> None:
    migrated(bench, "a", "b", "c")
    bench.rows = ["a", "b", "since"]

    first = bench.rollback()
    second = bench.rollback()
    third = bench.rollback()

    assert [(done.way, done.revisions) for done in (first, second, third)] == [
        ("downgrade", ("a",)), ("upgrade", ("c",)), ("swap" if third.way == "swap" else third.way, third.revisions),
    ]  # fmt: skip
    assert third.revisions == ("a",)
    assert bench.rows == ["a", "b", "since"]
    assert first.kept is None


def test_what_was_written_into_what_a_migrate_made_is_kept_in_a_backup_before_it_goes(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, "a", **{"b": "CREATE TABLE made (x int)", "-b": "DROP TABLE made"})
    migrated(bench, "a", "b")
    bench.database.tables_of[LIVE]["public.made"] = ["since"]

    plan = bench.plan_rollback()
    report = bench.rollback()

    assert (plan.way, plan.steps) == ("downgrade", ("b",))
    assert len(plan.loses) == 1
    assert " rows)" in plan.loses[0]
    assert report.kept == RecoveryPoint("backup", bench.archives.manifests()[0].id)
    assert bench.archives.manifests()[0].reason == "before-rollback"
    bench.rollback()
    assert bench.database.tables_of[LIVE]["public.made"] == ["since"]
    assert bench.database.revisions() == ("b",)


def test_a_table_that_a_migrate_made_and_that_is_empty_is_no_loss(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, "a", **{"b": "CREATE TABLE made (x int)", "-b": "DROP TABLE made"})
    migrated(bench, "a", "b")
    bench.database.tables_of[LIVE]["public.made"] = []

    assert bench.rollback().kept is None
    assert bench.archives.manifests() == ()


def test_without_a_place_for_a_backup_nothing_is_dropped(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, "a", **{"b": "CREATE TABLE made (x int)", "-b": "DROP TABLE made"})
    migrated(bench, "a", "b")
    bench.database.tables_of[LIVE]["public.made"] = ["since"]

    with pytest.raises(Irreversible, match="would lose data, and no backup can be kept"):
        plan_rollback(RollbackTools(bench.tools))


def test_a_destructive_migrate_is_undone_by_restoring_the_backup_it_kept(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, "b", **DROPS)
    kept = bench.backup("before-migrate")
    change = migrated(bench, "b", "c", backup=kept.id)
    bench.rows = ["a", "b", "since"]

    plan = bench.plan_rollback()
    report = bench.rollback()

    assert (plan.way, plan.recovery, plan.revisions_after) == ("restore", RecoveryPoint("backup", kept.id), ("b",))
    assert TableDifference("public.users", 3, 2) in plan.set_aside
    assert (bench.rows, bench.database.revisions()) == (["a", "b"], ("b",))
    assert report.restored is not None
    assert bench.journal.lines[-1].undoes == change.id
    assert bench.rollback().way == "swap"
    assert (bench.rows, bench.database.revisions()) == (["a", "b", "since"], ("c",))


def test_a_destructive_migrate_without_a_backup_cannot_be_undone(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, "b", **DROPS)
    migrated(bench, "b", "c")

    with pytest.raises(Irreversible, match="cannot be undone without loss") as refusal:
        bench.plan_rollback()

    assert "drop" in (refusal.value.cause or "").lower()


def test_a_backup_that_was_deleted_meanwhile_is_named(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, "b", **DROPS)
    kept = bench.backup("before-migrate")
    migrated(bench, "b", "c", backup=kept.id)
    bench.archives.delete(kept)

    with pytest.raises(Irreversible, match=f"the backup {kept.id} kept before the migrate"):
        bench.plan_rollback()


def test_a_schema_that_somebody_moved_by_hand_is_refused(bench: Bench) -> None:
    migrated(bench, "a", "b")
    bench.migrator.at[LIVE] = ("c",)

    with pytest.raises(RevisionConflict, match="the database is at c, the journal says b"):
        bench.plan_rollback()


def test_a_migrate_that_failed_halfway_is_undone_as_far_as_it_came(bench: Bench) -> None:
    migrated(bench, "a", "b", state="failed")

    assert bench.rollback().revisions == ("a",)


def test_a_migrate_that_failed_before_its_first_revision_is_no_change(bench: Bench) -> None:
    migrated(bench, "a", state="failed")

    with pytest.raises(Irreversible, match="there is no change"):
        bench.plan_rollback()


def test_a_migrate_that_was_killed_is_undone_as_far_as_it_came(bench: Bench) -> None:
    migrated(bench, "a", "b", state="started")

    assert bench.rollback().revisions == ("a",)


def test_a_migrate_that_was_killed_before_its_first_revision_leaves_the_change_before_it(bench: Bench) -> None:
    bench.backup()
    restored = bench.restore(is_latest=True)
    migrated(bench, bench.database.revisions()[0], state="started")

    assert bench.plan_rollback().undoes == restored.change_id


def test_a_migrate_that_was_killed_is_undone_by_the_backup_that_it_had_no_time_to_write_down(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, "b", **DROPS)
    change = migrated(bench, "b", state="started")
    kept = bench.backup("before-migrate")
    bench.migrator.at[LIVE] = ("c",)
    bench.pass_time()

    plan = bench.plan_rollback()

    assert (plan.way, plan.undoes, plan.recovery) == ("restore", change.id, RecoveryPoint("backup", kept.id))


def test_a_rollback_that_was_killed_between_two_revisions_is_finished_by_the_next(bench: Bench) -> None:
    migrated(bench, "a", "b", "c")
    bench.pass_time()
    bench.journal.append(
        Change("20260101T235959Z", "rollback", "started", bench.clock.now(), "ann", LIVE, ("c",), ("a",), None, "x")
    )
    bench.migrator.at[LIVE] = ("b",)

    report = bench.rollback()

    assert (report.way, report.revisions) == ("downgrade", ("a",))
    assert report.cleaned == ("the rollback of 20260101T235959Z by ann was interrupted",)


@pytest.mark.parametrize("step", ["journal", "swap", "finished"])
def test_killed_after_any_step_of_a_swap_the_next_run_goes_on_from_what_the_server_has(bench: Bench, step: str) -> None:
    bench.backup()
    bench.rows = ["now"]
    bench.restore(is_latest=True)
    worlds: dict[str, Bench] = {}
    bench.on_step = lambda name: worlds.setdefault(name, bench.frozen())  # type: ignore[func-returns-value]
    bench.rollback()
    world = worlds[step]

    is_done = step != "journal"
    assert world.rows == (["now"] if is_done else ["a", "b"])
    world.rollback()

    assert world.rows == (["a", "b"] if is_done else ["now"])


def test_a_failed_downgrade_is_written_down_and_can_be_tried_again(bench: Bench) -> None:
    migrated(bench, "a", "b")
    downgrade = bench.migrator.downgrade
    bench.migrator.downgrade = _raise  # type: ignore[method-assign]

    with pytest.raises(UpgradeFailed):
        bench.rollback()
    bench.migrator.downgrade = downgrade  # type: ignore[method-assign]

    assert bench.journal.lines[-1].state == "failed"
    assert bench.rollback().revisions == ("a",)


def _raise(*_args: object, **_more: object) -> None:
    raise UpgradeFailed("the downgrade failed")


def test_without_a_journal_the_newest_recovery_point_on_the_server_tells(bench: Bench) -> None:
    bench.backup()
    bench.rows = ["now"]
    bench.restore(is_latest=True)
    bench.journal.lines.clear()

    plan = bench.plan_rollback()

    assert plan.undone_by == "unknown (not in this journal)"
    bench.rollback()
    assert bench.rows == ["now"]


def test_a_change_that_another_host_made_counts_although_our_journal_lacks_it(bench: Bench) -> None:
    bench.backup()
    bench.restore(is_latest=True)
    ours = list(bench.journal.lines)
    bench.rows = ["now"]
    theirs = bench.restore(is_latest=True)
    bench.journal.lines = ours

    assert bench.plan_rollback().undoes == theirs.change_id


def test_an_audit_line_of_the_same_second_does_not_hide_a_recovery_point(bench: Bench) -> None:
    bench.backup()
    bench.rows = ["now"]
    done = bench.restore(is_latest=True)
    told = Change(id=done.change_id, kind="transfer-back", state="finished", at=bench.clock.now(), by="ann")
    bench.journal.lines = [replace(told, state="started"), told]

    assert bench.plan_rollback().undoes == done.change_id


def test_without_journal_and_copies_the_newest_backup_before_a_change_is_gone_back_to(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, "b", **DROPS)
    kept = bench.backup("before-migrate")
    bench.rows = ["since"]
    bench.migrator.at[LIVE] = ("c",)

    plan = bench.plan_rollback()

    assert (plan.way, plan.recovery) == ("restore", RecoveryPoint("backup", kept.id))


def test_what_was_kept_before_a_change_of_another_database_of_the_stack_is_not_gone_back_to(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, "b", **DROPS)
    kept = bench.backup("before-migrate")
    of_production = bench.backup("before-migrate")
    bench.archives.update(replace(of_production, environment="production"))
    bench.identity = kept.identity
    bench.migrator.at[LIVE] = ("c",)

    assert bench.plan_rollback().recovery == RecoveryPoint("backup", kept.id)
    bench.identity = kept.identity._replace(name="other")
    with pytest.raises(Irreversible, match="there is no change"):
        bench.plan_rollback()


def test_a_recovery_point_that_is_gone_is_named(bench: Bench) -> None:
    bench.backup()
    kept = bench.restore(is_latest=True).kept
    bench.database.drop_copy(kept)

    with pytest.raises(Irreversible, match="is gone") as refusal:
        bench.plan_rollback()

    assert kept in (refusal.value.cause or "")


def test_a_database_of_that_name_that_is_not_ours_is_not_swapped_in(bench: Bench) -> None:
    bench.backup()
    kept = bench.restore(is_latest=True).kept
    bench.database.drop_copy(kept)
    bench.database.tables_of[kept] = {}

    with pytest.raises(RestoreRefused, match="does not say that it was kept by this stack"):
        bench.plan_rollback()


def test_a_plan_that_another_change_overtook_is_refused(bench: Bench) -> None:
    bench.backup()
    bench.restore(is_latest=True)
    plan = bench.plan_rollback()
    bench.restore(is_latest=True)

    with pytest.raises(RestoreRefused, match="changed since this rollback was planned"):
        rollback(plan, bench.rollback_tools())


def test_what_was_migrated_by_hand_after_a_restore_is_told_before_it_is_set_aside(bench: Bench) -> None:
    bench.backup()
    bench.restore(is_latest=True, is_revision_kept=True)
    bench.migrator.at[LIVE] = ("c",)

    (warning,) = bench.plan_rollback().warnings

    assert warning.startswith("the database is at c, the restore left it at a")


def test_a_rollback_waits_for_nobody_and_changes_nothing_while_a_backup_runs(bench: Bench) -> None:
    bench.backup()
    bench.restore(is_latest=True)
    plan = bench.plan_rollback()
    bench.lock = FakeLock(held_by="backup")

    with pytest.raises(LockHeld):
        rollback(plan, bench.rollback_tools())

    assert bench.rows == ["a", "b"]


def test_the_recovery_point_of_a_rollback_lives_as_long_as_that_of_a_restore(bench: Bench) -> None:
    bench.backup()
    bench.restore(is_latest=True)
    now = bench.clock.now()

    report = bench.rollback()

    assert report.kept_until is not None
    assert timedelta(days=7) <= report.kept_until - now < timedelta(days=8)
