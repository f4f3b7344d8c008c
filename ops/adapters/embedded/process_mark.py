"""Is the process with this id still the one that we started?

A process id alone is never trusted, because ids are given out again. A mark is the id with the moment the process
began: on Linux the boot, the id namespace and the kernel's start tick; elsewhere what `ps` tells.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """One process, once: `began` is opaque text, equal only for the very same process."""

    pid: int
    began: str

    def is_alive(self) -> bool:
        """Whether this very process still runs; one that ended and was not collected yet does not."""
        return began(self.pid) == self.began

    def send(self, number: signal.Signals) -> None:
        """Send a signal, harmless where the process is gone."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def mark_of(pid: int) -> ProcessMark | None:
    """The mark of a running process, None where there is none."""
    found = began(pid)
    return ProcessMark(pid, found) if found else None


def began(pid: int) -> str:
    """What tells the process from every other with its id; "" where none runs."""
    return _began_linux(pid) if (_PROC / "self" / "stat").exists() else _began_by_ps(pid)


def _began_linux(pid: int) -> str:
    """Source: proc(5): fields 3 (state) and 22 (starttime) of `/proc/<pid>/stat`, counted after the name."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        if fields[0] in {"Z", "X"}:
            return ""
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (_PROC / "self/ns/pid").readlink()
    except (OSError, IndexError):
        return ""
    return f"{boot} {namespace} {fields[19]}"


def _began_by_ps(pid: int) -> str:
    told = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C", "PATH": os.defpath},
    )
    state, _, start = told.stdout.strip().partition(" ")
    return "" if told.returncode or state.startswith("Z") else " ".join(start.split())


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Look every few milliseconds whether something became true; False where it did not in time."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.01
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.2)
    return True
