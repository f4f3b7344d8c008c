"""How does an archive get into an empty database, all of it or not at all?

The target is a scratch database: what fails half-way is dropped, so nothing needs to be undone and pg_restore may
work in parallel. PostgreSQL's archives go through pg_restore next to the server; SQL text goes from here, piece by
piece, over one connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from ops.adapters.postgres.archive_contents import contents, placed_archive, private_file
from ops.adapters.postgres.connect import connect
from ops.adapters.postgres.foreign import leaves_out, pieces, refusal
from ops.adapters.postgres.load_stall import LoadWatch
from ops.adapters.postgres.own_database import OwnDatabase
from ops.adapters.postgres.plain_sql import CopyData, CutShort, Piece, Statement
from ops.adapters.postgres.silence import break_line
from ops.errors import ArchiveCorrupt, LoadFailed, RestoreRefused
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from ops.ports import LoadSource, ToolRunner

_BATCH_BYTES = 1 << 18
_INDEX_MEMORY_MB = 512
SESSION_SETTINGS = (
    ("synchronous_commit", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("jit", "off"),
)
_LEFT_OUT_OF_FOREIGN = re.compile(r"^\d+; \d+ \d+ (?:COMMENT - EXTENSION |SCHEMA - public )")


def load_archive(
    tools: ToolRunner,
    database: str,
    source: LoadSource,
    *,
    jobs: int,
    watch: LoadWatch,
    loader: PostgresEndpoint | None = None,
) -> None:
    """Load a custom, directory or tar archive with pg_restore.

    Args:
        tools: the programs next to the server.
        database: an empty one.
        source: the archive on our disk.
        jobs: how many at once, where the format allows it.
        watch: says when the load stands still.
        loader: as whom, without the owners and grants in the archive; None: as ourselves, with them.

    Raises: LoadFailed (with pg_restore's own words), EngineUnreachable, DeadlinePassed (it stood still).
    """
    is_stream = source.stream is not None  # which cannot be read in parallel
    jobs = 1 if source.format == "tar" or is_stream else max(1, jobs)
    with placed_archive(tools, source) as placed:
        # Without the format pg_restore would open the file a first time to look: a stream is gone then.
        argv = ["pg_restore", f"--format={source.format}", "--exit-on-error", "--no-password"]
        argv += [] if is_stream else [f"--jobs={jobs}"]
        argv += tools.connection_arguments(database)
        passes = _passes(tools, placed, source, jobs)
        if loader is None:
            for sections in passes:
                with watch.at_work():
                    _restore(tools, [*argv, *sections, placed], tools.server_password(), jobs, source, watch)
            return
        with _wanted(tools, placed, source) as listed, tools.place(listed) as placed_list:
            argv += [f"--username={loader.user}", "--no-owner", "--no-privileges", f"--use-list={placed_list}"]
            for sections in passes:
                with watch.at_work():
                    _restore(tools, [*argv, *sections, placed], loader.password, jobs, source, watch)


def _passes(tools: ToolRunner, placed: str, source: LoadSource, jobs: int) -> tuple[tuple[str, ...], ...]:
    """The sections of each run of pg_restore: one run, or where tables have partitions and several load at once, two.

    pg_restore --jobs makes a row trigger of a partitioned table as soon as that table, which has no rows of its own, is
    done, and it then fires while the partitions still load (seen with 17 and 18: 8 of 10 restores failed).
    """
    if jobs > 1 and " TABLE ATTACH " in contents(tools, placed, source.path.name):
        return (("--section=pre-data", "--section=data"), ("--section=post-data",))
    return ((),)


def load_plain(endpoint: PostgresEndpoint, source: LoadSource, server_major: int, watch: LoadWatch) -> tuple[str, ...]:
    """Send a plain SQL file to the database of `endpoint`, statement by statement.

    Returns: what was left out of a foreign file (`owners`, `grants`), sorted.

    Raises: LoadFailed, naming the line; RestoreRefused for what must not be loaded.
    """
    left_out: set[str] = set()
    with (
        connect(endpoint, application_name="ops:load", settings=(*SESSION_SETTINGS, _memory(1))) as session,
        watch.at_work(lambda: break_line(session)),
    ):
        session.prepare_threshold = None
        stream = pieces(source)
        batch: list[Statement] = []
        batch_bytes = 0
        own_database = OwnDatabase()
        for piece in stream:
            if source.is_foreign and own_database.takes(piece):
                left_out.add("the name and settings of its own database")
                continue
            statement = _checked(piece, source)
            if statement is None:
                continue
            if source.is_foreign and (what := leaves_out(statement, server_major)):
                left_out.add(what)
            elif statement.reads_stdin:
                _send(session, batch, source)
                _copy(session, statement, stream, source)
            else:
                batch.append(statement)
                batch_bytes += len(statement.text)
                if batch_bytes > _BATCH_BYTES:
                    _send(session, batch, source)
                    batch_bytes = 0
        _send(session, batch, source)
    return tuple(sorted(left_out))


def _checked(piece: Piece, source: LoadSource) -> Statement | None:
    """The statement to carry out, if the piece is one. Raises: RestoreRefused, ArchiveCorrupt."""
    if isinstance(piece, CutShort):
        raise ArchiveCorrupt(f"{source.path.name} is cut short", cause=f"it ends inside {piece.inside}")
    if why := refusal(piece):
        raise RestoreRefused(f"{source.path.name} must not be loaded", cause=why)
    return piece if isinstance(piece, Statement) else None


def _send(session: psycopg.Connection, batch: list[Statement], source: LoadSource) -> None:
    """Carry out what has gathered, in one round trip, and empty the list.

    Where one of many fails, the server has undone them all: sent one by one they name the line.
    """
    try:
        session.execute(b"\n".join(statement.text.rstrip(b";") + b";" for statement in batch))
    except psycopg.Error as exc:
        if len(batch) == 1 or session.closed:
            raise _failed(exc, source, batch[0].line) from exc
        for statement in batch:
            _send(session, [statement], source)
    batch.clear()


def _copy(session: psycopg.Connection, statement: Statement, stream: Iterator[Piece], source: LoadSource) -> None:
    try:
        with session.cursor() as cursor, cursor.copy(statement.text) as copy:
            for piece in stream:
                if not isinstance(piece, CopyData):
                    _checked(piece, source)
                    break
                copy.write(piece.block)
                if piece.is_last:
                    break
    except psycopg.Error as exc:
        raise _failed(exc, source, statement.line) from exc


def _failed(error: psycopg.Error, source: LoadSource, line: int) -> LoadFailed:
    said = error.diag.message_primary or str(error)
    more = "; ".join(text for text in (error.diag.message_detail, error.diag.context) if text)
    return LoadFailed(
        f"{source.path.name} could not be loaded: {' '.join(said.split())}",
        cause=f"line {line} of the file" + (f": {' '.join(more.split())}" if more else ""),
        hint="the live database is as it was; see that line",
    )


@contextmanager
def _wanted(tools: ToolRunner, placed: str, source: LoadSource) -> Iterator[Path]:
    """A list of what to restore of a foreign archive: all but what its loader may not or need not make."""
    lines = contents(tools, placed, source.path.name).splitlines()
    kept = [line for line in lines if not _LEFT_OUT_OF_FOREIGN.match(line)]
    with private_file(iter(["\n".join(kept).encode() + b"\n"])) as path:
        yield path


def _restore(  # noqa: PLR0917 - two uses
    tools: ToolRunner, argv: list[str], password: Secret | None, jobs: int, source: LoadSource, watch: LoadWatch
) -> None:
    options = " ".join(f"-c {name}={value}" for name, value in (*SESSION_SETTINGS, _memory(jobs)))
    result = tools.run(argv, password=password, environment={"PGOPTIONS": options}, keeps_on=watch.keeps_on)
    if result.exit_code:
        raise LoadFailed(
            f"{source.path.name} could not be loaded: pg_restore ended with {result.exit_code}",
            cause=_complaint(result.stderr),
            hint="the live database is as it was",
        )


def _memory(jobs: int) -> tuple[str, str]:
    return ("maintenance_work_mem", f"{max(64, _INDEX_MEMORY_MB // jobs)}MB")


def _complaint(stderr: str) -> str:
    """The first complaint, in one line: pg_restore says there what failed, and then only that it gave up."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [index for index, line in enumerate(lines) if "error:" in line]
    shown = lines[errors[0] : errors[0] + 3] if errors else lines[-3:]
    return " ".join(shown)[:1000] or "it said nothing"
