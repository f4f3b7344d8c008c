"""Waiting for real processes, with a bound that only a fault reaches."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parents[2]


def wait_for(condition: Callable[[], T], timeout_s: float = 30.0) -> T:
    until = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)
    return found


def is_gone(pid: int) -> bool:
    """Ended, or a zombie that nobody has waited for."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@contextlib.contextmanager
def daemon(folder: Path, kind: str = "quick", port: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """A scheduler in a process of its own, killed at the end if it still lives."""
    (folder / "port").unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.scheduler.daemon", str(folder), kind, str(port)], cwd=ROOT
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
