"""How is an archive streamed from a live PostgreSQL database, with counts of the very same moment?

One session of ours holds all tables and exports its snapshot; `pg_dump` reads in that snapshot, and so do the
facts and the revisions before it and the fingerprint after it. (At the same time they slow each other down by more than
they save on two processors: docs/performance.md.) Whatever goes wrong, both are ended and their locks released.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace

import psycopg

from ops.adapters.postgres.connect import connect, translated
from ops.adapters.postgres.facts import read_facts, read_revisions
from ops.adapters.postgres.fingerprint import table_summaries
from ops.adapters.postgres.silence import break_line
from ops.adapters.postgres.table_locks import blockers, snapshot_of_held_tables, waited_too_long
from ops.errors import DeadlinePassed, DumpFailed, OpsError
from ops.model.database import DatabaseFacts, TableSummary
from ops.model.endpoint import PostgresEndpoint
from ops.model.manifest import Codec
from ops.ports import Dump, Reporter, ToolResult, ToolRunner

_TOOL_LOCK_WAIT_S = 3.0
"""pg_dump may queue behind a migration that queues behind our own locks: it gives up soon, and we begin anew."""
_LOCK_TIMEOUT_S = 10
_CANCEL_TIMEOUT_S = 3.0
_TELL_EVERY_S = 0.5
# A role may have timeouts of its own, which would end a long dump; a lock is never waited for without a bound.
_TIMEOUTS = """
SELECT set_config('lock_timeout', %s, false) UNION ALL
SELECT set_config(name, '0', false) FROM pg_settings
WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout',
               'idle_session_timeout')
"""


_Counted = tuple[tuple[TableSummary, ...], float]
"""The fingerprint, and the seconds it took."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """What was read in the snapshot before the rows."""

    snapshot: str
    facts: DatabaseFacts
    revisions: tuple[str, ...]


def dump(
    endpoint: PostgresEndpoint,
    tools: ToolRunner,
    write: Callable[[bytes], None],
    *,
    report: Reporter,
    lock_wait_s: float,
    idle_timeout_s: float,
) -> Dump:
    """Stream a custom-format archive of the endpoint's database to `write`.

    Args:
        endpoint: the live database.
        tools: runs `pg_dump`, which must be of the server's major.
        write: receives the archive in order; what it raises ends the dump and is raised here.
        report: progress in bytes of archive (`dump`) and of tables (`fingerprint`); pg_dump's warnings.
        lock_wait_s: how long to wait for a table that somebody holds exclusively, in all.
        idle_timeout_s: end a dump that wrote no byte, or whose server answered nothing, for so long.

    Raises:
        DumpFailed: pg_dump failed, stalled, or waited too long for a lock (the blocker is named).
        DatabaseRefused: password, or no right to read a table.
        EngineUnreachable: the server went away.
    """
    deadline = time.monotonic() + lock_wait_s
    endpoint = replace(endpoint, silence_s=idle_timeout_s)
    try:
        with translated(f"dumping {endpoint.database}", otherwise=DumpFailed):
            while True:
                done = _Run(endpoint, tools, write, report, idle_timeout_s).attempt(deadline)
                if done is not None:
                    return done
    except DeadlinePassed as exc:
        raise DumpFailed(exc.message, cause=exc.cause, hint="inv ps; inv stats; then: inv backup") from exc


class _Run:
    """One attempt: the program, its name at the server, and what it has written so far."""

    def __init__(
        self,
        endpoint: PostgresEndpoint,
        tools: ToolRunner,
        write: Callable[[bytes], None],
        report: Reporter,
        idle_timeout_s: float,
    ) -> None:
        self._endpoint = endpoint
        self._tools = tools
        self._write = write
        self._report = report
        self._idle_timeout_s = idle_timeout_s
        self._name = f"ops:pg_dump:{secrets.token_hex(6)}"
        self._written = 0
        self._compared = (0, 0)
        self._codec: Codec = "zstd" if "zstd" in tools.codecs() else "gzip"

    def attempt(self, deadline: float) -> Dump | None:
        """Run pg_dump once; None where it met a lock before its first byte and there is time for another run."""
        with closing(connect(self._endpoint, application_name="ops:dump")) as session, self._backends_ended():
            session.execute(_TIMEOUTS, [f"{_LOCK_TIMEOUT_S}s"])
            snapshot = snapshot_of_held_tables(session, deadline=deadline, tell=self._report.note)
            moment = _Moment(snapshot, read_facts(session), read_revisions(session))
            self._refuse_other_major(moment.facts)
            with ThreadPoolExecutor(1, "fingerprint") as pool, _cut_on_failure(session):
                began = time.monotonic()
                result = self._pg_dump(moment.snapshot)
                dump_s = time.monotonic() - began
                if result.exit_code == 0:
                    self._report_warnings(result)
                    counted = pool.submit(self._fingerprint, session)
                    return self._dump(moment, dump_s, self._wait_for(counted))
                self._raise_unless_lock(result, deadline)
                _cut(session)
        return None

    def _dump(self, moment: _Moment, dump_s: float, counted: _Counted) -> Dump:
        tables, fingerprint_s = counted
        return Dump(
            facts=moment.facts,
            tables=tables,
            revisions=moment.revisions,
            tool_version=self._tools.version(),
            format="custom",
            codec=self._codec,
            dump_s=dump_s,
            fingerprint_s=fingerprint_s,
        )

    def _refuse_other_major(self, facts: DatabaseFacts) -> None:
        """An archive by a newer pg_dump may not load into this server; an older one refuses by itself."""
        version = self._tools.version()
        if version.split(".")[0] != str(facts.server_major):
            raise DumpFailed(
                f"pg_dump {version} must not dump a server {facts.server_version}: the majors differ",
                hint="use the programs of the server's own image, or set POSTGRES_IMAGE to the server's major",
            )

    def _pg_dump(self, snapshot: str) -> ToolResult:
        """Run the program, handing its blocks on."""

        def receive(block: bytes) -> None:
            self._write(block)
            self._written += len(block)
            self._tell()

        argv = [
            "pg_dump",
            "--format=custom",
            f"--compress={self._codec}:1",
            f"--snapshot={snapshot}",
            f"--lock-wait-timeout={int(_TOOL_LOCK_WAIT_S * 1000)}",
            "--no-password",
            *self._tools.connection_arguments(self._endpoint.database),
        ]
        try:
            return self._tools.run(
                argv,
                on_stdout=receive,
                password=self._tools.server_password(),
                environment={"PGAPPNAME": self._name},
                idle_timeout_s=self._idle_timeout_s,
            )
        except DeadlinePassed as exc:
            raise DumpFailed(
                f"pg_dump of {self._endpoint.database} stalled after {self._written} bytes and was ended",
                cause=f"no byte for {self._idle_timeout_s:g} s",
                hint="inv ps, then: inv backup",
            ) from exc

    def _fingerprint(self, session: psycopg.Connection) -> _Counted:
        """In its own thread: counts and checksums in the snapshot, and the seconds they took."""
        began = time.monotonic()
        found = table_summaries(session, on_progress=self._remember)
        return found, time.monotonic() - began

    def _remember(self, done: int, total: int) -> None:
        self._compared = (done, total)

    def _tell(self) -> None:
        """Only the main thread reports: a reporter need not be safe for threads."""
        done, total = self._compared
        if total:
            self._report.progress("fingerprint", done, total)
        else:
            self._report.progress("dump", self._written, None)

    def _wait_for(self, counted: Future[_Counted]) -> _Counted:
        """The fingerprint's result, however long it takes: its session is watched."""
        while True:
            try:
                found = counted.result(timeout=_TELL_EVERY_S)
            except TimeoutError:
                self._tell()
            else:
                self._tell()
                return found

    def _report_warnings(self, result: ToolResult) -> None:
        """pg_dump's stderr of a good run (circular foreign keys, for one)."""
        for line in result.stderr.splitlines():
            if line.strip():
                self._report.warn(line.strip())

    def _raise_unless_lock(self, result: ToolResult, deadline: float) -> None:
        """Raise what a failed program means; return where beginning anew may help."""
        with connect(self._endpoint, application_name="ops:dump") as other:
            if self._written == 0 and blockers(other):
                if time.monotonic() < deadline:
                    return
                raise waited_too_long(other)
        raise DumpFailed(
            f"pg_dump of {self._endpoint.database} ended with {_ending(result.exit_code)} after {self._written} bytes",
            cause=" ".join(result.stderr.strip().splitlines()[-5:]) or None,
            hint="inv check",
        )

    @contextmanager
    def _backends_ended(self) -> Iterator[None]:
        """After a failure no session of the program is left at the server, so no lock of it either."""
        try:
            yield
        except BaseException:
            with suppress(OpsError, psycopg.Error), connect(self._endpoint, application_name="ops:dump") as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [self._name]
                )
            raise


@contextmanager
def _cut_on_failure(session: psycopg.Connection) -> Iterator[None]:
    """End what the session is doing, so that the thread that waits for it ends too."""
    try:
        yield
    except BaseException:
        _cut(session)
        raise


def _cut(session: psycopg.Connection) -> None:
    """Cancel the session's query, then break its socket: a server that is paused would keep the thread for ever."""
    with suppress(psycopg.Error):
        session.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
    break_line(session)


def _ending(exit_code: int) -> str:
    return f"signal {exit_code - 128}" if exit_code > 128 else f"exit code {exit_code}"
