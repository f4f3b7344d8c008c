"""Does a rollback bring back what was there before the last change, and can it be rolled back itself?"""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.actions.prune_copies import PruneCopiesTools, plan_prune_copies, prune_copies
from ops.actions.rollback import plan_rollback, rollback
from ops.actions.rollback_run import RollbackReport, RollbackTools
from ops.errors import Irreversible, RestoreRefused
from ops.model.endpoint import PostgresEndpoint
from ops.model.rollback_plan import RollbackPlan, TableDifference
from tests.adapters.postgres.restoring import Stack, make_stack

pytestmark = pytest.mark.postgres


@pytest.fixture
def stack(fresh_database: PostgresEndpoint, tmp_path: Path) -> Stack:
    stack = make_stack(fresh_database, tmp_path)
    stack.run("CREATE TABLE books (id int PRIMARY KEY)", "INSERT INTO books SELECT generate_series(1, 10)")
    return stack


def plan(stack: Stack) -> RollbackPlan:
    return plan_rollback(RollbackTools(stack.tools))


def roll_back(stack: Stack) -> RollbackReport:
    return rollback(plan(stack), RollbackTools(stack.tools))


def books(stack: Stack) -> int:
    return stack.run("SELECT count(*) FROM books")[0][0]


def test_a_restore_is_rolled_back_and_the_rollback_too(stack: Stack) -> None:
    stack.backup()
    stack.run("DELETE FROM books WHERE id > 3")
    stack.restore(is_latest=True)
    stack.run("INSERT INTO books VALUES (99)")
    counts = [books(stack)]

    for _ in range(3):
        roll_back(stack)
        counts.append(books(stack))

    assert counts == [11, 3, 11, 3]
    assert [copy.role for copy in stack.database.copies()] == ["recovery-point"]


def test_the_plan_says_what_is_gone_back_to_and_what_was_written_since(stack: Stack) -> None:
    stack.backup()
    restored = stack.restore(is_latest=True)
    stack.run("INSERT INTO books VALUES (99), (100)", "CREATE TABLE later (x int)")

    found = plan(stack)

    assert (found.way, found.undone_kind, found.undoes) == ("swap", "restore", restored.change_id)
    assert found.recovery is not None
    assert found.recovery.name == restored.kept
    assert found.set_aside == (TableDifference("public.books", 12, 10), TableDifference("public.later", 0, None))


def test_without_a_journal_the_server_tells_what_to_go_back_to(stack: Stack, tmp_path: Path) -> None:
    stack.backup()
    stack.run("DELETE FROM books")
    stack.restore(is_latest=True)
    (tmp_path / "state" / "journal.jsonl").unlink()

    roll_back(stack)

    assert books(stack) == 0


def test_with_nothing_to_go_back_to_a_rollback_is_refused(stack: Stack) -> None:
    with pytest.raises(Irreversible, match="there is no change of"):
        plan(stack)


def test_a_kept_database_that_somebody_dropped_is_named(stack: Stack) -> None:
    stack.backup()
    kept = stack.restore(is_latest=True).kept
    stack.run(f'DROP DATABASE "{kept}"')

    with pytest.raises(Irreversible, match="is gone") as refusal:
        plan(stack)

    assert kept in (refusal.value.cause or "")


def test_a_kept_database_that_is_no_longer_described_is_not_swapped_in(stack: Stack) -> None:
    stack.backup()
    kept = stack.restore(is_latest=True).kept
    stack.run(f'COMMENT ON DATABASE "{kept}" IS NULL')

    with pytest.raises(RestoreRefused, match="does not say that it was kept by this stack"):
        plan(stack)


def test_a_plan_that_somebody_overtook_is_refused(stack: Stack) -> None:
    stack.backup()
    stack.restore(is_latest=True)
    old = plan(stack)
    roll_back(stack)

    with pytest.raises(RestoreRefused, match="changed since this rollback was planned"):
        rollback(old, RollbackTools(stack.tools))


def test_a_look_beside_the_live_database_is_no_change_to_roll_back(stack: Stack) -> None:
    stack.backup()
    stack.restore(is_latest=True, as_name=f"{stack.endpoint.database}_look")

    with pytest.raises(Irreversible):
        plan(stack)


def test_after_kept_copies_were_pruned_the_last_restore_can_still_be_rolled_back(stack: Stack) -> None:
    stack.backup()
    for number in range(4):
        stack.run(f"INSERT INTO books VALUES ({100 + number})")
        stack.restore(is_latest=True)
    tools = prune_tools(stack)

    dropped = prune_copies(plan_prune_copies(tools), tools)
    there = stack.databases()
    roll_back(stack)

    assert len(dropped) == 3
    assert not set(dropped) & set(there)
    assert books(stack) == 11
    assert stack.run("SELECT max(id) FROM books") == [(103,)]


def prune_tools(stack: Stack) -> PruneCopiesTools:
    base = stack.tools
    return PruneCopiesTools(
        database=stack.database, lock=base.lock, journal=base.journal, clock=base.clock, report=base.report,
        by=base.by, live=base.live,
    )  # fmt: skip
