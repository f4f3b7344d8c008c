"""How does the scheduler run as a daemon, and how does it end?

The `schedule` library ticks three things: the loop (every second), the watch over silence and summaries (every
minute) and the heartbeat. What is due is decided by our own pure rules, because the library keeps no state and ran a
daily job twice at a change of the clocks. Its ticks have their pace from `ops/adapters/paced_ticks.py`.

Processes: this one with a single thread (the loop), one that answers `/health` and the page, one for each run of a job.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import FrameType, MappingProxyType

import schedule

from ops.actions.notify import Herald, newest_success_elsewhere
from ops.actions.run_jobs import JobLoop, check_jobs
from ops.actions.run_jobs import run_once as run_job_once
from ops.adapters.job_process import JobProcesses
from ops.adapters.paced_ticks import ToldOnce, every
from ops.adapters.schedule_state import ScheduleState
from ops.adapters.status_server import LOOPBACK, StatusServer
from ops.errors import ConfigurationError, ManifestInvalid, OpsError
from ops.model.job import Job
from ops.model.manifest import DatabaseIdentity, Manifest
from ops.model.schedule import Rule
from ops.model.scheduler_status import Heartbeat, SchedulerStatus, status_of
from ops.ports import Clock, DeadMansSwitch, JobWorkers, Notifier, Reporter

TICK_S = 1.0
WATCH_S = 60.0
BEAT_S = 10.0
GRACE_S = 7.0
"""What a run gets to unwind after SIGTERM."""
LAST_RESORT_S = 9.5
"""After this the daemon is gone, whatever hangs: `docker stop` kills after 10 s."""
PREDECESSOR_S = 20.0
"""How long a run of a killed daemon may still unwind before the next daemon gives up."""


def run_scheduler(
    jobs: Mapping[str, Job],
    *,
    clock: Clock,
    state: ScheduleState,
    report: Reporter,
    stack: str,
    zone: str = "UTC",
    notifier: Notifier | None = None,
    switches: Mapping[str, DeadMansSwitch] = MappingProxyType({}),
    summary: Rule | None = None,
    backups: Callable[[], Sequence[Manifest]] | None = None,
    live: DatabaseIdentity | None = None,
    faults: Callable[[], Sequence[str]] = tuple,
    stop: threading.Event | None = None,
    status_port: int | None = None,
    status_host: str = LOOPBACK,
    workers: JobWorkers | None = None,
    tick_s: float = TICK_S,
    on_ready: Callable[[int | None], None] | None = None,
) -> int:
    """Run jobs when they are due, until told to stop.

    Args:
        jobs: name -> job, in order of precedence where two are due at once.
        stack: named in notifications and on the page; seeds the jitter.
        zone: of the page's times; each rule has its own.
        notifier: told of failure, recovery, silence, summary.
        switches: job -> its dead man's switch.
        backups: the catalog, newest first, for the page; called in the process that answers.
        live: whose drills and verified backups the page and the metrics tell of; None: of any database.
        faults: why no backup could be made now; told at the start, and `/health` is red as long as there is one.
        stop: ends the loop when set. None installs handlers of SIGTERM and SIGINT instead.
        status_port: of the page, `/health` and `/metrics`; 0 chooses one, None answers nothing.
        status_host: loopback, unless the process has a network of its own.
        workers: what runs jobs; None is a process for each run.
        on_ready: told the port once the loop is about to begin.

    Returns:
        0 after a stop with nothing in progress, 143 (SIGTERM) or 130 (SIGINT) where a run was cut off.

    Raises:
        LockHeld (a scheduler of this stack runs), PortTaken, ConfigurationError.
    """
    check_jobs(tuple(jobs.values()))
    end = stop or threading.Event()
    with _signals(end) if stop is None else contextlib.nullcontext([signal.SIGTERM]) as received:
        with state.hold(_patience(clock)):
            _set_aside_what_cannot_be_read(state, report)
            herald = Herald(
                stack, state=state, clock=clock, report=report, notifier=notifier, switches=switches, summary=summary
            )
            loop = JobLoop(
                tuple(jobs.values()), clock=clock, state=state, workers=workers or JobProcesses(), report=report,
                herald=herald, seed=stack,
            )  # fmt: skip
            snapshot = _snapshot(
                jobs, clock, state, report, stack=stack, zone=zone, backups=backups, live=live, faults=faults
            )
            report.note(f"the scheduler of {stack} runs: {', '.join(jobs)}")
            for fault in faults():
                report.warn(fault)
            server = None if status_port is None else StatusServer(snapshot, status_port, status_host)
            was_cut = _run(
                loop, end, clock=clock, state=state, report=report, server=server, tick_s=tick_s, on_ready=on_ready
            )
        return 128 + received[-1] if was_cut else 0


def scheduler_status(
    jobs: Mapping[str, Job],
    *,
    clock: Clock,
    state: ScheduleState,
    report: Reporter,
    stack: str,
    zone: str = "UTC",
    backups: Callable[[], Sequence[Manifest]] | None = None,
    live: DatabaseIdentity | None = None,
    faults: Callable[[], Sequence[str]] = tuple,
) -> SchedulerStatus:
    """What `inv scheduler --status` shows, read from disk; works while the daemon runs, and after it died.

    Raises: ManifestInvalid (the state cannot be read).
    """
    return _snapshot(jobs, clock, state, report, stack=stack, zone=zone, backups=backups, live=live, faults=faults)()


def run_once(
    jobs: Mapping[str, Job],
    name: str,
    *,
    clock: Clock,
    state: ScheduleState,
    report: Reporter,
    stack: str,
    notifier: Notifier | None = None,
    switches: Mapping[str, DeadMansSwitch] = MappingProxyType({}),
) -> Mapping[str, object]:
    """Run one job now, in this process, as `inv scheduler --once JOB` does; returns its fields.

    Raises: ConfigurationError (no such job), LockHeld (it runs already), and whatever the job raises.
    """
    if name not in jobs:
        raise ConfigurationError(
            f"no job is named {name!r}", cause=f"there are {', '.join(jobs) or 'none'}", hint="inv scheduler --status"
        )
    herald = Herald(stack, state=state, clock=clock, report=report, notifier=notifier, switches=switches)
    return run_job_once(jobs[name], clock=clock, state=state, herald=herald)


def _run(
    loop: JobLoop,
    end: threading.Event,
    *,
    clock: Clock,
    state: ScheduleState,
    report: Reporter,
    server: StatusServer | None,
    tick_s: float,
    on_ready: Callable[[int | None], None] | None,
) -> bool:
    told = ToldOnce(report)
    beat = told(lambda: state.beat(Heartbeat(clock.now(), clock.monotonic(), os.getpid())))
    beat()
    if server is not None:
        server.start()
    ticks = schedule.Scheduler()
    every(tick_s, told(loop.tick), ticks, clock)
    every(WATCH_S, told(loop.watch), ticks, clock)
    every(BEAT_S, beat, ticks, clock)
    if server is not None:
        every(BEAT_S, told(lambda: _revive(server, report)), ticks, clock)
    try:
        loop.begin()
        if on_ready is not None:
            on_ready(server.port if server is not None else None)
        while not end.is_set():
            ticks.run_pending()
            if not end.is_set():
                clock.sleep(tick_s)
    finally:
        try:
            was_cut = loop.stop(GRACE_S)
        finally:
            if server is not None:
                server.stop()
    return was_cut


def _revive(server: StatusServer, report: Reporter) -> None:
    if server.revive():
        report.warn("the process that answers /health had ended; it runs again")


def _patience(clock: Clock) -> Callable[[], bool]:
    until = clock.monotonic() + PREDECESSOR_S

    def wait() -> bool:
        clock.sleep(0.5)
        return clock.monotonic() < until

    return wait


def _set_aside_what_cannot_be_read(state: ScheduleState, report: Reporter) -> None:
    try:
        state.history()
    except ManifestInvalid as exc:
        report.warn(f"{exc.message} ({exc.cause}); it lies in {state.set_aside()} now, and the history begins anew")


def _snapshot(
    jobs: Mapping[str, Job],
    clock: Clock,
    state: ScheduleState,
    report: Reporter,
    *,
    stack: str,
    zone: str,
    backups: Callable[[], Sequence[Manifest]] | None,
    live: DatabaseIdentity | None,
    faults: Callable[[], Sequence[str]],
) -> Callable[[], SchedulerStatus]:
    def take() -> SchedulerStatus:
        catalog: Sequence[Manifest] = ()
        trouble: list[str] = []
        try:
            catalog = backups() if backups is not None else ()
        except OpsError as exc:
            trouble.append(f"the catalog cannot be read: {exc.message}")
        elsewhere: dict[str, datetime] = {}
        for job in jobs.values():
            if (newest := newest_success_elsewhere(job, report)) is not None:
                elsewhere[job.name] = newest
        return status_of(
            tuple(jobs.values()), state.history(), stack=stack, zone=zone, now=clock.now(),
            monotonic_s=clock.monotonic(), heartbeat=state.heartbeat(), is_held=state.has_scheduler(),
            elsewhere=elsewhere, backups=catalog, live=live, trouble=trouble, faults=faults(), seed=stack,
        )  # fmt: skip

    return take


@contextlib.contextmanager
def _signals(end: threading.Event) -> Iterator[list[signal.Signals]]:
    """SIGTERM and SIGINT set `end`; the list holds which. Whatever hangs then, the process is gone in time."""
    received: list[signal.Signals] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        received.append(signal.Signals(number))
        end.set()
        signal.setitimer(signal.ITIMER_REAL, LAST_RESORT_S)

    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        # Not exit(): an atexit handler may be what hangs. The state on disk is whole at every moment.
        os._exit(128 + received[-1])

    handlers = {signal.SIGTERM: on_signal, signal.SIGINT: on_signal, signal.SIGALRM: on_alarm}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield received
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
