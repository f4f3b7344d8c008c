"""Are exactly those kept copies dropped that no rollback needs, under both locks, and is it written down?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ops.actions.prune_copies import PruneCopiesTools, plan_prune_copies, prune_copies
from ops.errors import LockHeld, PruneRefused
from ops.model.change import Change, RecoveryPoint
from ops.model.copy_name import copy_name
from ops.model.database import CopyRole, DatabaseCopy
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.journal import FakeJournal
from tests.fakes.lock import FakeLock
from tests.fakes.reporter import RecordingReporter

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Bench:
    """A live database with what five restores kept beside it."""

    def __init__(self, count: int = 5) -> None:
        self.database, self.journal, self.lock = FakeDatabase(), FakeJournal(), FakeLock()
        self.tools = PruneCopiesTools(
            database=self.database, lock=self.lock, journal=self.journal, clock=FakeClock(NOW),
            report=RecordingReporter(), by="ann", live=self.database.live,
        )  # fmt: skip
        self.kept = [self.keep(minutes) for minutes in range(count)]

    def keep(self, minutes: int, role: CopyRole = "recovery-point", change: str = "restore") -> str:
        at = NOW - timedelta(hours=1) + timedelta(minutes=minutes)
        id = f"{at:%Y%m%dT%H%M%SZ}"
        name = copy_name(self.database.live, role, id)
        copy = DatabaseCopy(name, role, self.database.live, change, id, at, NOW + timedelta(days=7), 10)
        self.database.create_copy(copy, self.database.facts())
        if role == "recovery-point":
            done = Change(
                id, "restore", "finished", at, "ann", self.database.live, recovery=RecoveryPoint("database", name)
            )
            self.journal.append(done)
        return name

    def names(self) -> list[str]:
        return [copy.name for copy in self.database.copies()]


def test_all_go_but_what_a_rollback_needs_oldest_first_and_the_journal_tells() -> None:
    bench = Bench()
    plan = plan_prune_copies(bench.tools)

    dropped = prune_copies(plan, bench.tools)

    assert list(dropped) == list(plan.removed) == bench.kept[:-1]
    assert bench.names() == bench.kept[-1:]
    assert plan.freed_bytes == 40
    assert bench.lock.log == ["acquired for prune", "released by prune"]
    assert (bench.journal.lines[-1].kind, bench.journal.lines[-1].state) == ("prune", "finished")
    assert bench.journal.lines[-1].details == {"what": "copies", "removed": list(dropped)}


def test_a_plan_changes_nothing_and_after_it_was_carried_out_there_is_nothing_to_do() -> None:
    bench = Bench()
    plan = plan_prune_copies(bench.tools)
    assert bench.names() == bench.kept

    prune_copies(plan, bench.tools)
    lines = len(bench.journal.lines)

    assert prune_copies(plan_prune_copies(bench.tools), bench.tools) == ()
    assert len(bench.journal.lines) == lines


def test_what_a_person_asked_for_by_name_and_scratch_copies_are_left_alone() -> None:
    bench = Bench(2)
    look, scratch = bench.keep(3, "kept"), bench.keep(4, "scratch")

    prune_copies(plan_prune_copies(bench.tools), bench.tools)

    assert bench.names() == [bench.kept[1], look, scratch]


def test_without_a_journal_the_newest_is_kept() -> None:
    bench = Bench()
    bench.journal.lines.clear()

    assert plan_prune_copies(bench.tools).removed == tuple(bench.kept[:-1])


def test_an_older_copy_that_the_last_change_went_back_to_is_kept_too() -> None:
    bench = Bench(3)
    later = NOW + timedelta(minutes=1)
    bench.journal.append(
        Change(
            f"{later:%Y%m%dT%H%M%SZ}", "transfer", "finished", later, "ann", bench.database.live,
            recovery=RecoveryPoint("database", bench.kept[0]),
        )
    )  # fmt: skip

    assert plan_prune_copies(bench.tools).removed == (bench.kept[1],)


def test_a_change_since_the_plan_is_refused_and_nothing_dropped() -> None:
    bench = Bench()
    plan = plan_prune_copies(bench.tools)
    bench.keep(30)
    before = bench.names()

    with pytest.raises(PruneRefused, match="changed since the plan"):
        prune_copies(plan, bench.tools)

    assert bench.names() == before
    assert bench.journal.lines[-1].state == "failed"


def test_while_another_change_runs_nothing_is_dropped() -> None:
    bench = Bench()
    plan = plan_prune_copies(bench.tools)
    bench.lock.held_by = "a restore"

    with pytest.raises(LockHeld):
        prune_copies(plan, bench.tools)

    assert bench.names() == bench.kept


@pytest.mark.parametrize("killed_after", range(4))
def test_a_run_that_was_killed_is_finished_by_the_next_one(killed_after: int) -> None:
    bench = Bench()

    def checkpoint(name: str) -> None:
        if name == bench.kept[killed_after]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune_copies(plan_prune_copies(bench.tools), bench.tools, checkpoint=checkpoint)
    assert bench.names() == bench.kept[killed_after + 1 :]
    prune_copies(plan_prune_copies(bench.tools), bench.tools)

    assert bench.names() == bench.kept[-1:]
