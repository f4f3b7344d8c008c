"""How do PostgreSQL's programs run beside the server, in the database's own container?

Each runs under the dead man's pipe, whose other end is our connection: when we die, it ends. The wrapper around it
writes a marker behind the program's output, so that an output without one was cut, wherever the cut was: the end of a
connection alone proves nothing.
"""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ops.adapters.docker import execute, placing, streaming
from ops.adapters.docker.database import Credentials, DatabaseService
from ops.adapters.docker.frames import FrameReader
from ops.adapters.docker.frozen import ASK_EVERY_S, SILENCE_S, FrozenWatch, patient
from ops.adapters.docker.reaper import REAP, is_alive, leftovers, run_id
from ops.adapters.docker.tool_output import MARKED, ToolOutput
from ops.errors import ConfigurationError, DeadlinePassed, EngineUnreachable, UnknownService
from ops.model import dead_mans_pipe
from ops.model.secret import Secret
from ops.ports import ToolResult

_CODECS = ("gzip", "lz4", "zstd")
_ASK = """\
pg_dump --version || exit
for codec do
  case $(pg_dump --format=custom --compress="$codec:1" --host=/nonexistent --dbname=x 2>&1) in
    *compress*) ;;
    *) echo "$codec" ;;
  esac
done
"""


@dataclass(frozen=True, slots=True)
class _Programs:
    """What one container's pg_dump said of itself."""

    container: str
    version: str
    codecs: frozenset[str]


class DockerTools:
    """PostgreSQL's programs in the container of one database service; see `ops.ports.ToolRunner`.

    Args:
        database: the service.
        silence_s: for how long its container may be paused while a program is silent, before that is given up.
    """

    def __init__(self, database: DatabaseService, *, silence_s: float = SILENCE_S) -> None:
        self._database = database
        self._silence_s = silence_s
        self._connection = database.connection
        self._service = database.service
        self._known: Credentials | None = None
        self._asked: _Programs | None = None

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
        """Run one program to its end."""
        container = self._container()
        marker = f"ops-tool-end-{secrets.token_hex(16)}"
        doing = f"run {argv[0]} in {self._service}"
        exec_id = execute.create(
            self._connection,
            container,
            ["sh", "-c", MARKED, marker, *dead_mans_pipe.wrap(argv, run_id=run_id())],
            doing=doing,
            with_stdin=True,
            environment=environment,
        )
        if idle_timeout_s is None and keeps_on is None:
            keeps_on = FrozenWatch(self._connection, container, doing, self._silence_s).keeps_on
        output = ToolOutput(marker.encode(), on_stdout)
        try:
            self._pump(exec_id, doing, _first_line(password), output, idle_timeout_s, keeps_on)
            output.refuse_a_cut(doing)
        except BaseException:
            # Its locks in the server shall be gone when the caller goes on; longer than its grace helps nobody.
            execute.has_ended(self._connection, exec_id, within_s=dead_mans_pipe.GRACE_S + 2)
            raise
        return ToolResult(execute.exit_code(self._connection, exec_id, doing), output.errors())

    def _pump(  # noqa: PLR0917 - one use
        self,
        exec_id: str,
        doing: str,
        first_line: bytes,
        output: ToolOutput,
        idle_timeout_s: float | None,
        keeps_on: Callable[[], bool] | None,
    ) -> None:
        stream = execute.connect(self._connection, exec_id, doing)
        try:
            stream.send(first_line)
            stream.give_up_after(idle_timeout_s if keeps_on is None else ASK_EVERY_S)
            receive = stream.receive_much if keeps_on is None else patient(stream.receive_much, keeps_on)
            for number, block in FrameReader(receive):
                output.take(number, block)
        finally:
            # Closing is what ends the program, should it still run.
            stream.close()

    @contextmanager
    def place(self, path: Path) -> Iterator[str]:
        """Copy a local file into the container for as long as the context lasts."""
        container = self._container()
        name, patience = f"ops-place-{run_id()}", self._silence_s
        inside = placing.place(self._connection, container, path, name, self._service, silence_s=patience)
        try:
            yield inside
        finally:
            # Stopped, gone or paused: the reaper finds what it still holds.
            with suppress(EngineUnreachable, UnknownService, DeadlinePassed):
                placing.remove(self._connection, container, inside, self._service, silence_s=patience)

    def place_stream(self, blocks: Iterator[bytes], size_bytes: int) -> AbstractContextManager[str]:
        """Through a FIFO in the container for as long as the context lasts."""
        name = f"ops-place-{run_id()}"
        return streaming.stream(
            self._connection,
            self._container(),
            blocks,
            size_bytes,
            name=name,
            where=self._service,
            silence_s=self._silence_s,
        )

    def connection_arguments(self, database: str) -> tuple[str, ...]:
        """Over TCP: during a first start the image's server listens on its Unix socket only, and is not yet ours."""
        known = self._credentials()
        return ("--host=127.0.0.1", f"--port={known.port}", f"--username={known.user}", f"--dbname={database}")

    def server_password(self) -> Secret | None:
        """The password that the image was given."""
        return self._credentials().password or None

    def codecs(self) -> frozenset[str]:
        """Ask pg_dump, which looks at the codec before it connects anywhere."""
        return self._programs().codecs

    def version(self) -> str:
        """pg_dump's version."""
        return self._programs().version

    def _programs(self) -> _Programs:
        """What the container's pg_dump is and can; asked once for each container, since every program costs a while."""
        container = self._container()
        if self._asked is None or self._asked.container != container:
            said = io.BytesIO()
            result = self.run(["sh", "-c", _ASK, "ops-ask", *_CODECS], on_stdout=lambda block: _keep(said, block))
            version, *codecs = said.getvalue().decode(errors="replace").splitlines() or [""]
            number = re.search(r"\d+(\.\d+)+|\d+", version)
            if result.exit_code != 0 or not number:
                raise ConfigurationError(
                    f"{self._service} has no pg_dump", cause=result.stderr or None, hint="name an image of PostgreSQL"
                )
            self._asked = _Programs(container, number[0], frozenset({"none", *codecs}))
        return self._asked

    def reap(self) -> tuple[str, ...]:
        """End programs and remove files of runs on this machine whose process is gone."""
        listed = self._shell(f"ls -d {dead_mans_pipe.PID_FILES} {placing.PLACED} 2>/dev/null || :")
        left = leftovers(listed.split(), is_alive=is_alive)
        if left:
            self._shell(REAP, str(dead_mans_pipe.GRACE_S), dead_mans_pipe.RUN_VARIABLE, *left)
        return left

    def _container(self) -> str:
        return str(self._database.container()["Id"])

    def _credentials(self) -> Credentials:
        if self._known is None:
            self._known = self._database.credentials(self._database.container())
        return self._known

    def _shell(self, script: str, *arguments: str) -> str:
        said = io.BytesIO()
        execute.run(
            self._connection,
            self._container(),
            ["sh", "-c", script, "ops-reap", *arguments],
            doing=f"look for leftovers in {self._service}",
            stdout=said,
            silence_s=self._silence_s,
        )
        return said.getvalue().decode(errors="replace")


def _first_line(password: Secret | None) -> bytes:
    text = password.reveal() if password else ""
    if "\n" in text:
        raise ConfigurationError("a password with a line end in it cannot be given to a program")
    return text.encode() + b"\n"


def _keep(said: io.BytesIO, block: bytes) -> None:
    said.write(block)
