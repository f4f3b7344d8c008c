"""How does a job run so that it can always be ended, and nothing of it stays?

A process of its own, forked for each run, in its own session. Why not a thread: a thread cannot be ended, and a
dump's gigabytes of garbage, a crashed C library or a leaked connection would stay with the daemon for months. Why
not a new interpreter: jobs are closures that wiring made, and a fork carries them as they are. The daemon keeps to
one thread, so forking is safe.

The child reads a dead man's pipe whose other end only the daemon holds: if the daemon dies, however it dies, the
child gets SIGTERM from itself and unwinds, which ends its own tools by their dead man's pipes.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

from ops.errors import OpsError
from ops.model.job import Job, JobResult

STOPPED = 143
ORPHAN_GRACE_S = 10.0
"""How long a run may unwind whose daemon has died."""
AGAIN_S = 1.0
_FORK = multiprocessing.get_context("fork")


class JobProcesses:
    """The `JobWorkers` port: a forked process for each run. The daemon must have one thread when it starts one."""

    def start(self, job: Job) -> JobProcess:
        """Fork and run; returns at once."""
        return JobProcess(job)


class JobProcess:
    """One run in a child process."""

    def __init__(self, job: Job) -> None:
        self._result: JobResult | None = None
        self._received = bytearray()
        self._answer, answer = os.pipe()
        life, self._life = os.pipe()
        os.set_blocking(self._answer, False)
        self._process: BaseProcess = _FORK.Process(
            target=_child, args=(job, answer, life, (self._answer, self._life)), name=f"job-{job.name}"
        )
        # A SIGTERM between the fork and the child's own handler would reach a copy of ours, and be lost.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            self._process.start()
        except OSError as exc:
            self._result = JobResult("failed", f"no process could be started: {exc.strerror}")
            self._close()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(answer)
            os.close(life)

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._process.pid

    def result(self) -> JobResult | None:
        """How it ended; None while it goes on."""
        if self._result is None:
            self._read()
            if not self._process.is_alive():
                self._read()
                self._conclude()
        return self._result

    def stop(self, grace_s: float) -> JobResult:
        """SIGTERM, then after `grace_s` SIGKILL to the child and everything it started in its session."""
        if self._result is None and self._process.pid is not None:
            self._terminate(grace_s)
            if self._process.is_alive():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.kill()
                self._process.join()
        return self.result() or JobResult("interrupted", "it could not be ended")

    def _terminate(self, grace_s: float) -> None:
        """SIGTERM again and again: one that comes just before a long sleep begins is only heard behind that.

        The answer pipe is drained meanwhile: a child that writes a long answer must not wait for us to read it.
        """
        left, silent_s = grace_s, AGAIN_S
        while left > 0 and self._process.is_alive():
            if silent_s >= AGAIN_S:
                self._process.terminate()  # once it unwinds, it hears no more of them
                silent_s = 0.0
            self._process.join(min(0.05, left))
            self._read()
            left, silent_s = left - 0.05, silent_s + 0.05

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while block := os.read(self._answer, 65536):
                self._received += block

    def _conclude(self) -> None:
        code = self._process.exitcode
        try:
            self._result = JobResult(**json.loads(self._received))
        except (ValueError, TypeError):
            self._result = JobResult("interrupted", _how_it_ended(code))
        self._close()

    def _close(self) -> None:
        os.close(self._answer)
        os.close(self._life)
        with contextlib.suppress(ValueError):
            self._process.close()


def _how_it_ended(code: int | None) -> str:
    if code == STOPPED:
        return "stopped"
    if code is not None and code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code} and no result"


def _child(job: Job, answer: int, life: int, foreign: tuple[int, ...]) -> None:
    os.setsid()
    for descriptor in foreign:
        os.close(descriptor)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _unwind)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_the_daemon, args=(life,), daemon=True, name="dead-man").start()
    _write(answer, _outcome(job))


def _outcome(job: Job) -> Mapping[str, Any]:
    try:
        return {"state": "ok", "message": "", "fields": dict(job.run())}
    except OpsError as exc:
        return {"state": "failed", "message": exc.message if exc.cause is None else f"{exc.message} ({exc.cause})"}
    except Exception as exc:  # noqa: BLE001 - whatever a job raises is its result, never the daemon's end
        traceback.print_exc(file=sys.stderr)
        return {"state": "failed", "message": f"{type(exc).__name__}: {exc}"}


def _write(answer: int, outcome: Mapping[str, Any]) -> None:
    left = json.dumps(outcome, default=str).encode()
    while left:
        left = left[os.write(answer, left) :]
    os.close(answer)


def _unwind(_number: int, _frame: object) -> NoReturn:
    # Once: a second SIGTERM while `finally` blocks run would cut them off.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(STOPPED)


def _end_with_the_daemon(life: int) -> None:
    select.select([life], [], [])
    until = time.monotonic() + ORPHAN_GRACE_S
    while time.monotonic() < until:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(AGAIN_S)
    os.killpg(0, signal.SIGKILL)
