"""Whatever is killed and whenever: does the next start find its way?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ops.actions.start import start
from ops.actions.stop import stop
from ops.adapters.embedded.process_mark import ProcessMark, mark_of, wait_until
from ops.adapters.system_clock import SystemClock
from ops.errors import OpsError
from ops.model.compose.project import Stack
from tests.adapters.embedded.conftest import Place
from tests.conftest import connect
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[3]
STARTER = """\
import sys
from pathlib import Path
from ops.actions.start import start
from ops.adapters.system_clock import SystemClock
from tests.adapters.embedded.conftest import Place
from tests.fakes.reporter import RecordingReporter
place = Place(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
print("begun", flush=True)
start(place.engine(), place.stack(), clock=SystemClock(), report=RecordingReporter(), timeout_s=60)
print("done", flush=True)
"""


def up(place: Place, stack: Stack | None = None) -> None:
    start(place.engine(), stack or place.stack(), clock=SystemClock(), report=RecordingReporter(), timeout_s=60)


def down(place: Place, **options: bool) -> None:
    stop(place.engine(), place.stack(), clock=SystemClock(), report=RecordingReporter(), **options)


def starter(place: Place) -> subprocess.Popen[str]:
    """A process of its own that starts the stack, and has begun to."""
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(place.folder), str(place.database_port), str(place.app_port)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def health(place: Place) -> list[str]:
    return [status.health for status in place.engine().observe(place.stack()).services.values()]


def servers_of(place: Place) -> list[int]:
    """Main processes of servers on this place's data."""
    data = str(place.state / "volumes" / "opstest_data" / "data").encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if data in words and words[0].endswith(b"/postgres"):
            found.append(int(path.parent.name))
    return found


def test_services_outlive_the_process_that_started_them(place: Place):
    process = starter(place)
    with process:
        process.communicate()

    assert process.returncode == 0
    assert health(place) == ["healthy", "healthy"]


@pytest.mark.parametrize("after_s", [0.05, 0.3, 0.7, 1.1])
def test_a_start_killed_at_any_moment_is_finished_by_the_next_one(bare_place: Place, after_s):
    place = bare_place
    with starter(place) as process:
        time.sleep(after_s)
        process.kill()

    up(place)

    assert health(place) == ["healthy", "healthy"]
    assert len(servers_of(place)) == 1
    assert list((place.state / "volumes" / "opstest_data").glob(".new-*")) == []


def test_a_killed_server_keeps_what_was_committed(place: Place):
    up(place)
    endpoint = place.engine().database_endpoint(place.stack(), "db")
    with connect(endpoint) as session:
        session.execute("CREATE TABLE kept AS SELECT 1 AS one")
    place.kill("db")

    up(place)

    with connect(endpoint) as session:
        assert session.execute("SELECT one FROM kept").fetchone() == (1,)


@pytest.mark.parametrize("service", ["db", "app"])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_service_ends_with_its_keeper_and_is_started_by_the_next_start(place: Place, service):
    up(place)
    record = place.process(service).running()
    assert record is not None

    os.kill(record.keeper.pid, signal.SIGKILL)

    assert wait_until(lambda: not record.process.is_alive(), 30), "it outlived its keeper"
    assert place.engine().status(place.stack(), service).state == "exited"
    up(place)
    assert health(place) == ["healthy", "healthy"]


def test_two_starts_at_once_make_one_of_each(place: Place):
    failures: list[OpsError] = []

    def run() -> None:
        try:
            up(place)
        except OpsError as exc:
            failures.append(exc)

    both = [threading.Thread(target=run) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert failures == []
    assert len(servers_of(place)) == 1
    assert health(place) == ["healthy", "healthy"]


@pytest.mark.parametrize("began", ["", "another boot 4711"])
def test_a_process_that_only_has_the_recorded_number_is_not_ours_and_never_signalled(place: Place, began):
    up(place)
    down(place)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        record = {
            "pid": stranger.pid, "began": began, "keeper_pid": stranger.pid, "keeper_began": began,
            "started_at": "2026-01-01T00:00:00+00:00", "exit_code": None, "finished_at": None,
            "facts": {"port": place.app_port, "keys": {}},
        }  # fmt: skip
        (place.state / "run" / "app.json").write_text(json.dumps(record))

        assert place.engine().status(place.stack(), "app").state == "exited"
        down(place)

        assert stranger.poll() is None
        stranger.kill()


def test_a_mark_tells_a_process_from_a_later_one_with_its_number():
    own = mark_of(os.getpid())
    assert own is not None

    assert own.is_alive()
    assert not ProcessMark(own.pid, own.began + "1").is_alive()


def test_a_process_that_ended_and_was_not_collected_is_not_alive():
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert mark_of(child.pid) is None
    child.wait()


def test_a_volume_whose_removal_was_killed_is_gone_all_the_same(place: Place):
    (place.state / "volumes" / "opstest_data").rename(place.state / "removed-abcd")

    down(place, remove_volumes=True, is_confirmed=True)
    up(place)
    down(place, remove_volumes=True, is_confirmed=True)

    assert list(place.state.glob("removed-*")) == []
    assert place.engine().observe(place.stack()).volumes == {}
