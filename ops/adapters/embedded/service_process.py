"""Does a service's process run, since when, how did it end, and how is it started and stopped?"""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ops.adapters.embedded.keeper import RUNNING, STARTED, Plan, launch
from ops.adapters.embedded.process_mark import ProcessMark, wait_until
from ops.errors import EngineUnreachable, ServiceUnhealthy

_KILLED = 137
_STARTS = 5


@dataclass(frozen=True, slots=True)
class Record:
    """What a keeper wrote down of the last process of a service."""

    process: ProcessMark
    keeper: ProcessMark
    started_at: datetime
    exit_code: int | None
    facts: Mapping[str, Any]

    @property
    def is_running(self) -> bool:
        """Whether that process still runs."""
        return self.process.is_alive()


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start: the program, its surroundings (secrets live here), and how it is stopped."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str
    facts: Mapping[str, Any]
    stop_signal: signal.Signals
    last_signal: signal.Signals
    grace_s: float


class ServiceProcess:
    """One service's process; its files are `<folder>/<service>.json`, `.lock`, `.log`."""

    def __init__(self, folder: Path, service: str) -> None:
        self.service = service
        self._record = folder / f"{service}.json"
        self._lock = folder / f"{service}.lock"
        self.log = folder / f"{service}.log"

    def record(self) -> Record | None:
        """What the keeper wrote; None where the service was never started, or was removed."""
        try:
            document = json.loads(self._record.read_text("utf-8"))
            return Record(
                process=ProcessMark(document["pid"], document["began"]),
                keeper=ProcessMark(document["keeper_pid"], document["keeper_began"]),
                started_at=datetime.fromisoformat(document["started_at"]),
                exit_code=document["exit_code"],
                facts=document["facts"],
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise EngineUnreachable(
                f"{self._record} cannot be read", cause=f"{type(exc).__name__}: {exc}", hint=f"rm {self._record}"
            ) from exc

    def running(self) -> Record | None:
        """The record where the process runs, else None."""
        found = self.record()
        return found if found is not None and found.is_running else None

    def exit_code(self, record: Record) -> int | None:
        """How a process that ended ended; one whose keeper died with it counts as killed."""
        if record.is_running:
            return None
        return _KILLED if record.exit_code is None else record.exit_code

    def start(self, what: Launch) -> None:
        """Start the process unless it runs; it is recorded once this returns.

        Raises: ServiceUnhealthy (the program cannot be executed), EngineUnreachable (kept by somebody out of sight).
        """
        plan = Plan(
            argv=what.argv,
            cwd=what.cwd,
            record=str(self._record),
            lock=str(self._lock),
            log=str(self.log),
            stop_signal=what.stop_signal,
            last_signal=what.last_signal,
            grace_s=what.grace_s,
            facts=what.facts,
        )
        for _ in range(_STARTS):
            word = launch(plan, what.environment)
            if word == STARTED or self.running():
                return
            if word != RUNNING:
                raise ServiceUnhealthy(f"{self.service} could not be started", cause=word, hint="inv check")
            wait_until(lambda: self.running() is not None, 1.0)  # an earlier keeper is about to say or to end
        raise EngineUnreachable(
            f"{self.service} is kept running by a process that cannot be seen from here",
            cause=f"{self._lock} is locked, perhaps from another container",
            hint="inv down there, then again: inv up",
        )

    def stop(self, *, timeout_s: float) -> None:
        """Ask the process to end and wait for it; at the deadline end it and its keeper at once. Harmless twice."""
        record = self.record()
        if record is None:
            return
        if record.keeper.is_alive():
            record.keeper.send(signal.SIGTERM)
        else:
            record.process.send(signal.SIGTERM)
        if not wait_until(lambda: not (record.process.is_alive() or record.keeper.is_alive()), timeout_s):
            record.process.send(signal.SIGKILL)
            record.keeper.send(signal.SIGKILL)
            wait_until(lambda: not (record.process.is_alive() or record.keeper.is_alive()), 5.0)

    def forget(self) -> None:
        """Remove record and log of a process that ended; the lock file stays, since locks hang on its inode."""
        for path in (self._record, self.log, self.log.with_suffix(".log.1")):
            path.unlink(missing_ok=True)
