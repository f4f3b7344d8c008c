"""Jobs that run in memory: they take as long as they say, by the fake clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ops.errors import OpsError
from ops.model.job import Job, JobResult
from tests.fakes.clock import FakeClock


class FakeWorkers:
    """`takes_s` is how long every run takes; `started` lists job and time of each."""

    def __init__(self, clock: FakeClock, takes_s: float = 30.0) -> None:
        self.clock = clock
        self.takes_s = takes_s
        self.started: list[tuple[str, datetime]] = []

    def start(self, job: Job) -> FakeWork:
        self.started.append((job.name, self.clock.now()))
        return FakeWork(lambda: _run(job), self.clock, self.takes_s)


class FakeWork:
    def __init__(self, run: Callable[[], JobResult], clock: FakeClock, takes_s: float) -> None:
        self._run = run
        self._clock = clock
        self._until_s = clock.monotonic() + takes_s
        self._result: JobResult | None = None

    def result(self) -> JobResult | None:
        if self._result is None and self._clock.monotonic() >= self._until_s:
            self._result = self._run()
        return self._result

    def stop(self, grace_s: float) -> JobResult:
        self._result = self.result() or JobResult("interrupted", "stopped")
        return self._result


def _run(job: Job) -> JobResult:
    try:
        return JobResult("ok", fields=job.run())
    except OpsError as exc:
        return JobResult("failed", exc.message)
