"""How do tests run the Alembic program a hundred times without a hundred seconds of imports?

One process imports Alembic, SQLAlchemy and psycopg once and forks for each request; the fork runs the program's own
file from its first line, in the project's folder, with pipes of its own. What the tests see is what a new Python would
have done. The runner that starts a new Python is tested by itself.
"""

from __future__ import annotations

import array
import atexit
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from ops.adapters.alembic_runner import PROGRAM, Ended, Run, Tail

_zygote: tuple[subprocess.Popen[bytes], socket.socket] | None = None


def run_in_zygote(project: Path) -> Run:
    """A `Run` for a project's folder."""

    def run(request: bytes, on_stdout: Callable[[bytes], None]) -> Ended:
        ours, theirs = zip(*(socket.socketpair() for _ in range(4)), strict=True)
        stdin, stdout, stderr, outcome = ours
        descriptors = array.array("i", [end.fileno() for end in theirs])
        _started().sendmsg([str(project).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        for end in theirs:
            end.close()
        tail = Tail()
        reader = threading.Thread(target=_drain, args=(stderr, tail.write))
        reader.start()
        try:
            stdin.sendall(request)
            _drain(stdout, on_stdout)
        finally:
            stdin.close()
            reader.join()
            code = json.loads(outcome.recv(100))
            for end in (stdout, stderr, outcome):
                end.close()
        return Ended(code, tail.text())

    return run


def _drain(source: socket.socket, write: Callable[[bytes], object]) -> None:
    while block := source.recv(65536):
        write(block)


def _started() -> socket.socket:
    global _zygote  # noqa: PLW0603 - one for the whole test run is the point
    if _zygote is None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.alembic_zygote", str(theirs.fileno())],
            cwd=Path(__file__).parents[1], pass_fds=[theirs.fileno()],
        )  # fmt: skip
        theirs.close()
        _zygote = process, ours
        atexit.register(_end)
    return _zygote[1]


def _end() -> None:
    if _zygote is not None:
        process, control = _zygote
        control.close()
        process.wait()


def _serve(control: socket.socket) -> None:
    """Fork for each message until the other end closes."""
    import alembic.command
    import psycopg
    import sqlalchemy.dialects.postgresql
    import sqlalchemy.dialects.sqlite

    assert alembic.command
    assert psycopg
    assert sqlalchemy.dialects
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        folder, descriptors, *_ = socket.recv_fds(control, 4096, 4)
        if not folder:
            return
        if os.fork() == 0:
            control.close()
            _watch(folder.decode(), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _watch(folder: str, descriptors: list[int]) -> None:
    """In a fork: run the program in another one and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    program = os.fork()
    if program == 0:
        os.close(descriptors[3])
        for number, descriptor in enumerate(descriptors[:3]):
            os.dup2(descriptor, number)
            os.close(descriptor)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        runpy.run_path(str(PROGRAM), run_name="__main__")
    for descriptor in descriptors[:3]:
        os.close(descriptor)
    _, status = os.waitpid(program, 0)
    os.write(descriptors[3], json.dumps(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
