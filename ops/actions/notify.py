"""Who is told what of the scheduler's runs, and what happens when telling fails?

A failure is told when no retry is left, a recovery once, a silence (no success for too long) once a day, a summary
at its hour. Telling never raises: a broken notifier must not fail a backup. What could not be told is written into
the state, so that `/health`, the metrics and the page show it, and a failure or recovery is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from ops.errors import OpsError
from ops.model.in_words import in_words
from ops.model.job import Job
from ops.model.run_history import (
    Notice,
    NoticeKind,
    Run,
    consecutive_failures,
    is_silent,
    last_success,
    notice_for,
    tell_silence,
    untold,
)
from ops.model.schedule import Rule, due_run
from ops.ports import Clock, DeadMansSwitch, Notifier, Reporter, RunStore


class Herald:
    """Tells people and dead man's switches.

    Args:
        stack: named in every title.
        notifier: None where nobody is configured.
        switches: job -> the switch that watches it.
        summary: when the day is summed up; None for never.
    """

    def __init__(
        self,
        stack: str,
        *,
        state: RunStore,
        clock: Clock,
        report: Reporter,
        notifier: Notifier | None = None,
        switches: Mapping[str, DeadMansSwitch] = MappingProxyType({}),
        summary: Rule | None = None,
    ) -> None:
        self._stack = stack
        self._state = state
        self._clock = clock
        self._report = report
        self._notifier = notifier
        self._switches = switches
        self._summary = summary

    def started(self, run: Run) -> None:
        """A run began."""
        self._ping(run, "start")

    def ended(self, run: Run, before: Sequence[Run]) -> None:
        """A run ended; `before` are the job's earlier runs, oldest first. One stopped by us is nobody's concern."""
        if run.is_stopped:
            return
        if run.state == "ok":
            self._ping(run, "success")
        elif run.is_last_attempt or run.is_manual:
            self._ping(run, "fail")
        kind = notice_for(run, before)
        if kind is not None:
            self._send(kind, run.job, *_of_run(self._stack, kind, run, (*before, run)))

    def watch(self, jobs: Sequence[Job]) -> None:
        """Tell silences, the summary, and what could not be told before; call it every minute or so."""
        if self._notifier is None:
            return
        now = self._clock.now()
        for job in jobs:
            self._watch_silence(job, now)
            self._try_again(job, now)
        self._watch_summary(jobs, now)

    def _watch_silence(self, job: Job, now: datetime) -> None:
        history = self._state.history()
        max_age = None if job.max_age_s is None else timedelta(seconds=job.max_age_s)
        newest = last_success(run for run in history.of(job.name) if run.started_at <= now)
        since = min(history.first_seen.get(job.name, now), now)
        succeeded_at = newest.finished_at if newest else None
        if not is_silent(succeeded_at, since, now, max_age) or not tell_silence(history, job.name, now):
            return
        elsewhere = newest_success_elsewhere(job, self._report)
        if not is_silent(max(filter(None, (succeeded_at, elsewhere)), default=None), since, now, max_age):
            return
        last = (
            f"the last one ended {in_words((now - succeeded_at).total_seconds())} ago" if succeeded_at else "never yet"
        )
        title = (
            f"{self._stack}: no successful {job.name} for {in_words((now - (succeeded_at or since)).total_seconds())}"
        )
        self._send("silence", job.name, title, f"{last}; allowed are {in_words(job.max_age_s or 0)}")

    def _try_again(self, job: Job, now: datetime) -> None:
        history = self._state.history()
        notice = untold(history, job.name, now)
        runs = [run for run in history.of(job.name) if run.finished_at is not None]
        if notice is not None and notice.kind in {"failure", "recovery"} and runs:
            kind: Literal["failure", "recovery"] = "failure" if runs[-1].state != "ok" else "recovery"
            self._send(kind, job.name, *_of_run(self._stack, kind, runs[-1], runs))

    def _watch_summary(self, jobs: Sequence[Job], now: datetime) -> None:
        if self._summary is None:
            return
        history = self._state.history()
        told = [notice.at for notice in history.notices if notice.kind == "summary" and notice.at <= now]
        since = min((*history.first_seen.values(), now))
        if due_run(self._summary, max(told, default=min(since, now)), now) is not None:
            title = f"{self._stack}: the last 24 hours"
            lines = [_summary_line(job, history.of(job.name), now) for job in jobs]
            self._send("summary", "", title, "\n".join(lines))

    def _send(self, kind: NoticeKind, job: str, title: str, body: str) -> None:
        notifier = self._notifier
        if notifier is not None:
            self._tell(kind, job, lambda: notifier.send(title, body, kind))

    def _ping(self, run: Run, event: Literal["start", "success", "fail"]) -> None:
        switch = self._switches.get(run.job)
        if switch is not None:
            self._tell("ping", run.job, lambda: switch.ping(event, run.message))

    def _tell(self, kind: NoticeKind, job: str, deliver: Callable[[], None]) -> None:
        problem = ""
        try:
            deliver()
        except OpsError as exc:
            problem = exc.message if exc.cause is None else f"{exc.message} ({exc.cause})"
        except Exception as exc:  # noqa: BLE001 - even a bug in a notifier must not fail a backup
            problem = f"{type(exc).__name__}: {exc}"
        if problem:
            self._report.warn(f"the {kind} of {job or 'the day'} could not be told: {problem}")
        self._state.tell(Notice(kind, job, self._clock.now(), not problem, problem))


def newest_success_elsewhere(job: Job, report: Reporter) -> datetime | None:
    """What `Job.succeeded_at` says; None, with a warning, where it fails."""
    if job.succeeded_at is None:
        return None
    try:
        return job.succeeded_at()
    except OpsError as exc:
        report.warn(f"cannot ask for the newest {job.name}: {exc.message}")
        return None


def _of_run(stack: str, kind: Literal["failure", "recovery"], run: Run, runs: Sequence[Run]) -> tuple[str, str]:
    """Title and body that tell of a run."""
    at = run.started_at.strftime("%Y-%m-%d %H:%M UTC")
    if kind == "recovery":
        return f"{stack}: {run.job} works again", f"the run of {at} succeeded" + _facts(run)
    newest = last_success(runs)
    last = f"the last success was {newest.started_at:%Y-%m-%d %H:%M UTC}" if newest else "it never succeeded yet"
    count = consecutive_failures(runs)
    in_a_row = f"\n{count} scheduled runs in a row have failed" if count > 1 else ""
    return f"{stack}: {run.job} {run.state}", f"{run.message or 'no reason known'}\nstarted {at}, {last}{in_a_row}"


def _facts(run: Run) -> str:
    took = f" in {in_words(run.duration_s)}" if run.duration_s is not None else ""
    size, warned = run.fields.get("size_bytes"), run.fields.get("warned")
    return took + (f", {size} bytes" if size is not None else "") + (f"; warned: {warned}" if warned else "")


def _summary_line(job: Job, runs: Sequence[Run], now: datetime) -> str:
    recent = [run for run in runs if now - run.started_at <= timedelta(hours=24) and run.state != "running"]
    good = sum(run.state == "ok" for run in recent)
    newest = last_success(runs)
    age = in_words((now - newest.finished_at).total_seconds()) + " ago" if newest and newest.finished_at else "never"
    return f"{job.name}: {good} ok, {len(recent) - good} not ok; last success {age}" + (
        _facts(newest) if newest else ""
    )
