"""Does a job's process end when it must, tell how it ended, and leave nothing behind?"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops.adapters.job_process import JobProcess, JobProcesses
from ops.errors import DumpFailed
from ops.model.job import Job, JobResult
from ops.model.schedule import parse_rule


def job(run) -> Job:
    return Job("backup", parse_rule("daily 02:00"), run)


def wait_for(condition, timeout_s: float = 20.0):
    until = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)
    return found


def is_gone(pid: int) -> bool:
    """Ended, or a zombie that nobody has waited for."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def outcome(process: JobProcess) -> JobResult:
    return wait_for(process.result)


def test_a_job_that_returns_has_succeeded_with_its_fields():
    process = JobProcesses().start(job(lambda: {"size_bytes": 5, "path": Path("a")}))

    assert outcome(process) == JobResult("ok", "", {"size_bytes": 5, "path": "a"})
    assert process.stop(1.0).state == "ok"


def test_a_job_that_raises_has_failed_with_its_words_and_cause():
    def run():
        raise DumpFailed("the dump did not finish", cause="the server went away")

    assert outcome(JobProcesses().start(job(run))) == JobResult(
        "failed", "the dump did not finish (the server went away)"
    )


def test_a_bug_in_a_job_is_its_failure_and_its_traceback_goes_to_stderr(capfd):
    result = outcome(JobProcesses().start(job(lambda: 1 / 0)))  # type: ignore[arg-type, return-value]

    assert result == JobResult("failed", "ZeroDivisionError: division by zero")
    assert "Traceback" in capfd.readouterr().err


def test_a_job_whose_process_is_killed_was_interrupted():
    process = JobProcesses().start(job(lambda: time.sleep(60)))  # type: ignore[arg-type, return-value]
    os.kill(process.pid, signal.SIGKILL)

    assert outcome(process) == JobResult("interrupted", "its process was killed by SIGKILL")


def test_a_job_that_leaves_without_a_result_was_interrupted():
    result = outcome(JobProcesses().start(job(lambda: os._exit(0))))

    assert result == JobResult("interrupted", "its process ended with exit code 0 and no result")


def test_a_long_answer_does_not_get_stuck():
    result = outcome(JobProcesses().start(job(lambda: {"text": "x" * 1_000_000})))

    assert len(result.fields["text"]) == 1_000_000


def test_a_job_that_is_stopped_unwinds(tmp_path):
    ready, cleaned = tmp_path / "ready", tmp_path / "cleaned"

    def run():
        try:
            ready.touch()
            time.sleep(60)
        finally:
            cleaned.touch()

    process = JobProcesses().start(job(run))
    wait_for(ready.exists)

    assert process.stop(grace_s=20.0) == JobResult("interrupted", "stopped")
    assert cleaned.exists()


def test_a_stop_that_is_not_heard_the_first_time_is_said_again(tmp_path):
    """As one that comes between the last look at signals and the sleep that follows it."""

    def run():
        heard = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, heard))
        (tmp_path / "ready").touch()
        time.sleep(60)

    process = JobProcesses().start(job(run))
    wait_for((tmp_path / "ready").exists)

    assert process.stop(grace_s=20.0) == JobResult("interrupted", "stopped")


def test_a_stop_in_the_very_first_moment_is_not_lost(tmp_path):
    for _ in range(20):
        process = JobProcesses().start(job(lambda: time.sleep(60)))  # type: ignore[arg-type, return-value]

        assert process.stop(grace_s=20.0) == JobResult("interrupted", "stopped")


def test_a_job_that_will_not_unwind_is_killed_with_all_that_it_started(tmp_path):
    pid_file = tmp_path / "pid"

    def run():
        child = subprocess.Popen(["sleep", "60"])
        pid_file.write_text(str(child.pid))
        while True:
            try:
                time.sleep(60)
            except SystemExit:
                continue

    process = JobProcesses().start(job(run))
    child = int(wait_for(lambda: pid_file.exists() and pid_file.read_text()))

    assert process.stop(grace_s=0.3).state == "interrupted"
    wait_for(lambda: is_gone(child))


DAEMON = """
import sys, time
from pathlib import Path
from ops.adapters.job_process import JobProcesses
from ops.model.job import Job
from ops.model.schedule import parse_rule
folder = Path(sys.argv[1])
def run():
    try:
        (folder / "ready").touch()
        time.sleep(60)
    finally:
        (folder / "cleaned").touch()
process = JobProcesses().start(Job("backup", parse_rule("daily 02:00"), run))
(folder / "pid").write_text(str(process.pid))
time.sleep(60)
"""


def test_a_job_unwinds_when_its_daemon_is_killed(tmp_path):
    daemon = subprocess.Popen([sys.executable, "-c", DAEMON, tmp_path], cwd=Path(__file__).parents[2])
    wait_for((tmp_path / "ready").exists)
    pid = int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))

    daemon.kill()
    daemon.wait()

    wait_for((tmp_path / "cleaned").exists)
    wait_for(lambda: is_gone(pid))


@pytest.mark.parametrize("count", [30])
def test_many_runs_leave_no_descriptor_and_no_process_behind(count):
    outcome(JobProcesses().start(job(dict)))
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(count):
        outcome(JobProcesses().start(job(dict)))

    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert multiprocessing.active_children() == []
