"""What does the scheduler still know after a kill -9?

Three files in one folder (0700), each 0600:

- `schedule.json`: the history; replaced as a whole (write beside, fsync, rename, fsync the folder) under an flock, so
  that the daemon and a `--once` by hand may both write.
- `scheduler.lock` and `job-NAME.lock`: flocks that say who is alive. A run without an end whose job lock nobody holds
  was cut off, and reads as `interrupted`.
- `heartbeat.json`: when the loop last came round; rewritten without fsync, because losing it tells the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.errors import ConfigurationError, LockHeld, ManifestInvalid
from ops.model.run_history import History, Notice, Run, kept_notices
from ops.model.scheduler_status import Heartbeat

STATE_FILE = "schedule.json"
HEARTBEAT_FILE = "heartbeat.json"
VERSION = 1
KEPT_RUNS_PER_JOB = 2500
"""Ninety days of an hourly job and its retries."""
KEPT_NOTICES = 200
_RUN_TIMES = ("due_at", "started_at", "finished_at")


class ScheduleState:
    """The `RunStore` port on disk.

    Args:
        folder: of one stack, such as `.ops/<stack>/`; made if absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}
        self._cached: tuple[tuple[int, int, int], History] | None = None

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return self._folder

    def history(self) -> History:
        """All runs; one whose process is gone without an end reads as `interrupted`. Raises: ManifestInvalid."""
        stored = self._read()
        if not any(run.state == "running" for run in stored.runs):
            return stored
        return dataclasses.replace(stored, runs=tuple(self._as_it_is(run) for run in stored.runs))

    def see(self, jobs: Sequence[str], now: datetime) -> None:
        """Remember since when each job is in the schedule; one that left it and comes back starts anew.

        A time in the future comes from a clock that was wrong then, and is set right.
        """
        known = self._read().first_seen
        seen = {job: min(known.get(job, now), now) for job in jobs}
        if seen != known:
            self._change(lambda old: dataclasses.replace(old, first_seen=seen))

    def start(self, run: Run) -> None:
        """Write that a run began and hold its job's lock until `finish`.

        Raises: LockHeld (another process runs this job), ConfigurationError (folder not writable).
        """
        descriptor = self._lock_of(run.job)
        if descriptor is None:
            raise LockHeld(f"the job {run.job} is running already", hint="see it with: inv scheduler --status")
        try:
            self._change(lambda old: dataclasses.replace(old, runs=(*old.runs, run)))
        except BaseException:
            os.close(descriptor)
            raise
        self._held[run.job] = descriptor

    def finish(self, run: Run) -> None:
        """Replace the started run by its end and let go of the job's lock."""
        self._change(lambda old: _with_end(old, run))
        if (descriptor := self._held.pop(run.job, None)) is not None:
            os.close(descriptor)

    def tell(self, notice: Notice) -> None:
        """Write that somebody was told, or could not be."""
        self._change(lambda old: dataclasses.replace(old, notices=kept_notices((*old.notices, notice), KEPT_NOTICES)))

    def is_running(self, job: str) -> bool:
        """Whether a process holds the job's lock."""
        if job in self._held:
            return True
        if not (self._folder / f"job-{job}.lock").exists():
            return False
        descriptor = self._lock(f"job-{job}.lock")
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    @contextlib.contextmanager
    def hold(self, wait: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Be the only scheduler of the stack; `wait` sleeps a moment and says whether to try again.

        Raises: LockHeld.
        """
        while (descriptor := self._lock("scheduler.lock")) is None:
            if not wait():
                raise LockHeld(
                    "a scheduler of this stack is running already",
                    cause="it holds a lock of its own, which is free when its process ends",
                    hint="inv scheduler --status",
                )
        try:
            yield
        finally:
            os.close(descriptor)

    def has_scheduler(self) -> bool:
        """Whether a scheduler holds the stack."""
        if not (self._folder / "scheduler.lock").exists():
            return False
        descriptor = self._lock("scheduler.lock")
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is None

    def beat(self, heartbeat: Heartbeat) -> None:
        """Say that the loop came round."""
        text = json.dumps({"at": heartbeat.at.isoformat(), "monotonic_s": heartbeat.monotonic_s, "pid": heartbeat.pid})
        self._replace(HEARTBEAT_FILE, text, is_durable=False)

    def heartbeat(self) -> Heartbeat | None:
        """When the loop last came round; None where nothing readable lies."""
        try:
            found = json.loads((self._folder / HEARTBEAT_FILE).read_text(encoding="utf-8"))
            return Heartbeat(datetime.fromisoformat(found["at"]), float(found["monotonic_s"]), int(found["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def set_aside(self) -> Path:
        """Move a state that cannot be read out of the way; returns where it lies now. Backups matter more than it."""
        broken = self._folder / f"{STATE_FILE}.broken"
        (self._folder / STATE_FILE).replace(broken)
        self._cached = None
        return broken

    def _as_it_is(self, run: Run) -> Run:
        if run.state != "running" or self.is_running(run.job):
            return run
        return dataclasses.replace(run, state="interrupted", message=run.message or "its process was killed")

    def _read(self) -> History:
        path = self._folder / STATE_FILE
        try:
            with path.open("rb") as file:
                facts = os.fstat(file.fileno())
                mark = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
                if self._cached is None or self._cached[0] != mark:
                    self._cached = (mark, _from_json(json.load(file)))
        except FileNotFoundError:
            return History()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ManifestInvalid(
                f"the scheduler's state {path} cannot be read",
                cause=f"{type(exc).__name__}: {exc}",
                hint=f"mv {path} {path}.broken",
            ) from exc
        return self._cached[1]

    def _change(self, change: Callable[[History], History]) -> None:
        descriptor = self._lock("schedule.lock", is_waiting=True)
        try:
            self._replace(STATE_FILE, json.dumps(_to_json(_trimmed(change(self._read()))), indent=1))
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _replace(self, name: str, text: str, *, is_durable: bool = True) -> None:
        partial = self._folder / f"{name}.{os.getpid()}.partial"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                if is_durable:
                    file.flush()
                    os.fsync(file.fileno())
            partial.replace(self._folder / name)
            if is_durable:
                _sync_folder(self._folder)
        except OSError as exc:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise self._unusable(exc) from exc

    def _lock_of(self, job: str) -> int | None:
        # `is_running` of another process takes the lock for an instant to see whether it is free.
        for _ in range(20):
            if (descriptor := self._lock(f"job-{job}.lock")) is not None:
                return descriptor
            time.sleep(0.01)
        return None

    def _lock(self, name: str, *, is_waiting: bool = False) -> int | None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise self._unusable(exc) from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if is_waiting else fcntl.LOCK_NB))
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    def _unusable(self, exc: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"the scheduler cannot write to {self._folder}",
            cause=str(exc),
            hint=f"ls -ld {self._folder}; df {self._folder}",
        )


def _with_end(old: History, run: Run) -> History:
    key = (run.job, run.due_at, run.attempt, run.started_at)
    runs = tuple(r for r in old.runs if (r.job, r.due_at, r.attempt, r.started_at) != key)
    totals = {job: dict(states) for job, states in old.totals.items()}
    states = totals.setdefault(run.job, {})
    states[run.state] = states.get(run.state, 0) + 1
    return dataclasses.replace(old, runs=(*runs, run), totals=totals)


def _trimmed(history: History) -> History:
    # By count, never by age: after a jump of the clock every real run would look old.
    counts: dict[str, int] = {}
    good: set[str] = set()
    kept: list[Run] = []
    for run in reversed(history.runs):
        counts[run.job] = counts.get(run.job, 0) + 1
        is_newest_good = run.state == "ok" and run.job not in good
        if counts[run.job] <= KEPT_RUNS_PER_JOB or is_newest_good:
            kept.append(run)
        if run.state == "ok":
            good.add(run.job)
    return dataclasses.replace(history, runs=tuple(reversed(kept)))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _to_json(history: History) -> dict[str, Any]:
    return {
        "version": VERSION,
        "first_seen": {job: at.isoformat() for job, at in history.first_seen.items()},
        "totals": {job: dict(states) for job, states in history.totals.items()},
        "notices": [
            {"kind": n.kind, "job": n.job, "at": n.at.isoformat(), "is_delivered": n.is_delivered, "problem": n.problem}
            for n in history.notices
        ],
        "runs": [_run_to_json(run) for run in history.runs],
    }


def _run_to_json(run: Run) -> dict[str, Any]:
    values = {field.name: getattr(run, field.name) for field in dataclasses.fields(run)}
    times = {name: values[name].isoformat() for name in _RUN_TIMES if values[name] is not None}
    return {**values, "finished_at": None, **times, "fields": dict(run.fields)}


def _from_json(found: Mapping[str, Any]) -> History:
    if found["version"] != VERSION:
        raise ValueError(f"its version is {found['version']}, this program reads {VERSION}")
    return History(
        first_seen={job: _moment(at) for job, at in found["first_seen"].items()},
        runs=tuple(_run_from_json(run) for run in found["runs"]),
        totals=found["totals"],
        notices=tuple(Notice(**{**notice, "at": _moment(notice["at"])}) for notice in found["notices"]),
    )


def _run_from_json(found: Mapping[str, Any]) -> Run:
    times = {name: _moment(found[name]) for name in _RUN_TIMES if found[name] is not None}
    return Run(**{**found, **times})


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
