"""Does the real daemon end cleanly, survive a kill, and answer over HTTP?"""

from __future__ import annotations

import json
import signal
import socket
import threading
import time

import httpx2 as httpx
import pytest

from ops.adapters.schedule_state import ScheduleState
from ops.errors import ConfigurationError, DumpFailed, LockHeld, PortTaken
from ops.model.job import Job
from ops.model.schedule import parse_rule
from ops.scheduler import run_once, run_scheduler, scheduler_status
from tests.fakes.clock import FakeClock
from tests.fakes.notifier import FakeNotifier, FakeSwitch
from tests.fakes.reporter import RecordingReporter
from tests.fakes.workers import FakeWorkers
from tests.scheduler.processes import daemon, is_gone, read, wait_for


def runs(folder):
    return ScheduleState(folder).history().runs


def backup(run=dict, **more) -> dict[str, Job]:
    return {"backup": Job("backup", parse_rule("daily 02:00"), run, **more)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_daemon_ends_with_0(tmp_path, number):
    with daemon(tmp_path) as process:
        wait_for(lambda: [run for run in runs(tmp_path) if run.state == "ok"])

        process.send_signal(number)

        assert process.wait(15) == 0
    assert [(run.state, run.fields["size_bytes"]) for run in runs(tmp_path)] == [("ok", 4096)]


def test_a_daemon_that_is_ended_during_a_run_unwinds_it_and_the_next_one_runs_it_again(tmp_path):
    with daemon(tmp_path, "long") as process:
        tool = int(wait_for(lambda: read(tmp_path / "tool")))

        process.terminate()

        assert process.wait(15) == 143
    assert (tmp_path / "cleaned").exists()
    assert is_gone(tool)
    (left,) = runs(tmp_path)
    assert (left.state, left.is_stopped, left.message) == ("interrupted", True, "stopped")

    with daemon(tmp_path, "quick") as process:
        wait_for(lambda: [run for run in runs(tmp_path) if run.state == "ok"])
    assert [(run.state, run.attempt, run.due_at == left.due_at) for run in runs(tmp_path)] == [
        ("interrupted", 1, True), ("ok", 2, True),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_run_that_does_not_unwind_cannot_hold_the_daemon_up_for_ten_seconds(tmp_path):
    with daemon(tmp_path, "stubborn") as process:
        tool = int(wait_for(lambda: read(tmp_path / "tool")))
        began = time.monotonic()

        process.terminate()

        assert process.wait(30) == 143
        # The promise itself is a time: `docker stop` kills after ten seconds.
        assert time.monotonic() - began < 10
    wait_for(lambda: is_gone(tool))
    assert runs(tmp_path)[0].state == "interrupted"


def test_a_daemon_that_is_killed_leaves_no_tool_and_the_next_one_notes_and_repeats_the_run(tmp_path):
    with daemon(tmp_path, "long") as process:
        tool = int(wait_for(lambda: read(tmp_path / "tool")))
        process.kill()
    wait_for(lambda: is_gone(tool))
    wait_for((tmp_path / "cleaned").exists)

    with daemon(tmp_path, "quick"):
        wait_for(lambda: [run for run in runs(tmp_path) if run.state == "ok"])

    assert [(run.state, run.is_stopped, run.attempt) for run in runs(tmp_path)] == [
        ("interrupted", False, 1), ("ok", False, 2),
    ]  # fmt: skip


def test_ten_kills_of_the_daemon_after_its_backup_give_no_second_one(tmp_path):
    for _ in range(10):
        with daemon(tmp_path) as process:
            wait_for(lambda: [run for run in runs(tmp_path) if run.state == "ok"])
            wait_for(lambda: read(tmp_path / "port"))
            process.kill()

    assert len({run.due_at for run in runs(tmp_path)}) == len(runs(tmp_path))
    assert read(tmp_path / "started").count("started") == len(runs(tmp_path))


def test_a_running_daemon_answers_and_a_second_one_is_refused(tmp_path):
    with daemon(tmp_path) as process:
        address = f"http://127.0.0.1:{wait_for(lambda: read(tmp_path / 'port'))}"
        wait_for(lambda: 'ops_job_runs_total{job="backup",state="ok"} 1.0' in httpx.get(f"{address}/metrics").text)

        health = httpx.get(f"{address}/health")
        page = httpx.get(address)

        assert (health.status_code, health.json()["status"]) == (200, "ok")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "All is well" in page.text
        with pytest.raises(LockHeld):
            run_scheduler(
                backup(), clock=FakeClock(), state=ScheduleState(tmp_path), report=RecordingReporter(), stack="s",
                stop=threading.Event(),
            )  # fmt: skip
        assert process.poll() is None


@pytest.mark.slow
def test_health_turns_red_when_the_loop_stands_still_and_green_when_it_goes_on(tmp_path):
    with daemon(tmp_path) as process:
        address = f"http://127.0.0.1:{wait_for(lambda: read(tmp_path / 'port'))}/health"
        wait_for(lambda: httpx.get(address).status_code == 200)
        process.send_signal(signal.SIGSTOP)
        beat = json.loads((tmp_path / "heartbeat.json").read_text())
        (tmp_path / "heartbeat.json").write_text(json.dumps({**beat, "monotonic_s": beat["monotonic_s"] - 3600}))

        answer = httpx.get(address)

        assert answer.status_code == 503
        assert answer.json()["problems"][0].startswith("the scheduler's loop stands still since 1 h")
        process.send_signal(signal.SIGCONT)
        wait_for(lambda: httpx.get(address).status_code == 200)


def test_what_answers_ends_with_a_daemon_that_is_killed(tmp_path):
    with daemon(tmp_path) as process:
        address = f"http://127.0.0.1:{wait_for(lambda: read(tmp_path / 'port'))}/health"
        wait_for(lambda: httpx.get(address).status_code == 200)
        process.kill()

    def is_down() -> bool:
        try:
            httpx.get(address, timeout=1)
        except httpx.HTTPError:
            return True
        return False

    wait_for(is_down)


def test_a_scheduler_that_can_make_no_backup_says_so_at_its_start_and_is_unhealthy(tmp_path):
    clock = StoppingClock(sleeps=1)
    report = RecordingReporter()
    surroundings = {
        "clock": clock, "state": ScheduleState(tmp_path), "report": report, "stack": "s",
        "faults": lambda: ("user 1000 cannot write to /ops/backups",),
    }  # fmt: skip

    run_scheduler(backup(), stop=clock.stop, workers=FakeWorkers(clock), **surroundings)
    found = scheduler_status(backup(), **surroundings)

    assert report.warnings == ["user 1000 cannot write to /ops/backups"]
    assert found.state == "failing"
    assert "user 1000 cannot write to /ops/backups" in found.problems


def test_a_taken_port_is_told_at_the_start(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(PortTaken) as refused:
            run_scheduler(
                backup(), clock=FakeClock(), state=ScheduleState(tmp_path), report=RecordingReporter(), stack="s",
                stop=threading.Event(), status_port=port,
            )  # fmt: skip

    assert str(port) in refused.value.message


def test_a_schedule_that_contradicts_itself_is_refused(tmp_path):
    jobs = {"prune": Job("prune", parse_rule("after backup"), dict)}

    with pytest.raises(ConfigurationError):
        run_scheduler(
            jobs, clock=FakeClock(), state=ScheduleState(tmp_path), report=RecordingReporter(), stack="s",
            stop=threading.Event(),
        )  # fmt: skip


class StoppingClock(FakeClock):
    """Sets `stop` after so many sleeps."""

    def __init__(self, sleeps: int) -> None:
        super().__init__()
        self.stop = threading.Event()
        self._left = sleeps

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._left -= 1
        if self._left <= 0:
            self.stop.set()


def test_the_library_ticks_the_loop_once_a_second_of_monotonic_time(tmp_path):
    clock = StoppingClock(sleeps=3 * 3600)
    workers = FakeWorkers(clock, takes_s=5)
    report = RecordingReporter()

    code = run_scheduler(
        backup(), clock=clock, state=ScheduleState(tmp_path), report=report, stack="s", stop=clock.stop,
        workers=workers,
    )  # fmt: skip

    assert code == 0
    assert [(name, at.hour, at.minute, at.second) for name, at in workers.started] == [("backup", 2, 0, 0)]
    assert [event for event, _ in report.events] == ["job.finished"]


def test_a_broken_state_is_set_aside_with_a_warning_and_the_schedule_goes_on(tmp_path):
    (tmp_path / "schedule.json").write_text("{ torn")
    clock = StoppingClock(sleeps=3 * 3600)
    report = RecordingReporter()

    run_scheduler(
        backup(), clock=clock, state=ScheduleState(tmp_path), report=report, stack="s", stop=clock.stop,
        workers=FakeWorkers(clock),
    )  # fmt: skip

    assert (tmp_path / "schedule.json.broken").read_text() == "{ torn"
    assert "the history begins anew" in report.warnings[0]
    assert [run.state for run in runs(tmp_path)] == ["ok"]


def test_a_state_that_cannot_be_written_for_a_while_is_told_once_and_the_loop_goes_on(tmp_path):
    folder = tmp_path / "state"
    clock = StoppingClock(sleeps=4 * 3600)
    report = RecordingReporter()

    def run():
        # The folder vanishes under the scheduler's feet, as a lost mount does, until an hour later.
        folder.rename(tmp_path / "away")
        folder.write_text("in the way")
        return {"size_bytes": 1}

    original = clock.sleep

    def sleep(seconds: float) -> None:
        original(seconds)
        if clock.now().hour == 3 and folder.is_file():
            folder.unlink()
            (tmp_path / "away").rename(folder)

    clock.sleep = sleep  # type: ignore[method-assign]
    run_scheduler(
        backup(run), clock=clock, state=ScheduleState(folder), report=report, stack="s", stop=clock.stop,
        workers=FakeWorkers(clock),
    )  # fmt: skip

    assert [run.state for run in runs(folder)] == ["ok"]
    assert 1 <= len([text for text in report.warnings if "cannot write" in text]) <= 4


def once(folder, jobs, name="backup", **more):
    return run_once(
        jobs, name, clock=FakeClock(), state=ScheduleState(folder), report=RecordingReporter(), stack="s", **more
    )


def test_a_run_by_hand_is_noted_as_such_and_pings(tmp_path):
    switch = FakeSwitch()

    fields = once(tmp_path, backup(lambda: {"size_bytes": 7}), switches={"backup": switch})

    assert fields == {"size_bytes": 7}
    (run,) = runs(tmp_path)
    assert (run.state, run.is_manual, run.fields["size_bytes"]) == ("ok", True, 7)
    assert switch.pings == ["start", "success"]


def test_a_run_by_hand_that_fails_raises_what_it_raised_and_tells_nobody(tmp_path):
    def run():
        raise DumpFailed("no")

    notifier = FakeNotifier()
    with pytest.raises(DumpFailed):
        once(tmp_path, backup(run), notifier=notifier)

    assert [(run.state, run.message) for run in runs(tmp_path)] == [("failed", "no")]
    assert notifier.sent == []


def test_a_job_that_does_not_exist_is_refused_with_those_that_do(tmp_path):
    with pytest.raises(ConfigurationError) as refused:
        once(tmp_path, backup(), "bakcup")

    assert "backup" in (refused.value.cause or "")


def test_status_without_a_daemon_says_so(tmp_path):
    found = scheduler_status(
        backup(), clock=FakeClock(), state=ScheduleState(tmp_path), report=RecordingReporter(), stack="s"
    )

    assert found.state == "failing"
    assert found.problems == ("the scheduler is not running",)
