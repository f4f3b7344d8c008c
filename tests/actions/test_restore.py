"""Does a restore keep its order, and is the live database as it was wherever it stops?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ops.actions.restore import restore
from ops.errors import (
    ArchiveCorrupt,
    BackupNotFound,
    ConfigurationError,
    DataDiffers,
    LoadFailed,
    LockHeld,
    OpsError,
    RestoreRefused,
    RevisionConflict,
    UpgradeFailed,
)
from ops.model.database import Role
from tests.actions.restoring import Bench
from tests.fakes.lock import FakeLock
from tests.fakes.migrator import LIVE, FakeMigrator, line

STEPS = ["check", "journal", "create", "load", "compare", "migrate"]
STEPS += ["integrity", "analyze", "carry_over", "swap", "finished"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A backup of two rows was taken at revision b; now there are three, at c."""
    bench = Bench(tmp_path, FakeMigrator(line("a", "b", "c"), at=["b"]))
    bench.backup()
    bench.rows = ["a", "b", "later"]
    bench.migrator.at[LIVE] = ("c",)
    return bench


def test_a_restore_brings_the_rows_back_and_the_schema_to_the_head(bench: Bench) -> None:
    report = bench.restore(is_latest=True)

    assert bench.rows == ["a", "b"]
    assert bench.database.revisions() == ("c",)
    assert (report.applied, report.revisions, report.is_verified) == (("c",), ("c",), True)
    assert bench.database.tables_of[report.kept]["public.users"] == ["a", "b", "later"]


def test_the_steps_come_in_their_order_and_each_is_timed(bench: Bench) -> None:
    steps: list[str] = []
    bench.on_step = steps.append

    report = bench.restore(is_latest=True)

    assert steps == STEPS
    assert report.away_s == 0.1
    assert {"load_s", "swap_s"} <= set(bench.journal.lines[-1].details)


def test_the_revision_of_the_backup_may_be_kept(bench: Bench) -> None:
    report = bench.restore(is_latest=True, is_revision_kept=True)

    assert (report.applied, report.revisions) == ((), ("b",))


def test_both_locks_are_held_from_begin_to_end(bench: Bench) -> None:
    held: list[bool] = []
    bench.on_step = lambda _step: held.append(bench.lock.is_held and bench.database.is_locked)

    bench.restore(is_latest=True)

    assert held == [True] * len(STEPS)


@pytest.mark.parametrize("where", ["here", "on another host"])
def test_a_second_restore_at_once_is_kept_out_and_changes_nothing(bench: Bench, where: str) -> None:
    plan = bench.plan(is_latest=True)
    if where == "here":
        bench.lock = FakeLock(held_by="backup")
    else:
        bench.database.held_by = "backup"

    with pytest.raises(LockHeld):
        restore(plan, bench.tools)

    assert bench.journal.lines == []
    assert bench.rows == ["a", "b", "later"]


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_any_step_the_live_database_is_whole_and_the_next_run_succeeds(bench: Bench, step: str) -> None:
    worlds: dict[str, Bench] = {}
    bench.on_step = lambda name: worlds.setdefault(name, bench.frozen())  # type: ignore[func-returns-value]
    bench.restore(is_latest=True)
    world = worlds[step]

    is_swapped = step in {"swap", "finished"}
    assert world.rows == (["a", "b"] if is_swapped else ["a", "b", "later"])
    world.restore(is_latest=True)

    assert world.rows == ["a", "b"]
    assert {copy.role for copy in world.database.copies()} == {"recovery-point"}
    assert [change.state for change in world.journal.lines].count("started") == len(world.journal.lines) / 2


ERRORS = {
    "create_copy": RestoreRefused("permission denied to create database"),
    "load": LoadFailed("pg_restore ended with 1"),
    "tables": OpsError("counting failed"),
    "integrity_problems": OpsError("checking failed"),
    "analyze": OpsError("analysing failed"),
    "carry_over": RestoreRefused("no right"),
    "swap": RestoreRefused("the sessions could not be ended"),
}


@pytest.mark.parametrize("method", [*ERRORS, "interrupt"])
def test_a_failure_in_any_step_leaves_the_live_database_and_no_scratch(bench: Bench, method: str) -> None:
    error = KeyboardInterrupt() if method == "interrupt" else ERRORS[method]
    bench.database.errors["analyze" if method == "interrupt" else method] = error

    with pytest.raises(type(error)):
        bench.restore(is_latest=True)

    assert bench.rows == ["a", "b", "later"]
    assert list(bench.database.tables_of) == [LIVE]
    assert [change.state for change in bench.journal.lines] == ["started", "failed"]


def test_a_revision_that_fails_leaves_the_live_database(bench: Bench) -> None:
    bench.migrator.failures["c"] = [UpgradeFailed("revision c failed")]

    with pytest.raises(UpgradeFailed):
        bench.restore(is_latest=True)

    assert (bench.rows, bench.database.revisions()) == (["a", "b", "later"], ("c",))


def test_an_archive_that_changed_is_found_before_anything_begins(bench: Bench) -> None:
    manifest = bench.archives.manifests()[0]
    bench.archives.path(manifest).write_bytes(b"{}")

    with pytest.raises(ArchiveCorrupt, match="is not what its manifest says"):
        bench.restore(is_latest=True)

    assert bench.journal.lines == []
    assert list(bench.database.tables_of) == [LIVE]


def test_rows_that_are_not_those_of_the_manifest_are_named(bench: Bench) -> None:
    manifest = bench.archives.manifests()[0]
    bench.archives.update(replace(manifest, tables=(*manifest.tables[:1], replace(manifest.tables[1], row_count=9))))

    with pytest.raises(DataDiffers) as failure:
        bench.restore(is_latest=True)

    assert (failure.value.cause or "").startswith("public.users: 9 rows")
    assert bench.rows == ["a", "b", "later"]


def test_a_blocker_that_came_after_the_plan_is_seen(bench: Bench) -> None:
    plan = bench.plan(is_latest=True)
    bench.database.blockers = ("replication slot x belongs to it",)

    with pytest.raises(RestoreRefused) as refusal:
        restore(plan, bench.tools)

    assert refusal.value.cause == "replication slot x belongs to it"


def test_a_name_beside_the_live_database_gets_the_content_and_is_kept(bench: Bench) -> None:
    report = bench.restore(is_latest=True, as_name="look")

    assert bench.database.tables_of["look"]["public.users"] == ["a", "b"]
    assert bench.rows == ["a", "b", "later"]
    assert [(copy.name, copy.role) for copy in bench.database.copies()] == [("look", "kept")]
    until = bench.database.copies()[0].expires_at
    assert until == report.kept_until
    assert until is not None
    assert until - bench.clock.now() == timedelta(days=7)
    assert bench.journal.lines[-1].details["expires_at"] == until.isoformat()
    assert report.kept == ""


def test_a_live_database_that_is_gone_is_made_anew(bench: Bench) -> None:
    del bench.database.tables_of[LIVE]
    bench.database.errors = {}

    report = bench.restore(is_latest=True)

    assert bench.rows == ["a", "b"]
    assert report.kept == ""


def test_a_foreign_file_without_a_revision_keeps_its_schema_and_says_so(bench: Bench) -> None:
    report = bench.restore(file=bench.foreign(users=["x"]))

    assert bench.rows == ["x"]
    assert (report.applied, report.is_verified) == ((), False)
    assert bench.report.warnings == ["the restored database has no revision: its schema stays as it is"]


def test_a_foreign_file_is_brought_to_the_head_from_its_own_revision(bench: Bench) -> None:
    report = bench.restore(file=bench.foreign(users=["x"], alembic_version=["a"]))

    assert report.applied == ("b", "c")


def test_a_foreign_file_at_an_unknown_revision_is_refused_once_that_is_known(bench: Bench) -> None:
    with pytest.raises(RevisionConflict) as refusal:
        bench.restore(file=bench.foreign(users=["x"], alembic_version=["zzz"]))

    assert refusal.value.cause == "its revision zzz is not in this checkout's history"
    assert bench.rows == ["a", "b", "later"]
    assert list(bench.database.tables_of) == [LIVE]


def test_a_foreign_file_that_changed_after_the_plan_is_refused(bench: Bench) -> None:
    plan = bench.plan(file=bench.foreign(users=["x"]))
    bench.foreign(users=["x", "y"])

    with pytest.raises(RestoreRefused, match="changed since the plan was made"):
        restore(plan, bench.tools)


def test_surroundings_are_the_backups_own_or_the_live_ones_for_anothers(bench: Bench) -> None:
    own = replace(bench.archives.manifests()[0].database, connection_limit=7)
    bench.archives.update(replace(bench.archives.manifests()[0], database=own))
    theirs = bench.backup(stack="theirs", archives=bench.others)
    bench.others.update(replace(theirs, database=replace(theirs.database, connection_limit=8)))

    bench.restore(is_latest=True)
    bench.restore(file=theirs.id, from_stack="theirs")

    assert [facts.connection_limit for facts in bench.database.carried] == [7, -1]


def test_roles_that_had_to_be_made_are_reported(bench: Bench, monkeypatch) -> None:
    bench.database.ensure_roles = lambda roles: tuple(role.name for role in roles)  # type: ignore[method-assign]
    manifest = bench.archives.manifests()[0]
    bench.archives.update(replace(manifest, database=replace(manifest.database, roles=(Role("ann"),))))

    report = bench.restore(is_latest=True)

    assert report.roles_made == ("ann",)
    assert "made roles that were missing, without login: ann" in bench.report.warnings


def test_problems_that_the_data_had_before_are_told_and_do_not_stop_a_restore(bench: Bench) -> None:
    bench.database.problems = ("sequence public.s would give 1, but public.users.id holds 2",)

    report = bench.restore(is_latest=True)

    assert report.problems == bench.database.problems
    assert bench.rows == ["a", "b"]


def test_recovery_points_whose_time_is_over_go_with_the_next_change(bench: Bench) -> None:
    first = bench.restore(is_latest=True)
    bench.pass_time(timedelta(days=8).total_seconds())

    second = bench.restore(is_latest=True)

    assert {copy.name for copy in bench.database.copies()} == {second.kept}
    assert first.kept != second.kept


@pytest.mark.parametrize("request_", [{}, {"file": "x", "is_latest": True}])
def test_exactly_one_source_must_be_named(bench: Bench, request_: dict) -> None:
    with pytest.raises(ConfigurationError, match="exactly one source"):
        bench.plan(**request_)


def test_an_empty_catalog_has_no_latest(tmp_path: Path) -> None:
    with pytest.raises(BackupNotFound, match="there is no good backup"):
        Bench(tmp_path, FakeMigrator(line("a"))).plan(is_latest=True)


def test_the_newest_at_or_before_a_time_is_taken_and_the_difference_told(bench: Bench) -> None:
    first = bench.archives.manifests()[0]
    bench.backup()

    plan = bench.plan(at=first.started_at + timedelta(seconds=30))

    assert (plan.backup_id, plan.earlier_s) == (first.id, 30)


def test_the_latest_backup_is_the_latest_of_the_live_database_and_not_of_production(bench: Bench) -> None:
    own = bench.backup()
    other = bench.backup()
    bench.archives.update(replace(other, environment="production"))
    bench.identity = own.identity

    assert bench.plan(is_latest=True).backup_id == own.id
    assert any(f"passing over {other.id} of " in warning for warning in bench.report.warnings)

    for manifest in bench.archives.manifests():
        bench.archives.update(replace(manifest, environment="production"))
    with pytest.raises(BackupNotFound, match="no good backup of") as failure:
        bench.plan(is_latest=True)
    assert failure.value.hint == f"inv restore --file {other.id} --dry-run"
    assert bench.plan(file=other.id).backup_id == other.id


def test_the_latest_backup_is_the_latest_of_a_database_of_the_live_ones_kind(bench: Bench) -> None:
    own = bench.backup()
    file = bench.backup()
    bench.archives.update(replace(file, database=replace(file.database, kind="sqlite")))

    assert bench.plan(is_latest=True).backup_id == own.id
    assert any(f"passing over {file.id} of " in warning for warning in bench.report.warnings)
