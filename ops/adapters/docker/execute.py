"""How does a program run inside a container that is running, with real streams and its own exit code?

An exec of the engine: created, started with its connection taken over, pumped to the end of its output, then asked for
its exit code until the engine says that it no longer runs. (docker-py's `exec_run` has no exit code with streams.)
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any, cast

from ops.adapters.docker.client import Connection
from ops.adapters.docker.errors import translated
from ops.adapters.docker.frozen import FrozenWatch
from ops.adapters.docker.pump import pump
from ops.adapters.docker.two_way import TwoWay, start_exec
from ops.errors import ConfigurationError, EngineUnreachable

_COMPLAINT = b"OCI runtime exec failed"
_NO_PROGRAM = ("executable file not found", "no such file or directory")
_ENGINE_CODES = {126, 127}
SETTLE_S = 30.0
"""How long a program may go on after it has closed its output before we call its stream cut."""


def run(
    connection: Connection,
    container_id: str,
    argv: Sequence[str],
    *,
    doing: str,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    silence_s: float | None = None,
) -> int:
    """Run a program to its end; returns its exit code (128+n for signal n, 127 where there is no such program).

    Args:
        silence_s: for how long the container may be paused; None: as long as it likes.

    Raises: UnknownService (the container does not run), EngineUnreachable (gone, or the stream was cut),
        DeadlinePassed (paused for too long).
    """
    exec_id = create(
        connection, container_id, argv, doing=doing, with_stdin=stdin is not None, environment=environment, user=user
    )
    words = _EngineWords(stdout)
    try:
        stream = connect(connection, exec_id, doing)
    except ConfigurationError as refusal:
        # Newer engines refuse at the start what older ones report as output.
        if not any(reason in (refusal.cause or "") for reason in _NO_PROGRAM):
            raise
        return _not_found((refusal.cause or "").encode(), stderr)
    keeps_on = None if silence_s is None else FrozenWatch(connection, container_id, doing, silence_s).keeps_on
    pump(stream, stdin=stdin, stdout=cast("IO[bytes]", words), stderr=stderr, keeps_on=keeps_on)
    code = exit_code(connection, exec_id, doing)
    if words.held and code in _ENGINE_CODES:
        return _not_found(words.held, stderr) if words.is_no_program else _say(words.held, stderr, code)
    words.let_go()
    return code


class _EngineWords(io.RawIOBase):
    """Passes output on, but for the engine's own complaint that there is no such program, which it sends as output."""

    def __init__(self, target: IO[bytes] | None) -> None:
        self._target = target
        self._is_first = True
        self.held = b""

    @property
    def is_no_program(self) -> bool:
        return any(reason.encode() in self.held for reason in _NO_PROGRAM)

    def write(self, block: Any) -> int:
        is_complaint = self._is_first and bytes(block[: len(_COMPLAINT)]) == _COMPLAINT
        self._is_first = False
        if is_complaint:
            self.held = bytes(block)
            return len(block)
        self.let_go()
        if self._target is not None:
            self._target.write(block)
            self._target.flush()
        return len(block)

    def let_go(self) -> None:
        if self.held and self._target is not None:
            self._target.write(self.held)
            self._target.flush()
        self.held = b""


def _not_found(complaint: bytes, stderr: IO[bytes] | None) -> int:
    return _say(complaint, stderr, 127)


def _say(complaint: bytes, stderr: IO[bytes] | None, code: int) -> int:
    if stderr is not None:
        stderr.write(complaint.rstrip() + b"\n")
        stderr.flush()
    return code


def create(
    connection: Connection,
    container_id: str,
    argv: Sequence[str],
    *,
    doing: str,
    with_stdin: bool,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    **terminal: Any,
) -> str:
    """Describe a program to the engine without starting it; returns the exec's id.

    `argv` is a list on purpose: docker-py would split a string into words without a shell.
    """
    with translated(doing):
        made = connection.quick().exec_create(
            container_id,
            list(argv),
            stdin=with_stdin,
            environment=dict(environment or {}),
            user=user or "",
            **terminal,
        )
    return str(made["Id"])


def exit_code(connection: Connection, exec_id: str, doing: str, *, settle_s: float = SETTLE_S) -> int:
    """The exit code of a program whose output has ended.

    Raises: EngineUnreachable, where it still runs after `settle_s`: then its output ended for us, not for it.
    """
    deadline = time.monotonic() + settle_s
    pause_s = 0.005
    while True:
        with translated(doing):
            state: dict[str, Any] = connection.quick().exec_inspect(exec_id)
        if not state["Running"] and state["ExitCode"] is not None:
            return int(state["ExitCode"])
        if time.monotonic() > deadline:
            raise EngineUnreachable(
                f"the engine's stream was cut: cannot {doing}",
                cause="its output ended here, but the program still runs in the container",
                hint="docker info",
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.2)


def has_ended(connection: Connection, exec_id: str, *, within_s: float) -> bool:
    """Whether a program ends within some seconds; False also where the engine cannot say."""
    try:
        exit_code(connection, exec_id, "wait for a program's end", settle_s=within_s)
    except EngineUnreachable:
        return False
    return True


def connect(connection: Connection, exec_id: str, doing: str) -> TwoWay:
    """Start an exec without a terminal and hand out its connection."""
    return start_exec(connection.streams(), exec_id, tty=False, doing=doing)
