"""What does the scheduler's state on disk survive?"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.adapters import schedule_state
from ops.adapters.schedule_state import ScheduleState
from ops.errors import ConfigurationError, LockHeld, ManifestInvalid
from ops.model.run_history import Notice, Run
from ops.model.scheduler_status import Heartbeat

NOW = datetime(2026, 1, 1, 2, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def run(number: int = 0, **more) -> Run:
    at = NOW + timedelta(days=number)
    return Run("backup", at, at, **more)


def ended(one: Run, state: str = "ok", **more) -> Run:
    return replace(one, state=state, finished_at=one.started_at + timedelta(seconds=8), **more)


def test_what_was_written_is_read_by_another_object_as_it_was(tmp_path):
    state = ScheduleState(tmp_path / "comic-pile")
    one = run(is_catch_up=True, attempt=2)
    state.see(["backup", "drill"], NOW)
    state.start(one)
    state.finish(ended(one, fields={"size_bytes": 5}, message="well"))
    state.tell(Notice("failure", "backup", NOW, is_delivered=False, problem="no answer"))

    again = ScheduleState(tmp_path / "comic-pile").history()

    assert again == state.history()
    assert again.runs == (ended(one, fields={"size_bytes": 5}, message="well"),)
    assert again.first_seen == {"backup": NOW, "drill": NOW}
    assert again.totals == {"backup": {"ok": 1}}


def test_the_files_are_for_their_owner_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        state = ScheduleState(tmp_path / "comic-pile")
        state.start(run())
        state.finish(ended(run()))
        state.beat(Heartbeat(NOW, 1.0, 1))
    finally:
        os.umask(before)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "comic-pile").iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "comic-pile").stat().st_mode) == 0o700
    assert not [name for name in modes if name.endswith(".partial")]


def test_a_job_that_stays_keeps_since_when_it_is_known(tmp_path):
    state = ScheduleState(tmp_path)
    state.see(["backup"], NOW)

    state.see(["backup", "drill"], NOW + timedelta(days=3))

    assert state.history().first_seen == {"backup": NOW, "drill": NOW + timedelta(days=3)}


KILLED = """
import os, sys, signal
from datetime import datetime, UTC
from pathlib import Path
from ops.adapters.schedule_state import ScheduleState
from ops.model.run_history import Run
at = datetime(2026, 1, 1, 2, tzinfo=UTC)
state = ScheduleState(Path(sys.argv[1]))
with state.hold():
    state.start(Run("backup", at, at))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_whose_process_was_killed_reads_as_interrupted_and_its_locks_are_free(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL

    state = ScheduleState(tmp_path)

    (left,) = state.history().runs
    assert (left.state, left.finished_at, left.message) == ("interrupted", None, "its process was killed")
    assert not state.has_scheduler()
    with state.hold():
        state.start(run(1))
        state.finish(ended(run(1)))
    assert [one.state for one in state.history().runs] == ["interrupted", "ok"]


def test_a_run_in_progress_reads_as_running_from_elsewhere_and_refuses_a_second(tmp_path):
    state, other = ScheduleState(tmp_path), ScheduleState(tmp_path)
    state.start(run())

    assert other.history().runs[0].state == "running"
    assert other.is_running("backup")
    with pytest.raises(LockHeld):
        other.start(run(1))

    state.finish(ended(run()))
    other.start(run(1))
    other.finish(ended(run(1)))
    assert len(state.history().runs) == 2


def test_only_one_scheduler_of_a_stack_runs(tmp_path):
    with ScheduleState(tmp_path).hold():
        assert ScheduleState(tmp_path).has_scheduler()
        with pytest.raises(LockHeld, match="running already") as caught, ScheduleState(tmp_path).hold():
            pass

    assert "lock of its own" in caught.value.shown_cause

    with ScheduleState(tmp_path).hold():
        pass


def test_a_scheduler_waits_for_the_run_of_a_killed_predecessor(tmp_path):
    first = ScheduleState(tmp_path).hold()
    first.__enter__()
    waits = []

    def wait() -> bool:
        waits.append(1)
        first.__exit__(None, None, None)
        return True

    with ScheduleState(tmp_path).hold(wait):
        pass

    assert waits == [1]


WRITER = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from ops.adapters.schedule_state import ScheduleState
from ops.model.run_history import Notice
state = ScheduleState(Path(sys.argv[1]))
for number in range(25):
    state.tell(Notice("summary", sys.argv[2], datetime(2026, 1, 1, tzinfo=UTC), True, str(number)))
"""


def test_two_processes_that_write_at_once_lose_nothing(tmp_path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, name], cwd=ROOT) for name in ("a", "b")]

    assert [writer.wait() for writer in writers] == [0, 0]

    notices = ScheduleState(tmp_path).history().notices
    for name in ("a", "b"):
        assert [notice.problem for notice in notices if notice.job == name] == [str(number) for number in range(25)]


def test_the_newest_success_stays_however_many_failures_follow(tmp_path):
    state = ScheduleState(tmp_path)
    state.start(run())
    state.finish(ended(run()))
    runs = [ended(run(number), "failed") for number in range(1, schedule_state.KEPT_RUNS_PER_JOB + 10)]
    document = json.loads((tmp_path / "schedule.json").read_text())
    document["runs"] += [schedule_state._run_to_json(one) for one in runs]
    (tmp_path / "schedule.json").write_text(json.dumps(document))

    state.tell(Notice("summary", "", NOW, is_delivered=True))

    kept = state.history().runs
    assert len(kept) == schedule_state.KEPT_RUNS_PER_JOB + 1
    assert kept[0].state == "ok"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1}'])
def test_a_state_that_cannot_be_read_says_so_and_can_be_set_aside(tmp_path, text):
    (tmp_path / "schedule.json").write_text(text)
    state = ScheduleState(tmp_path)

    with pytest.raises(ManifestInvalid) as refused:
        state.history()

    assert "schedule.json" in refused.value.message
    assert state.set_aside().read_text() == text
    assert state.history().runs == ()


def test_a_folder_that_cannot_be_written_is_a_configuration_error_and_no_lock_stays(tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, not a folder")

    with pytest.raises(ConfigurationError):
        ScheduleState(blocked).start(run())


def test_a_heartbeat_is_read_back_and_rubbish_is_none(tmp_path):
    state = ScheduleState(tmp_path)
    assert state.heartbeat() is None

    state.beat(Heartbeat(NOW, 12.5, 42))
    assert state.heartbeat() == Heartbeat(NOW, 12.5, 42)

    (tmp_path / "heartbeat.json").write_text("{}")
    assert state.heartbeat() is None
