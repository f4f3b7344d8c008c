"""How does the scheduler get from one moment to the next?

`JobLoop.tick` is one step: collect the run that ended, end one that takes too long, begin the one that is owed. It
never waits, so the loop stays responsive however long a job takes. One run at a time: our jobs exclude one another
anyway. Everything that decides is in `ops/model/job.py`; everything that must survive is in the `RunStore`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ops.actions.notify import Herald, newest_success_elsewhere
from ops.errors import ConfigurationError, LockHeld, OpsError
from ops.model.job import Job, JobResult, NextRun, is_last_attempt, next_run
from ops.model.run_history import History, Run
from ops.ports import Clock, JobWorkers, Reporter, RunStore, Work


class JobLoop:
    """The scheduler's state between two ticks: nothing but the run in progress.

    Args:
        jobs: in order of precedence where two are due at once.
        seed: makes the jitter of two stacks differ; the stack's name.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        *,
        clock: Clock,
        state: RunStore,
        workers: JobWorkers,
        report: Reporter,
        herald: Herald,
        seed: str = "",
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._clock = clock
        self._state = state
        self._workers = workers
        self._report = report
        self._herald = herald
        self._seed = seed
        self._current: tuple[Run, Work, float] | None = None
        self._unwritten: Run | None = None
        self._covered: dict[str, datetime] = {}
        self._quiet: tuple[History, datetime, datetime] | None = None

    def begin(self) -> None:
        """Take over from an earlier scheduler: note the jobs, close the runs that a kill left without an end."""
        self._state.see(tuple(self._jobs), self._clock.now())
        for run in self._state.history().runs:
            if run.state == "interrupted" and run.finished_at is None:
                self._report.warn(f"the {run.job} of {run.due_at.isoformat()} was cut off: {run.message}")
                self._finish(dataclasses.replace(run, finished_at=max(self._clock.now(), run.started_at)))

    def tick(self) -> None:
        """One step; never waits. Raises: OpsError where the state cannot be written (call it again later)."""
        if self._unwritten is not None:
            self._finish(self._unwritten)
        if self._current is not None:
            self._collect(*self._current)
        if self._current is None:
            self._start_what_is_owed()

    def watch(self) -> None:
        """Tell silences and summaries; call it every minute or so."""
        self._state.see(tuple(self._jobs), self._clock.now())
        self._herald.watch(tuple(self._jobs.values()))

    def stop(self, grace_s: float) -> bool:
        """End the run in progress, cleanly within `grace_s`; returns whether one was cut off."""
        if self._current is None:
            return False
        run, work, started_s = self._current
        result = work.stop(grace_s)
        self._end(run, result, started_s, is_stopped=result.state == "interrupted")
        return result.state == "interrupted"

    def _collect(self, run: Run, work: Work, started_s: float) -> None:
        result = work.result()
        deadline_s = self._jobs[run.job].deadline_s
        took_s = self._clock.monotonic() - started_s
        if result is None and deadline_s is not None and took_s > deadline_s:
            work.stop(grace_s=10.0)
            result = JobResult("failed", f"it took longer than its deadline of {deadline_s:g} s")
        if result is not None:
            self._end(run, result, started_s, is_stopped=False)

    def _start_what_is_owed(self) -> None:
        now, history = self._clock.now(), self._state.history()
        if self._is_quiet(now, history):
            return
        coming = [
            (run.due_at, order, job, run)
            for order, job in enumerate(self._jobs.values())
            if (run := self._next(job, history, now)) is not None
        ]
        owed = [one for one in coming if one[3].start_at <= now]
        if not owed:
            # Nothing changes before the next start unless the history or the clock does: spare the arithmetic.
            until = min((run.start_at for *_, run in coming), default=now + timedelta(days=1))
            self._quiet = (history, now, until)
        for _, _, job, run in sorted(owed, key=lambda one: one[:2]):
            if not self._is_covered(job, run) and self._start(job, run, now):
                return

    def _is_quiet(self, now: datetime, history: History) -> bool:
        return self._quiet is not None and self._quiet[0] is history and self._quiet[1] <= now < self._quiet[2]

    def _next(self, job: Job, history: History, now: datetime) -> NextRun | None:
        return next_run(job, history, now, covered=self._covered.get(job.name), seed=self._seed)

    def _is_covered(self, job: Job, coming: NextRun) -> bool:
        if not coming.is_catch_up or job.succeeded_at is None:
            return False
        newest = newest_success_elsewhere(job, self._report)
        if newest is None or newest < coming.due_at:
            return False
        self._covered[job.name] = coming.due_at
        self._report.note(f"no catch-up of {job.name}: there is a newer success of {newest.isoformat()}")
        return True

    def _start(self, job: Job, coming: NextRun, now: datetime) -> bool:
        run = Run(job.name, coming.due_at, now, attempt=coming.attempt, is_catch_up=coming.is_catch_up)
        try:
            self._state.start(run)
        except LockHeld:
            return False  # somebody runs it by hand right now: look again at the next tick
        if coming.is_catch_up and coming.missed:
            self._report.note(f"{job.name}: one catch-up for {coming.missed + 1} missed runs")
        self._current = (run, self._workers.start(job), self._clock.monotonic())
        self._herald.started(run)
        return True

    def _end(self, run: Run, result: JobResult, started_s: float, *, is_stopped: bool) -> None:
        self._current = None
        took_s = round(self._clock.monotonic() - started_s, 3)
        ended = dataclasses.replace(
            run,
            state=result.state,
            finished_at=max(self._clock.now(), run.started_at),
            message=result.message,
            fields={**result.fields, "duration_s": took_s},
            is_stopped=is_stopped,
        )
        self._finish(ended)

    def _finish(self, run: Run) -> None:
        self._unwritten = run
        others = [r for r in self._state.history().of(run.job) if r.started_at != run.started_at or r.finished_at]
        job = self._jobs.get(run.job)
        if run.state != "ok" and not run.is_stopped and not run.is_manual and job is not None and run.finished_at:
            final = is_last_attempt(job, (*others, run), run.due_at, run.finished_at)
            run = dataclasses.replace(run, is_last_attempt=final)
        self._state.finish(run)
        self._unwritten = None
        self._report.finished(
            "job.finished",
            job=run.job, state=run.state, attempt=run.attempt, is_catch_up=run.is_catch_up, duration_s=run.duration_s,
            message=run.message,
        )  # fmt: skip
        self._herald.ended(run, others)


def run_once(job: Job, *, clock: Clock, state: RunStore, herald: Herald) -> Mapping[str, object]:
    """Run a job now, in this process, and note it as a run by hand; returns its fields.

    Raises: LockHeld (it runs already), and whatever the job raises (after noting it).
    """
    before = state.history().of(job.name)
    run = Run(job.name, clock.now(), clock.now(), is_manual=True)
    started_s = clock.monotonic()
    state.start(run)
    herald.started(run)
    result = JobResult("interrupted", "ended before its end")
    try:
        fields = job.run()
        result = JobResult("ok", fields=fields)
    except OpsError as exc:
        result = JobResult("failed", exc.message)
        raise
    except Exception as exc:
        result = JobResult("failed", f"{type(exc).__name__}: {exc}")
        raise
    finally:
        ended = dataclasses.replace(
            run,
            state=result.state,
            finished_at=max(clock.now(), run.started_at),
            message=result.message,
            fields={**result.fields, "duration_s": round(clock.monotonic() - started_s, 3)},
        )
        state.finish(ended)
        herald.ended(ended, before)
    return fields


def check_jobs(jobs: Sequence[Job]) -> None:
    """Refuse a schedule that contradicts itself. Raises: ConfigurationError."""
    names = [job.name for job in jobs]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ConfigurationError(f"two jobs are named {doubled[0]}", hint="inv scheduler --status")
    for job in jobs:
        if job.rule.kind == "after" and (job.rule.job not in names or job.rule.job == job.name):
            raise ConfigurationError(
                f"the job {job.name} runs after {job.rule.job!r}, which is not in the schedule",
                hint=f"write one of {', '.join(name for name in names if name != job.name)} under [tool.ops.schedule]",
            )
