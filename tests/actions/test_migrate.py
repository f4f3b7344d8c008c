"""Does a migrate keep its order - locks, recovery point, steps, checks - and end cleanly wherever it is stopped?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.actions.history import show_history
from ops.actions.migrate import migrate, plan_migration
from ops.actions.migrate_run import Limits, MigrateTools
from ops.actions.revision import create_revision
from ops.errors import (
    ArchiveUnwritable,
    ConfigurationError,
    DeadlinePassed,
    LockHeld,
    OpsError,
    RevisionConflict,
    UpgradeFailed,
)
from ops.model.change import RecoveryPoint
from ops.model.revision import History, Revision
from tests.fakes.clock import FakeClock
from tests.fakes.journal import FakeJournal
from tests.fakes.lock import FakeLock
from tests.fakes.migrator import LIVE, FakeMigrator, MigratedDatabase, line
from tests.fakes.reporter import RecordingReporter

DROPS = {"b": "DROP TABLE old"}


class Bench:
    """A migrate's tools, all in memory, with one log of what happened in which order."""

    def __init__(self, migrator, *, backup=True, backup_error=None, **database):
        self.log = migrator.log
        self.migrator = migrator
        self.database = MigratedDatabase(migrator, **database)
        self.journal, self.lock, self.clock = FakeJournal(), FakeLock(), FakeClock()
        self.report = RecordingReporter()
        self.kept = []

        def keep_backup(note, expires_at):
            if backup_error:
                raise backup_error
            self.log.append("backup taken")
            self.kept.append((note, expires_at))
            return "20260101T000000Z"

        self.tools = MigrateTools(
            self.database, migrator, self.lock, self.journal, self.clock, self.report, "me@here 1", Path("unused"),
            jitter=lambda: 0.5, keep_backup=keep_backup if backup else None,
        )  # fmt: skip

    def migrate(self, **limits):
        return migrate(plan_migration(self.tools), self.tools, Limits(**limits))

    @property
    def states(self):
        return [change.state for change in self.journal.changes()]


def test_everything_happens_in_order_under_both_locks():
    bench = Bench(FakeMigrator(line("a", "b", "c"), at=["a"], sql=DROPS))

    report = bench.migrate()

    assert bench.log == ["database locked", "backup taken", "applied b", "applied c", "database unlocked"]
    assert bench.lock.log == ["acquired for migrate", "released by migrate"]
    assert [(step.revision, step.duration_s) for step in report.applied] == [("b", 0.5), ("c", 0.5)]
    assert (report.from_revisions, report.to_revisions) == (("a",), ("c",))
    assert bench.report.events[-1][0] == "migrate.finished"


def test_the_recovery_point_is_a_pinned_backup_of_thirty_days_that_journal_and_report_name():
    bench = Bench(FakeMigrator(line("a", "b"), at=["a"], sql=DROPS))

    report = bench.migrate()

    assert bench.kept == [("before migrate from a to b", datetime(2026, 1, 31, tzinfo=UTC))]
    assert report.recovery == RecoveryPoint("backup", "20260101T000000Z")
    started, finished = bench.journal.changes()
    assert (started.state, started.from_revisions, started.to_revisions) == ("started", ("a",), ("b",))
    assert (finished.state, finished.recovery, finished.details) == ("finished", report.recovery, {"applied": ["b"]})
    assert started.id == finished.id == report.change_id == "20260101T000000Z"


@pytest.mark.parametrize(
    ("migrator", "is_kept"),
    [
        (FakeMigrator(line("a", "b"), at=["a"]), False),
        (FakeMigrator(line("a", "b"), sql=DROPS), False),
        (FakeMigrator(line("a", "b", back=False), at=["a"]), True),
        (FakeMigrator(line("a", "b"), at=["a"], sql={"b": None}), True),
    ],
    ids=["additive", "empty database", "no way back", "unknown SQL"],
)
def test_a_backup_is_taken_only_where_it_is_the_way_back(migrator, is_kept):
    bench = Bench(migrator)

    bench.migrate()

    assert bool(bench.kept) is is_kept


def test_without_a_backup_a_destructive_step_is_applied_with_a_warning():
    bench = Bench(FakeMigrator(line("a", "b"), at=["a"], sql=DROPS), backup=False)

    report = bench.migrate()

    assert report.recovery is None
    assert bench.report.warnings == ["no recovery point is taken, though revision b may destroy data"]


def test_a_backup_that_fails_leaves_the_database_untouched():
    full = ArchiveUnwritable("no room in backups")
    bench = Bench(FakeMigrator(line("a", "b"), at=["a"], sql=DROPS), backup_error=full)

    with pytest.raises(ArchiveUnwritable):
        bench.migrate()

    assert bench.database.revisions() == ("a",)
    assert bench.states == ["started", "failed"]


def test_nothing_pending_writes_no_journal_and_takes_no_backup():
    bench = Bench(FakeMigrator(line("a", "b"), at=["b"]))

    report = bench.migrate()

    assert (report.applied, report.change_id, report.to_revisions) == ((), "", ("b",))
    assert bench.states == []


def test_a_failing_revision_names_those_before_it_where_the_database_is_and_the_way_back():
    error = UpgradeFailed("revision c failed", cause="division by zero [SQLSTATE 22012]")
    bench = Bench(FakeMigrator(line("a", "b", "c", "d"), at=["a"], sql=DROPS, failures={"c": [error]}))

    with pytest.raises(UpgradeFailed) as caught:
        bench.migrate()

    assert caught.value.message == (
        "revision c failed; applied before it: b; the database is at b; recovery point: backup 20260101T000000Z"
    )
    assert caught.value.cause == "division by zero [SQLSTATE 22012]"
    assert caught.value.hint == "inv rollback, to go back to before this migrate"
    assert bench.journal.changes()[-1].to_revisions == ("b",)


def test_where_nothing_was_applied_the_hint_is_to_try_again():
    bench = Bench(FakeMigrator(line("a"), failures={"a": [UpgradeFailed("revision a failed")]}))

    with pytest.raises(UpgradeFailed) as caught:
        bench.migrate()

    assert caught.value.message == "revision a failed; applied before it: none; the database is at base"
    assert caught.value.hint == "inv migrate, once it is mended"


def busy(times):
    return [DeadlinePassed("revision b waited too long for a lock", cause="pid 7 holds it") for _ in range(times)]


def test_a_lock_that_cannot_be_had_is_asked_for_again_after_ever_longer_pauses():
    bench = Bench(FakeMigrator(line("a", "b"), at=["a"], failures={"b": busy(3)}))
    began = bench.clock.monotonic()

    report = bench.migrate()

    assert [step.revision for step in report.applied] == ["b"]
    assert bench.clock.monotonic() - began == 2 + 4 + 8
    assert bench.report.warnings[0] == ("revision b waited too long for a lock (pid 7 holds it); attempt 2 in 2.0 s")


def test_a_lock_that_is_never_had_fails_after_the_last_attempt():
    bench = Bench(FakeMigrator(line("a", "b"), at=["a"], failures={"b": busy(9)}))

    with pytest.raises(UpgradeFailed) as caught:
        bench.migrate(attempts=3)

    assert caught.value.message == (
        "revision b waited too long for a lock after 3 attempts; applied before it: none; the database is at a"
    )
    assert caught.value.cause == "pid 7 holds it"
    assert bench.log.count("failed b") == 3


def test_a_revision_that_was_applied_gives_the_next_one_all_its_attempts_and_the_count_is_its_own():
    bench = Bench(FakeMigrator(line("a", "b", "c"), at=["a"], failures={"b": busy(2), "c": busy(2)}))

    report = bench.migrate(attempts=3)

    assert [step.revision for step in report.applied] == ["b", "c"]
    assert [warning.partition("; ")[2] for warning in bench.report.warnings] == [
        "attempt 2 in 2.0 s", "attempt 3 in 4.0 s", "attempt 2 in 2.0 s", "attempt 3 in 4.0 s",
    ]  # fmt: skip


def test_a_stop_on_one_branch_of_a_fork_is_reached_beside_the_other():
    bench = Bench(FakeMigrator(FORK_AND_MERGE, at=["b"]))

    report = migrate(plan_migration(bench.tools, target="c"), bench.tools)

    assert report.to_revisions == ("b", "c")
    assert [step.revision for step in migrate(plan_migration(bench.tools), bench.tools).applied] == ["m"]


def test_what_somebody_else_applied_while_we_waited_is_not_applied_again():
    bench = Bench(FakeMigrator(line("a", "b", "c"), at=["a"]))
    plan = plan_migration(bench.tools)
    bench.migrator.at[LIVE] = ("b",)

    report = migrate(plan, bench.tools)

    assert [step.revision for step in report.applied] == ["c"]
    assert report.from_revisions == ("b",)


def test_a_database_that_went_elsewhere_while_we_waited_is_left_alone():
    bench = Bench(FakeMigrator(line("a", "b", "c"), at=["b"]))
    plan = plan_migration(bench.tools)
    bench.migrator.at[LIVE] = ("a",)

    with pytest.raises(RevisionConflict):
        migrate(plan, bench.tools)

    assert bench.database.revisions() == ("a",)
    assert bench.states == []


@pytest.mark.parametrize("where", ["file", "database"])
def test_a_lock_held_by_another_ends_a_migrate_before_it_begins(where):
    bench = Bench(FakeMigrator(line("a")), held_by="a restore" if where == "database" else "")
    bench.lock.held_by = "a backup" if where == "file" else ""

    with pytest.raises(LockHeld):
        bench.migrate()

    assert bench.database.revisions() == ()
    assert bench.states == []


def test_drift_and_broken_constraints_are_reported_and_do_not_undo_the_work():
    class Breaks(FakeMigrator):
        def upgrade_each(self, targets, **options):
            super().upgrade_each(targets, **options)
            bench.database.problems = ("index ix of t is invalid",)

    bench = Bench(Breaks(line("a"), drifts=["table t is in the models, not in the database"]))

    report = bench.migrate()

    assert report.problems == ("table t is in the models, not in the database", "index ix of t is invalid")
    assert bench.report.warnings == list(report.problems)
    assert bench.states == ["started", "finished"]


def test_what_did_not_hold_before_either_is_told_and_is_no_fault_of_the_migrate():
    bench = Bench(FakeMigrator(line("a")), problems=["sequence s would give 1, but t.id holds 2"])

    report = bench.migrate()

    assert report.problems == ()
    assert bench.report.warnings == ["sequence s would give 1, but t.id holds 2 (so before this migrate)"]


def test_a_drift_that_cannot_be_told_is_a_problem_and_no_failure():
    class NoModels(FakeMigrator):
        def drift(self, database=None):
            raise ConfigurationError("env.py failed", cause="no module models")

    report = Bench(NoModels(line("a"))).migrate()

    assert report.problems == ("whether models and database differ is unknown: env.py failed (no module models)",)


def test_a_stop_before_the_head_is_not_compared_with_the_models():
    bench = Bench(FakeMigrator(line("a", "b"), drifts=["table t_b is in the models, not in the database"]))

    report = migrate(plan_migration(bench.tools, target="a"), bench.tools)

    assert (report.to_revisions, report.problems) == (("a",), ())


def test_an_env_py_that_migrates_something_else_is_found_out():
    class Elsewhere(FakeMigrator):
        def upgrade_each(self, targets, *, on_applied=None, **_limits):
            for target in targets:
                on_applied(target, 0.1)

    with pytest.raises(UpgradeFailed, match="every revision ran, but the database is at base, not a"):
        Bench(Elsewhere(line("a"))).migrate()


@pytest.mark.parametrize("revision", ["b", "c"])
def test_stopped_in_any_step_the_next_migrate_finishes(revision):
    bench = Bench(FakeMigrator(line("a", "b", "c"), at=["a"], failures={revision: [KeyboardInterrupt()]}))

    with pytest.raises(KeyboardInterrupt):
        bench.migrate()
    stopped = bench.states
    bench.migrate()

    assert stopped == ["started", "failed"]
    assert bench.journal.changes()[1].details["error"] == "KeyboardInterrupt"
    assert bench.database.revisions() == ("c",)
    assert not bench.lock.is_held


def test_tables_without_a_revision_are_refused_unless_alembic_finds_its_own_version_table():
    hidden = FakeMigrator(line("a", "b"), at=["a"])
    bench = Bench(hidden, tables=["public.users", "public.alembic_version"])
    bench.database.revisions = lambda name=None: ()

    plan = plan_migration(bench.tools)
    hidden.at[LIVE] = ()
    with pytest.raises(RevisionConflict, match=r"1 tables but no revision: public\.users"):
        plan_migration(bench.tools)

    assert plan.current == ("a",)


def test_a_plan_changes_nothing():
    bench = Bench(FakeMigrator(line("a", "b"), at=["a"], sql=DROPS))

    plan = plan_migration(bench.tools)

    assert plan.is_destructive
    assert (plan.recovery, plan.rollback, plan.rollback_estimate_s) == ("backup", "restore", 11.0)
    assert (bench.log, bench.states, bench.lock.log) == ([], [], [])


FORKED = History(
    (Revision("a", (), "", "", True), Revision("b", ("a",), "", "", True), Revision("c", ("a",), "", "", True)),
    ("b", "c"),
)
FORK_AND_MERGE = History((*FORKED.revisions, Revision("m", ("b", "c"), "", "", True)), ("m",))


def test_the_history_is_shown_even_where_a_migrate_would_refuse():
    migrator = FakeMigrator(FORKED, at=["zz"])

    seen = show_history(database=MigratedDatabase(migrator), migrator=migrator)

    assert (seen.current, seen.unknown) == (("zz",), ("zz",))
    assert seen.pending == ("a", "b", "c")
    assert not seen.has_tables_without_revision


def test_a_new_revision_needs_a_message_and_one_head():
    lock, migrator = FakeLock(), FakeMigrator(line("a"), at=["a"])

    path = create_revision(" add notes ", is_autogenerated=True, migrator=migrator, lock=lock)
    refusals: list[type[OpsError]] = []
    for message, scripts in (("  ", migrator), ("x", FakeMigrator(FORKED))):
        with pytest.raises(OpsError) as caught:
            create_revision(message, is_autogenerated=True, migrator=scripts, lock=lock)
        refusals.append(caught.type)

    assert path == Path("versions/add notes.py")
    assert migrator.created == [("add notes", True)]
    assert refusals == [ConfigurationError, RevisionConflict]
