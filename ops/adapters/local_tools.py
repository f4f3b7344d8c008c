"""How do PostgreSQL's client programs run on this machine?

As child processes under the dead man's pipe: whatever happens to us, `pg_dump` ends. Used by the embedded engine with
the server's own binaries and by the url engine with installed ones.
"""

from __future__ import annotations

import os
import re
import secrets
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

from ops.adapters.fed_fifo import fed_fifo
from ops.errors import ArchiveUnwritable, DeadlinePassed, EngineUnreachable
from ops.model.dead_mans_pipe import PID_FILES, RUN_VARIABLE, wrap
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from ops.ports import ToolResult

_BLOCK_BYTES = 1 << 20
_STDERR_KEPT_BYTES = 64 * 1024
_ASK_EVERY_S = 1.0
_CODECS = ("gzip", "lz4", "zstd")
_NO_SERVER = "/nonexistent"


class LocalTools:
    """A ToolRunner over the programs in one folder.

    Args:
        folder: where they are; a function is asked when the first program is to run, and once.
        endpoint: the server they talk to.
    """

    def __init__(self, folder: Path | Callable[[], Path], endpoint: PostgresEndpoint) -> None:
        self._folder = folder
        self._endpoint = endpoint
        self._codecs: frozenset[str] | None = None

    def run(
        self,
        argv: Sequence[str],
        *,
        on_stdout: Callable[[bytes], None] | None = None,
        password: Secret | None = None,
        environment: Mapping[str, str] | None = None,
        idle_timeout_s: float | None = None,
        keeps_on: Callable[[], bool] | None = None,
    ) -> ToolResult:
        """Run one program to its end; see the port."""
        command = wrap([self._path(argv[0]), *argv[1:]], run_id=f"{os.getpid()}-{secrets.token_hex(6)}")
        try:
            program = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(environment or {}),
                bufsize=0,
                start_new_session=True,
            )
        except OSError as exc:
            raise EngineUnreachable(f"{argv[0]} could not be started", cause=str(exc), hint="inv check") from exc
        with program:
            try:
                _give_password(program, password)
                said = _pump(program, on_stdout, _Patience(idle_timeout_s, keeps_on), argv[0])
                code = program.wait()  # before the pipe closes: a program may close its streams before it ends
            finally:
                _let_go(program)
        return ToolResult(code if code >= 0 else 128 - code, said)

    @contextmanager
    def place(self, path: Path) -> Iterator[str]:
        """The file is where the programs run already."""
        try:
            with path.open("rb"):
                yield str(path.resolve())
        except FileNotFoundError as exc:
            raise ArchiveUnwritable(f"{path} is not there", hint="inv backups") from exc

    def place_stream(self, blocks: Iterator[bytes], size_bytes: int) -> AbstractContextManager[str]:  # noqa: ARG002 - the port's
        """Through a FIFO that only we can read."""
        return fed_fifo(blocks)

    def connection_arguments(self, database: str) -> tuple[str, ...]:
        """Over TCP (or the socket folder) of the endpoint, with its further libpq parameters."""
        there = self._endpoint
        name = _conninfo({"dbname": database, **dict(there.options)}) if there.options or "=" in database else database
        return (f"--host={there.host}", f"--port={there.port}", f"--username={there.user}", f"--dbname={name}")

    def server_password(self) -> Secret | None:
        """The endpoint's password."""
        return self._endpoint.password or None

    def codecs(self) -> frozenset[str]:
        """Asked of pg_dump itself: it refuses a codec it was not built with before it looks for a server."""
        if self._codecs is None:
            self._codecs = frozenset({"none", *(codec for codec in _CODECS if self._knows(codec))})
        return self._codecs

    def version(self) -> str:
        """pg_dump's version, such as `18.6`."""
        said: list[bytes] = []
        self.run(["pg_dump", "--version"], on_stdout=said.append)
        match = re.search(r"PostgreSQL\) (\S+)", b"".join(said).decode(errors="replace"))
        return match[1] if match else ""

    def reap(self) -> tuple[str, ...]:
        """End programs whose wrapper was killed; one whose wrapper lives ends by itself with its owner."""
        if not Path("/proc/self/environ").exists():
            return ()  # without /proc nothing tells our programs from others
        return tuple(found for file in sorted(glob(PID_FILES)) if (found := _reap_one(Path(file))))  # noqa: PTH207

    def _path(self, name: str) -> str:
        if not isinstance(self._folder, Path):
            self._folder = self._folder()
        path = self._folder / name
        return str(path) if path.exists() else name

    def _knows(self, codec: str) -> bool:
        result = self.run(
            ["pg_dump", "--format=custom", f"--compress={codec}", f"--host={_NO_SERVER}", "--no-password", "--dbname=x"]
        )
        return "connection to server" in result.stderr


def _environment(further: Mapping[str, str]) -> dict[str, str]:
    """Ours without anything libpq would listen to, so that nobody's PGSERVICE leads a dump elsewhere."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**inherited, "LC_ALL": "C", **further}


def _conninfo(parameters: Mapping[str, str]) -> str:
    """Source: libpq, "Keyword/Value Connection Strings"."""
    quoted = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in parameters.items()}
    return " ".join(f"{name}='{value}'" for name, value in quoted.items())


def _give_password(program: subprocess.Popen[bytes], password: Secret | None) -> None:
    assert program.stdin is not None
    with suppress(BrokenPipeError):
        program.stdin.write((password.reveal() if password else "").encode() + b"\n")


def _let_go(program: subprocess.Popen[bytes]) -> None:
    """Close all pipes: the dead man's pipe ends a program that still runs, the others cannot block it then."""
    for stream in (program.stdin, program.stdout, program.stderr):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


@dataclass(frozen=True, slots=True)
class _Patience:
    """For how long a program may write nothing, and who is asked then whether it may go on."""

    idle_timeout_s: float | None
    keeps_on: Callable[[], bool] | None

    @property
    def wait_s(self) -> float | None:
        return self.idle_timeout_s if self.keeps_on is None else _ASK_EVERY_S

    @property
    def said(self) -> str:
        return "stood still" if self.keeps_on is not None else f"wrote nothing for {self.idle_timeout_s:g} s"


def _pump(
    program: subprocess.Popen[bytes],
    on_stdout: Callable[[bytes], None] | None,
    patience: _Patience,
    name: str,
) -> str:
    """Hand stdout on until both streams end; returns the end of stderr."""
    said = bytearray()
    with selectors.DefaultSelector() as ready:
        streams: dict[Any, bool] = {program.stdout: True, program.stderr: False}
        for stream, is_result in streams.items():
            ready.register(stream, selectors.EVENT_READ, is_result)
        while ready.get_map():
            found = ready.select(patience.wait_s)
            if not found and patience.keeps_on is not None and patience.keeps_on():
                continue
            if not found:
                raise DeadlinePassed(f"{name} {patience.said} and was ended", hint="inv check")
            for key, _ in found:
                block = os.read(key.fd, _BLOCK_BYTES)
                if not block:
                    ready.unregister(key.fileobj)
                elif not key.data:
                    said = (said + block)[-_STDERR_KEPT_BYTES:]
                elif on_stdout is not None:
                    on_stdout(block)
    return said.decode(errors="replace")


def _reap_one(file: Path) -> str:
    """Look at one pid file; returns what was done, "" where its run is alive or is not ours to touch."""
    run_id = file.name.removeprefix("ops-tool-").removesuffix(".pid")
    try:
        text = file.read_text()
        if not text:
            return ""  # it starts at this very moment
        pid = int(text)
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        wrapper = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
    except PermissionError:
        return ""
    except (OSError, ValueError):
        return _forget(file, f"pid file of run {run_id}, whose program is gone")
    if f"{RUN_VARIABLE}={run_id}".encode() not in environment:
        return _forget(file, f"pid file of run {run_id}, whose program is gone")
    if run_id.encode() in wrapper:
        return ""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    return _forget(file, f"program of run {run_id} (pid {pid}), whose owner was killed")


def _forget(file: Path, what: str) -> str:
    try:
        file.unlink(missing_ok=True)
    except PermissionError:
        return ""  # another user's
    return what
