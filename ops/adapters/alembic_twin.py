"""How does a second process of the Alembic program come to be without importing everything again?

The first one forks once it has imported Alembic, before it loads anything of a project: so nothing of one request
reaches the other. The twin is no child of ours, so its number and its exit code come to us through a pipe.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import time
from typing import IO, Protocol

VARIABLE = "OPS_TWIN"
"""Tells the program the descriptors of its twin: stdin, stdout, stderr, status."""


class Process(Protocol):
    """What a runner asks of a process: of `subprocess.Popen`, or of a twin."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None
    returncode: int | None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended. Raises: subprocess.TimeoutExpired."""

    def kill(self) -> None:
        """End it now; one that has ended is fine."""


class Twin:
    """A process that will be there once the first one forks; what is written to its stdin before waits there."""

    def __init__(self) -> None:
        pipes = [_pipe() for _ in range(4)]
        self.theirs = (pipes[0][0], *(writing for _, writing in pipes[1:]))
        """For the program; ours no more after `begun`."""
        self.stdin: IO[bytes] | None = os.fdopen(pipes[0][1], "wb", 0)
        self.stdout: IO[bytes] | None = os.fdopen(pipes[1][0], "rb", 0)
        self.stderr: IO[bytes] | None = os.fdopen(pipes[2][0], "rb", 0)
        self.returncode: int | None = None
        self._status, self._told = pipes[3][0], b""

    def begun(self) -> None:
        """The program has its descriptors."""
        for descriptor in self.theirs:
            os.close(descriptor)

    def forget(self) -> None:
        """There will be none."""
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        os.close(self._status)

    def wait(self, timeout: float | None = None) -> int:
        """As `Process`; what ended without a word was killed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._listen(left):
                raise subprocess.TimeoutExpired("alembic", timeout or 0.0)
        return self.returncode

    def kill(self) -> None:
        """As `Process`."""
        while self.returncode is None and self._listen(0.0):
            pass
        number = self._told.partition(b"\n")[0]
        if self.returncode is None and number:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)
            self._end(-signal.SIGKILL)  # what it started may hold the pipe open for as long as it likes

    def _listen(self, timeout: float | None) -> bool:
        """Whether it said more, or ended."""
        if not select.select([self._status], [], [], timeout)[0]:
            return False
        block = os.read(self._status, 64)
        self._told += block
        _number, _, code = self._told.partition(b"\n")
        if code.endswith(b"\n"):
            self._end(int(code))
        elif not block:
            self._end(-signal.SIGKILL)
        return True

    def _end(self, code: int) -> None:
        self.returncode = code
        os.close(self._status)


def _pipe() -> tuple[int, int]:
    """A pipe of which no end is 0, 1 or 2, which a child has its own of: one of ours may be closed."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
