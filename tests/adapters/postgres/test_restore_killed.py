"""Is the live database whole, and does the same command succeed, wherever a restore or rollback is killed?"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops.actions.rollback import plan_rollback, rollback
from ops.actions.rollback_run import RollbackTools
from ops.model.endpoint import PostgresEndpoint
from tests.adapters.postgres.restoring import Stack, make_stack

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).parents[3]
STEPS = ["check", "journal", "create", "load", "compare", "migrate"]
STEPS += ["integrity", "analyze", "carry_over", "swap", "finished"]
REPEAT = int(os.environ.get("OPS_REPEAT", "3"))


@pytest.fixture
def stack(fresh_database: PostgresEndpoint, tmp_path: Path) -> Stack:
    stack = make_stack(fresh_database, tmp_path)
    stack.run(
        "CREATE TABLE books (id int PRIMARY KEY, text text)",
        "INSERT INTO books SELECT n, repeat(md5(n::text), 8) FROM generate_series(1, 20000) n",
        "CREATE INDEX ON books (text)",
    )
    stack.backup()
    stack.run("DELETE FROM books WHERE id > 3")
    return stack


def start(stack: Stack, folder: Path, what: str, step: str) -> subprocess.Popen[bytes]:
    there = stack.endpoint
    return subprocess.Popen(
        [
            sys.executable, "-m", "tests.adapters.postgres.restoring_child",
            there.host, str(there.port), there.user, there.database, str(folder), what, step,
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "PGPASSWORD": there.password.reveal()},
    )  # fmt: skip


def kill_at(stack: Stack, folder: Path, what: str, step: str) -> None:
    with start(stack, folder, what, step) as child:
        for line in child.stdout:
            if line == step.encode() + b"\n":
                break
        else:
            pytest.fail(f"the {what} never came to {step}")
        child.send_signal(signal.SIGKILL)


def books(stack: Stack) -> int:
    return stack.run("SELECT count(*) FROM books")[0][0]


@pytest.mark.parametrize("step", STEPS)
def test_a_restore_killed_after_any_step_leaves_a_whole_database_and_succeeds_when_run_again(
    stack: Stack, tmp_path: Path, step: str
) -> None:
    kill_at(stack, tmp_path, "restore", step)
    between = books(stack)
    report = stack.restore(is_latest=True)

    assert between == (20000 if step in {"swap", "finished"} else 3)
    assert books(stack) == 20000
    roles = sorted(copy.role for copy in stack.database.copies())
    assert roles == (["recovery-point"] * (2 if step in {"swap", "finished"} else 1))
    assert report.is_verified
    assert len(stack.databases()) == len(roles) + 1


def test_a_restore_killed_after_the_swap_can_be_rolled_back_at_once(stack: Stack, tmp_path: Path) -> None:
    kill_at(stack, tmp_path, "restore", "swap")
    tools = RollbackTools(stack.tools)

    rollback(plan_rollback(tools), tools)

    assert books(stack) == 3


@pytest.mark.parametrize("step", ["journal", "swap", "finished"])
def test_a_rollback_killed_after_any_step_leaves_a_whole_database(stack: Stack, tmp_path: Path, step: str) -> None:
    stack.restore(is_latest=True)

    kill_at(stack, tmp_path, "rollback", step)

    assert books(stack) == (20000 if step == "journal" else 3)
    tools = RollbackTools(stack.tools)
    rollback(plan_rollback(tools), tools)
    assert books(stack) == (3 if step == "journal" else 20000)


@pytest.mark.parametrize("attempt", range(REPEAT))
def test_a_restore_killed_at_a_random_moment_leaves_a_whole_database(
    stack: Stack, tmp_path: Path, attempt: int
) -> None:
    moment = random.Random(f"{os.environ.get('OPS_SEED', '7')} {attempt}")
    with start(stack, tmp_path, "restore", "never") as child:
        assert child.stdout.readline() == b"begins\n"
        time.sleep(moment.uniform(0, 1.5))
        child.send_signal(signal.SIGKILL)

    assert books(stack) in {3, 20000}
    stack.restore(is_latest=True)
    assert books(stack) == 20000
    assert {copy.role for copy in stack.database.copies()} == {"recovery-point"}


def test_a_database_made_but_not_yet_described_is_cleaned_up_and_one_with_content_is_not(stack: Stack) -> None:
    live = stack.endpoint.database
    empty, full = f"{live}__scratch_20260101t000000z", f"{live}__scratch_20260102t000000z"
    stack.run(f'CREATE DATABASE "{empty}"', f'CREATE DATABASE "{full}"', database="postgres")
    stack.run("CREATE TABLE somebodys (x int)", database=full)

    stack.restore(is_latest=True)

    assert empty not in stack.databases()
    assert full in stack.databases()


def test_nothing_is_dropped_that_we_did_not_make(stack: Stack) -> None:
    from ops.errors import Refused

    other = f"{stack.endpoint.database}_other"
    stack.run(f'CREATE DATABASE "{other}"', database="postgres")

    for name in (other, stack.endpoint.database):
        with pytest.raises(Refused):
            stack.database.drop_copy(name)

    assert other in stack.databases()


def test_a_session_of_a_killed_run_is_ended_by_the_next_holder_of_the_lock(stack: Stack) -> None:
    orphan = stack.database._session(None)

    with stack.database.exclusive("restore"):
        rows = stack.run(f"SELECT 1 FROM pg_stat_activity WHERE pid = {orphan.info.backend_pid}", database="postgres")

    orphan.close()
    assert rows == []
