"""Does the stack's lock keep everybody else out, and does it end with its process?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.adapters.file_lock import StackLock
from ops.errors import ConfigurationError, LockHeld

START = datetime(2026, 1, 31, 2, tzinfo=UTC)


class SteppingClock:
    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return self.passed_s

    def sleep(self, seconds: float) -> None:
        self.passed_s += seconds


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


def test_the_second_comer_is_told_who_holds_the_lock_for_what_and_since_when(tmp_path: Path, clock) -> None:
    first, second = StackLock(tmp_path, "ann@host", clock), StackLock(tmp_path, "bob@host", clock)

    with first.acquire("restore"), pytest.raises(LockHeld) as refusal, second.acquire("backup"):
        pass

    assert refusal.value.message == "backup cannot start: restore is running on this stack"
    assert refusal.value.cause == f"ann@host (pid {os.getpid()}) holds the lock since 2026-01-31T02:00:00+00:00"


def test_a_lock_that_was_released_can_be_taken_again(tmp_path: Path, clock) -> None:
    with StackLock(tmp_path, "ann@host", clock).acquire("restore"):
        pass

    lock = StackLock(tmp_path, "bob@host", clock)
    with lock.acquire("backup"):
        assert lock.holder()["what"] == "backup"
    assert lock.holder() == {}


def test_a_failure_inside_releases_the_lock(tmp_path: Path, clock) -> None:
    lock = StackLock(tmp_path, "ann@host", clock)
    with pytest.raises(ZeroDivisionError), lock.acquire("restore"):
        raise ZeroDivisionError

    with StackLock(tmp_path, "bob@host", clock).acquire("backup"):
        pass


def test_the_same_lock_may_be_acquired_inside_itself_and_stays_held_until_the_outer_end(tmp_path: Path, clock) -> None:
    lock, other = StackLock(tmp_path, "ann@host", clock), StackLock(tmp_path, "bob@host", clock)

    with lock.acquire("restore"):
        with lock.acquire("prune"):
            pass
        assert lock.holder()["what"] == "restore"
        with pytest.raises(LockHeld), other.acquire("backup"):
            pass


def test_another_thread_of_the_same_process_has_to_wait(tmp_path: Path, clock) -> None:
    lock = StackLock(tmp_path, "ann@host", clock)
    seen: list[str] = []

    def try_it() -> None:
        try:
            with lock.acquire("backup"):
                seen.append("got in")
        except LockHeld:
            seen.append("kept out")

    with lock.acquire("restore"):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()

    assert seen == ["kept out"]


def test_waiting_is_bounded(tmp_path: Path, clock: SteppingClock) -> None:
    holder, waiter = StackLock(tmp_path, "ann@host", clock), StackLock(tmp_path, "bob@host", clock)

    with holder.acquire("restore"), pytest.raises(LockHeld, match="after 5 s"), waiter.acquire("migrate", wait_s=5):
        pass

    assert clock.passed_s == pytest.approx(5)


def test_a_waiter_gets_in_when_the_holder_leaves(tmp_path: Path, clock: SteppingClock) -> None:
    holder, waiter = StackLock(tmp_path, "ann@host", clock), StackLock(tmp_path, "bob@host", clock)
    held = holder.acquire("restore")
    held.__enter__()
    step = clock.sleep

    def leave_meanwhile(seconds: float) -> None:
        step(seconds)
        if clock.passed_s >= 1 and holder.holder():
            held.__exit__(None, None, None)

    clock.sleep = leave_meanwhile  # type: ignore[method-assign]
    with waiter.acquire("migrate", wait_s=5):
        assert 1 <= clock.passed_s < 2


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path, clock) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent("""
                import sys, time
                from datetime import UTC, datetime
                from pathlib import Path
                from ops.adapters.file_lock import StackLock
                class Clock:
                    now = staticmethod(lambda: datetime.now(UTC))
                    monotonic = staticmethod(time.monotonic)
                    sleep = staticmethod(time.sleep)
                with StackLock(Path(sys.argv[1]), "ann@host", Clock()).acquire("restore"):
                    print("held", flush=True)
                    sys.stdin.read()
            """),
            str(tmp_path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        lock = StackLock(tmp_path, "bob@host", clock)
        with pytest.raises(LockHeld, match="restore is running"), lock.acquire("backup"):
            pass

        holder.send_signal(signal.SIGKILL)
        holder.wait()

    with lock.acquire("backup"):
        assert lock.holder()["who"] == "bob@host"


def test_a_holder_file_that_cannot_be_read_does_not_matter(tmp_path: Path, clock) -> None:
    (tmp_path / "change.holder.json").write_text("{torn")

    with StackLock(tmp_path, "ann@host", clock).acquire("backup"):
        pass


def test_lock_files_are_for_their_owner_only_whatever_the_umask(tmp_path: Path, clock) -> None:
    folder = tmp_path / "state"
    before = os.umask(0)
    try:
        with StackLock(folder, "ann@host", clock).acquire("backup"):
            modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
            description = json.loads((folder / "change.holder.json").read_text())
    finally:
        os.umask(before)

    assert modes == {"state": 0o700, "change.lock": 0o600, "change.holder.json": 0o600}
    assert description == {"pid": os.getpid(), "since": START.isoformat(), "what": "backup", "who": "ann@host"}


def test_a_folder_that_is_a_file_is_named(tmp_path: Path, clock) -> None:
    (tmp_path / "state").write_text("")

    with (
        pytest.raises(ConfigurationError, match="cannot be opened"),
        StackLock(tmp_path / "state", "a", clock).acquire("x"),
    ):
        pass
