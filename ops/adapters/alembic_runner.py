"""How is the Alembic program started: from the tree as a child process, or inside the deployed image?

All hold the program's stdin open as long as it works, its twin's too: its end tells the program that we are dead.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from ops.adapters.alembic_twin import VARIABLE, Process, Twin
from ops.errors import ConfigurationError
from ops.model.compose.project import Service, Stack
from ops.ports import Engine

PROGRAM = Path(__file__).with_name("alembic_program.py")
GRACE_S = 5.0
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Ended:
    """How the program ended, with the last of what was written to stderr."""

    exit_code: int
    stderr: str


Run = Callable[[bytes, Callable[[bytes], None]], Ended]
"""Run the program once: the request (one line), and who receives stdout, block by block."""


def run_in_tree(
    project: Path, *, python: str | None = None, environment: Mapping[str, str] | None = None, is_twice: bool = False
) -> Run:
    """Run it as a child process in the project's folder.

    Args:
        project: absolute folder of the Alembic configuration.
        python: the project's Python; ours by default.
        environment: of the child; ours by default.
        is_twice: two processes are started now, import Alembic once for both while we do something else, and wait for
            the first two requests. One that nobody asks ends with us.
    """
    interpreter = python or sys.executable
    waiting: deque[Process] = deque()

    def start(twin: Twin | None = None) -> subprocess.Popen[bytes]:
        given = {**(os.environ if environment is None else environment)}
        if twin is not None:
            given[VARIABLE] = ",".join(map(str, twin.theirs))
        try:
            return subprocess.Popen(
                [interpreter, "-P", str(PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=project,
                env=given,
                pass_fds=twin.theirs if twin else (),
            )
        except OSError as exc:
            if twin is not None:
                twin.forget()
            raise ConfigurationError(f"cannot run {interpreter} in {project}", cause=str(exc)) from exc
        finally:
            if twin is not None:
                twin.begun()

    def run(request: bytes, on_stdout: Callable[[bytes], None]) -> Ended:
        return _follow(waiting.popleft() if waiting else start(), request, on_stdout)

    weakref.finalize(run, _end_all, waiting)
    if is_twice:
        twin = Twin()
        waiting += [start(twin), twin]
    return run


def _end_all(waiting: deque[Process]) -> None:
    """They were asked for nothing, and would read the end of their stdin only after their imports."""
    for process in waiting:
        process.kill()
    for process in waiting:
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()


def _follow(process: Process, request: bytes, on_stdout: Callable[[bytes], None]) -> Ended:
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:  # pragma: no cover - all three are pipes
        raise AssertionError
    tail = Tail()
    reader = threading.Thread(target=_drain, args=(stderr, tail.write), daemon=True)
    reader.start()
    try:
        with contextlib.suppress(BrokenPipeError):
            stdin.write(request)
            stdin.flush()
        _drain(stdout, on_stdout)
    finally:
        with contextlib.suppress(BrokenPipeError):
            stdin.close()  # if we are leaving by an exception, this ends the program
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        stdout.close()
        stderr.close()
    return Ended(process.wait(), tail.text())


def _drain(stream: IO[bytes], write: Callable[[bytes], object]) -> None:
    while block := os.read(stream.fileno(), 65536):
        write(block)


def run_in_container(engine: Engine, stack: Stack, service: Service) -> Run:
    """Run it in a one-off container of the service's image, where the deployed revisions are."""
    source = PROGRAM.read_text(encoding="utf-8")

    def run(request: bytes, on_stdout: Callable[[bytes], None]) -> Ended:
        reader, writer = os.pipe()
        held = _Held(writer)
        tail = Tail()
        try:
            os.write(writer, request)
            with open(reader, "rb", buffering=0) as stdin:  # noqa: PTH123 - a descriptor, not a path
                code = engine.run_once(
                    stack,
                    service,
                    ["python", "-c", source],
                    stdin=stdin,
                    stdout=cast("IO[bytes]", _Sink(on_stdout, held)),
                    stderr=cast("IO[bytes]", tail),
                )
        finally:
            held.release()
        return Ended(code, tail.text())

    return run


class _Held:
    """The write end of the program's stdin; released once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class _Sink(io.RawIOBase):
    """The program's stdout; the last reply lets go of its stdin, for engines that wait for stdin's end too."""

    def __init__(self, on_stdout: Callable[[bytes], None], held: _Held) -> None:
        self._on_stdout = on_stdout
        self._held = held
        self._line = b""

    def writable(self) -> bool:
        return True

    def write(self, block: bytes) -> int:  # type: ignore[override]
        data = bytes(block)
        self._on_stdout(data)
        *lines, self._line = (self._line + data).split(b"\n")
        if any(b'{"event": "done"' in line or b'{"event": "error"' in line for line in lines):
            self._held.release()
        return len(data)


class Tail(io.RawIOBase):
    """Keeps the last of what is written to it."""

    def __init__(self) -> None:
        self._blocks: deque[bytes] = deque()
        self._size = 0

    def writable(self) -> bool:
        """It takes bytes."""
        return True

    def write(self, block: bytes) -> int:  # type: ignore[override]
        """Append, forgetting the oldest blocks once there is enough."""
        data = bytes(block)
        self._blocks.append(data)
        self._size += len(data)
        while self._size - len(self._blocks[0]) > _TAIL_BYTES:
            self._size -= len(self._blocks.popleft())
        return len(data)

    def text(self) -> str:
        """What was kept, as text."""
        return b"".join(self._blocks).decode(errors="replace")
