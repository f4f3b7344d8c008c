"""How does a program in a container get our terminal?

Our terminal goes raw, so that every key reaches the program; its size follows ours. Whatever happens, our terminal is
put back.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from ops.adapters.docker import execute
from ops.adapters.docker.client import Connection
from ops.adapters.docker.errors import FOREIGN
from ops.adapters.docker.frames import plain_blocks
from ops.adapters.docker.two_way import TwoWay, start_exec
from ops.errors import OpsError

_NO_DETACHING = "ctrl-@,ctrl-@"
"""The engine's default keys would swallow ctrl-p, which shells use."""
_FIRST_RESIZES = 25


def is_ours() -> bool:
    """Whether somebody sits at our stdin and stdout."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def run(
    connection: Connection,
    container_id: str,
    argv: Sequence[str],
    *,
    doing: str,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
) -> int:
    """Run a program on our terminal; returns its exit code. Raises as `execute.run` does."""
    exec_id = execute.create(
        connection,
        container_id,
        argv,
        doing=doing,
        with_stdin=True,
        environment={"TERM": os.environ.get("TERM", "xterm"), **(environment or {})},
        user=user,
        tty=True,
        detach_keys=_NO_DETACHING,
    )
    stream = start_exec(connection.streams(), exec_id, tty=True, doing=doing)
    try:
        with _raw(sys.stdin.fileno()), _size_follows(connection, exec_id), _keys_go_to(stream, sys.stdin.fileno()):
            for _, block in plain_blocks(stream.receive):
                os.write(sys.stdout.fileno(), block)
    finally:
        stream.close()
    return execute.exit_code(connection, exec_id, doing)


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    before = termios.tcgetattr(terminal)
    # Not the default TCSAFLUSH: what was typed already is meant for the program.
    tty.setraw(terminal, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@contextmanager
def _size_follows(connection: Connection, exec_id: str) -> Iterator[None]:
    def resize(_number: int = 0, _frame: FrameType | None = None) -> bool:
        # Not shutil.get_terminal_size, which believes COLUMNS and LINES.
        size = os.get_terminal_size(sys.stdout.fileno())
        # The program may have ended a moment ago; its size then no longer matters.
        with suppress(OpsError, *FOREIGN):
            connection.quick().exec_resize(exec_id, height=size.lines, width=size.columns)
            return True
        return False

    def resize_first() -> None:
        # The engine answers our start before the program has a terminal.
        for _ in range(_FIRST_RESIZES):
            if resize():
                return
            time.sleep(0.02)

    resize_first()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGWINCH, resize)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


@contextmanager
def _keys_go_to(stream: TwoWay, terminal: int) -> Iterator[None]:
    """Send what is typed until the program has ended; no key typed later is swallowed."""
    ended, wake = os.pipe()

    def send() -> None:
        with suppress(OpsError, OSError):
            while ended not in select.select([terminal, ended], [], [])[0]:
                if not (keys := os.read(terminal, 4096)):
                    return
                stream.send(keys)

    thread = threading.Thread(target=send, name="send keys", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(wake, b"x")
        thread.join()
        os.close(ended)
        os.close(wake)
