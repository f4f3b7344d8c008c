"""Does work on several cores give its results in order, say what failed, and end with us?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from ops.adapters.side_by_side import Begun, in_threads, side_by_side
from ops.errors import ArchiveUnwritable, LoadFailed

REPOSITORY = Path(__file__).parents[2]


def counted(number, report):
    for _ in range(number):
        report(10)
    return number * number, os.getpid()


def test_results_come_in_the_order_of_the_pieces_and_reports_add_up():
    heard = []

    found = side_by_side([partial(counted, number) for number in range(7)], workers=3, on_rows=heard.append)

    assert [result for result, _ in found] == [0, 1, 4, 9, 16, 25, 36]
    assert sum(heard) == 10 * sum(range(7))
    assert os.getpid() not in {pid for _, pid in found}
    assert side_by_side([], workers=2, on_rows=heard.append) == []


def test_an_error_of_ours_arrives_whole_and_the_other_pieces_are_ended(tmp_path):
    def fails(_report):
        raise ArchiveUnwritable("no room", cause="the disk is full", hint="df -h")

    def endless(report):
        (tmp_path / "pid").write_text(str(os.getpid()))
        while True:
            report(1)
            time.sleep(0.01)

    def waits_for_the_other(report):
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        fails(report)

    with pytest.raises(ArchiveUnwritable) as failed:
        side_by_side([endless, waits_for_the_other], workers=2, on_rows=lambda _rows: None)

    assert (failed.value.message, failed.value.cause, failed.value.hint) == ("no room", "the disk is full", "df -h")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_process_that_is_killed_is_a_failure_with_its_cause():
    def dies(_report):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(LoadFailed, match="ended with -9") as failed:
        side_by_side([dies], workers=2, on_rows=lambda _rows: None)

    assert "memory" in failed.value.cause


def test_another_thread_is_no_warning_that_becomes_an_error():
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()

    found = side_by_side([partial(counted, 2)], workers=2, on_rows=lambda _rows: None)
    over.set()
    thread.join()

    assert found[0][0] == 4


PARENT = """
import os, sys, time
from pathlib import Path
from ops.adapters.side_by_side import Begun, in_threads, side_by_side
def endless(report):
    Path(sys.argv[1], str(os.getpid())).touch()
    while True:
        if sys.argv[2] == "reporting":
            report(1)
        time.sleep(0.01)
side_by_side([endless, endless], workers=2, on_rows=lambda _rows: None)
"""


def test_an_interrupt_of_the_terminal_ends_them_all_and_only_the_parent_says_so(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), "silent"], cwd=REPOSITORY, start_new_session=True,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.02)

    os.killpg(parent.pid, signal.SIGINT)
    _, said = parent.communicate(timeout=20)

    assert said.count("KeyboardInterrupt") == 1
    assert [path.name for path in tmp_path.iterdir() if Path("/proc", path.name).exists()] == []


@pytest.mark.parametrize("how", ["reporting", "silent"])
def test_kill_9_of_the_parent_ends_them_all(how, tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path), how], cwd=REPOSITORY)
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.02)

    parent.kill()
    parent.wait()

    children = [int(path.name) for path in tmp_path.iterdir()]
    for _ in range(500):
        if not any(Path("/proc", str(pid)).exists() for pid in children):
            break
        time.sleep(0.02)
    assert [pid for pid in children if Path("/proc", str(pid)).exists()] == []


def test_threads_too_give_results_in_order_and_the_first_failure_ends_the_others():
    heard = []

    assert in_threads([partial(counted, number) for number in (3, 1, 2)], workers=2, on_rows=heard.append) == [
        (9, os.getpid()), (1, os.getpid()), (4, os.getpid()),
    ]  # fmt: skip
    assert sum(heard) == 60

    def endless(report):
        while True:
            report(1)
            time.sleep(0.001)

    def fails(_report):
        raise ArchiveUnwritable("no room")

    before = threading.active_count()
    with pytest.raises(ArchiveUnwritable, match="no room"):
        in_threads([endless, fails, endless], workers=2, on_rows=lambda _rows: None)
    assert threading.active_count() == before


def test_one_who_hears_of_rows_may_end_it_all():
    class Enough(Exception):
        pass

    def hear(_rows):
        raise Enough

    with pytest.raises(Enough):
        in_threads([partial(counted, 2)] * 3, workers=2, on_rows=hear)


def test_a_piece_begun_early_gives_its_result_whenever_it_is_asked_and_ends_when_nobody_wants_it(tmp_path):
    begun = Begun(os.getpid)
    assert begun.result() == begun.result() != os.getpid()
    begun.end()

    def fails():
        raise ArchiveUnwritable("no room")

    begun = Begun(fails)
    for _ in range(2):
        with pytest.raises(ArchiveUnwritable, match="no room"):
            begun.result()

    def endless():
        (tmp_path / "pid").write_text(str(os.getpid()))
        while True:
            time.sleep(0.01)

    begun = Begun(endless)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    begun.end()
    begun.end()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_piece_begun_early_that_is_killed_is_a_failure_with_its_cause():
    begun = Begun(lambda: os.kill(os.getpid(), signal.SIGKILL))

    with pytest.raises(LoadFailed, match="ended with -9"):
        begun.result()
    begun.end()
