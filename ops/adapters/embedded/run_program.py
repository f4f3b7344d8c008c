"""How does a program run beside a service, with our streams and its own exit code?"""

from __future__ import annotations

import io
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from ops.errors import EngineUnreachable

_BLOCK_BYTES = 1 << 16
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126


def run_program(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: str,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
    interactive: bool = False,
) -> int:
    """Run to the end; returns the exit code, 128+n for signal n, 127 where there is no such program.

    `interactive` hands our own terminal on; otherwise a stream that is not given is empty.
    """
    program = shutil.which(argv[0], path=environment.get("PATH"))
    if program is None:
        _say(stderr, f"{argv[0]}: not found\n")
        return _NOT_FOUND
    command = [program, *argv[1:]]
    try:
        if interactive:
            return _code(subprocess.run(command, env=dict(environment), cwd=cwd, check=False).returncode)
        streams = (stdin, stdout, stderr)
        return _run_piped(command, environment, cwd, streams)
    except PermissionError as exc:
        _say(stderr, f"{argv[0]}: {exc.strerror}\n")
        return _NOT_EXECUTABLE
    except OSError as exc:
        raise EngineUnreachable(f"{argv[0]} could not be run", cause=str(exc), hint="inv ps") from exc


def _run_piped(
    command: Sequence[str],
    environment: Mapping[str, str],
    cwd: str,
    streams: tuple[IO[bytes] | None, IO[bytes] | None, IO[bytes] | None],
) -> int:
    stdin, stdout, stderr = streams
    with subprocess.Popen(
        command,
        env=dict(environment),
        cwd=cwd,
        stdin=_handed(stdin),
        stdout=_handed(stdout),
        stderr=_handed(stderr),
    ) as child:
        copies = [
            threading.Thread(target=_copy, args=pair, daemon=True)
            for pair in ((child.stdout, stdout), (child.stderr, stderr))
            if pair[0] is not None
        ]
        if child.stdin is not None and stdin is not None:
            threading.Thread(target=_feed, args=(stdin, child.stdin), daemon=True).start()
        for copy in copies:
            copy.start()
        for copy in copies:
            copy.join()
        return _code(child.wait())


def _handed(stream: IO[bytes] | None) -> int | IO[bytes]:
    """A real file is handed on as it is; memory goes through a pipe; None is empty."""
    if stream is None:
        return subprocess.DEVNULL
    try:
        stream.flush()
        stream.fileno()
    except (AttributeError, OSError, io.UnsupportedOperation):
        return subprocess.PIPE
    return stream


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while block := source.read(_BLOCK_BYTES):
        target.write(block)


def _feed(source: IO[bytes], target: IO[bytes]) -> None:
    with suppress(BrokenPipeError, ValueError):
        while block := source.read(_BLOCK_BYTES):
            target.write(block)
    with suppress(BrokenPipeError, ValueError):
        target.close()


def _say(stream: IO[bytes] | None, text: str) -> None:
    if stream is not None:
        stream.write(text.encode())


def _code(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode
