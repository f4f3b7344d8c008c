"""What does Prometheus see of the scheduler?

A registry of our own, filled from one `SchedulerStatus` at each scrape: ages are computed when asked for, so they
keep growing while the scheduler is down but its status process answers. docs/scheduler.md lists the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ops.model.scheduler_status import JobStatus, SchedulerStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_Value = Callable[[JobStatus], float | None]


def exposition(status: SchedulerStatus) -> bytes:
    """The text of `/metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scheduler(status))
    return generate_latest(registry)


class _Scheduler(Collector):
    def __init__(self, status: SchedulerStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        for name, words, value in _PER_JOB:
            gauge = GaugeMetricFamily(f"ops_job_{name}", words, labels=["job"])
            for job in self._status.jobs:
                if (number := value(job)) is not None:
                    gauge.add_metric([job.name], number)
            yield gauge
        runs = CounterMetricFamily("ops_job_runs", "Attempts that ended, by state.", labels=["job", "state"])
        for job in self._status.jobs:
            for state in ("ok", "failed", "interrupted"):
                runs.add_metric([job.name, state], job.totals.get(state, 0))
        yield runs
        for name, words, number in _of_all(self._status):
            if number is not None:
                yield GaugeMetricFamily(f"ops_{name}", words, value=number)


def _of_all(status: SchedulerStatus) -> Iterator[tuple[str, str, float | None]]:
    yield "scheduler_alive", "1 while the loop comes round.", float(status.is_alive)
    yield "scheduler_healthy", "0 while /health answers 503.", float(status.state != "failing")
    yield "scheduler_heartbeat_age_seconds", "Since the loop last came round.", status.heartbeat_age_s
    yield (
        "notifier_working",
        "0 while the newest notice could not be delivered.",
        float(status.notifier_problem is None),
    )
    yield "backups", "Backups in the catalog.", float(len(status.backups))
    yield (
        "backups_size_bytes",
        "Bytes of all archives in the catalog.",
        float(sum(m.size_bytes for m in status.backups)),
    )
    yield "backup_last_verified_timestamp_seconds", "When a backup was last read back.", _at(status.last_verified_at)
    yield "backup_last_drill_timestamp_seconds", "When a backup was last restored for proof.", _at(status.last_drill_at)


def _at(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None


def _size(job: JobStatus) -> float | None:
    size = job.last_success.fields.get("size_bytes") if job.last_success else None
    return float(size) if isinstance(size, int | float) else None


def _duration(job: JobStatus) -> float | None:
    return job.last_success.duration_s if job.last_success else None


_PER_JOB: tuple[tuple[str, str, _Value], ...] = (
    ("last_success_timestamp_seconds", "When the newest success ended.", lambda job: _at(job.succeeded_at)),
    ("last_success_age_seconds", "Since the newest success ended.", lambda job: job.age_s),
    ("max_age_seconds", "How old the newest success may be.", lambda job: job.max_age_s),
    ("too_old", "1 while the newest success is older than that.", lambda job: float(job.is_too_old)),
    ("size_bytes", "Size that the newest success reported.", _size),
    ("duration_seconds", "Duration of the newest success.", _duration),
    ("next_run_timestamp_seconds", "When the next run starts.", lambda job: _at(job.next_at)),
    ("consecutive_failures", "Due times in a row without a success.", lambda job: float(job.consecutive_failures)),
    ("running", "1 while a run is in progress.", lambda job: float(job.running_since is not None)),
)  # fmt: skip
