"""A real scheduler as a process of its own: `python daemon.py FOLDER JOB PORT`, for the tests that kill it.

JOB is what the backup does: `quick`, `long` (sleeps until stopped, then cleans up), `stubborn` (does not stop).
The state begins so that a backup is due at once, and none again for up to a month.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from ops.adapters.schedule_state import ScheduleState
from ops.adapters.system_clock import SystemClock
from ops.model.job import Job
from ops.model.schedule import parse_rule
from ops.scheduler import run_scheduler
from tests.fakes.reporter import RecordingReporter


def main(folder: Path, kind: str, port: int) -> int:
    clock, state = SystemClock(), ScheduleState(folder)
    if not state.history().runs:
        state.see(["backup"], clock.now() - timedelta(days=40))

    def run() -> Mapping[str, object]:
        with (folder / "started").open("a") as file:
            file.write("started\n")
        if kind == "quick":
            return {"size_bytes": 4096}
        child = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)
        (folder / "tool").write_text(str(child.pid))
        try:
            child.wait()
        finally:
            if kind == "stubborn":
                time.sleep(60)
            child.kill()
            child.wait()
            (folder / "cleaned").touch()
        return {}

    jobs = {"backup": Job("backup", parse_rule("every 744 hours"), run, max_age_s=26 * 3600, backoff_s=0.1)}
    return run_scheduler(
        jobs, clock=clock, state=state, report=RecordingReporter(), stack="comic-pile", status_port=port, tick_s=0.1,
        on_ready=lambda bound: (folder / "port").write_text(str(bound)),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
