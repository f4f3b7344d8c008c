"""What can be done with the PostgreSQL database of a stack?

Every session is opened for one piece of work and closed after it: an open one on the live database would stand in
the way of a swap. What concerns the server as a whole goes through the maintenance database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg

from ops.adapters.postgres import (
    advisory_lock,
    copies,
    dump,
    facts,
    fingerprint,
    foreign,
    integrity,
    load,
    scratch,
    side_schema,
    table_locks,
)
from ops.adapters.postgres import connect as sessions
from ops.adapters.postgres import decode as decoding
from ops.adapters.postgres import invalid_indexes as invalid
from ops.adapters.postgres import surroundings as around
from ops.adapters.postgres import swap as swapping
from ops.adapters.postgres.analyze import analyze
from ops.adapters.postgres.archive_contents import inspect_archive
from ops.adapters.postgres.load_progress import load_watched
from ops.adapters.postgres.load_stall import LoadWatch
from ops.adapters.postgres.loader_role import loader
from ops.adapters.postgres.silence import server_watched
from ops.errors import DatabaseRefused, LoadFailed, OpsError, RestoreRefused
from ops.model.database import DatabaseCopy, DatabaseFacts, Inspection, Role, ServerOffers, TableSummary
from ops.model.endpoint import PostgresEndpoint
from ops.ports import Clock, Dump, LoadSource, Reporter, ToolRunner

_OFFERS = """
SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000,
       (SELECT array_agg(name::text) FROM pg_available_extensions), rolsuper
FROM pg_roles WHERE rolname = current_user
"""


class PostgresDatabase:
    """The `Database` port on a PostgreSQL server.

    Args:
        endpoint: the live database, as Python reaches it. For as long as its server may answer nothing, nothing may
            move in a load.
        tools: the client programs next to the server.
        stack: the stack's name; part of the lock's key and of what copies say of themselves.
        clock: for waiting, and for measuring the gap of a swap.
        maintenance: the database for what concerns the whole server; `template1` where the live one is `postgres`.
        swap_deadline_s: how long a swap tries to end the sessions on the live database.
    """

    def __init__(
        self,
        endpoint: PostgresEndpoint,
        tools: ToolRunner,
        *,
        stack: str,
        clock: Clock,
        maintenance: str = "postgres",
        swap_deadline_s: float = swapping.ATTEMPT_S,
    ) -> None:
        self._endpoint = endpoint
        self._tools = tools
        self._stack = stack
        self._clock = clock
        self._maintenance = "template1" if endpoint.database == maintenance else maintenance
        self._swap_deadline_s = swap_deadline_s
        self._lock_session: psycopg.Connection | None = None
        self._lock_owner: int | None = None

    @property
    def live(self) -> str:
        """The live database's name."""
        return self._endpoint.database

    def exists(self, name: str | None = None) -> bool:
        """Whether the database is there. Raises: DatabaseRefused, EngineUnreachable."""
        with self._administering("looking for a database") as session:
            row = session.execute("SELECT FROM pg_database WHERE datname = %s", [name or self.live]).fetchone()
            return row is not None

    def facts(self, name: str | None = None) -> DatabaseFacts:
        """What surrounds the rows. Raises: DatabaseRefused, EngineUnreachable."""
        with self._reading(name, "reading the facts") as session:
            return facts.read_facts(session)

    def tables(self, name: str | None = None) -> tuple[TableSummary, ...]:
        """Counts and checksums of every ordinary table, in one snapshot, sorted by name.

        Raises: DatabaseRefused, EngineUnreachable, DeadlinePassed (somebody holds a table exclusively).
        """
        what = f"counting of {name or self.live}"
        with self._reading(name, "counting") as session, table_locks.named_when_held(session, what):
            return fingerprint.table_summaries(session)

    def revisions(self, name: str | None = None) -> tuple[str, ...]:
        """The rows of Alembic's version table; empty where there is no such table."""
        with self._reading(name, "reading the revision") as session:
            return facts.read_revisions(session)

    def version_tables(self) -> tuple[str, ...]:
        """The live database's tables of Alembic's own."""
        with self._reading(None, "reading the revision") as session:
            return tuple(".".join(place) for place in facts.version_tables(session))

    def offers(self) -> ServerOffers:
        """What the server and its tools can take."""
        with self._administering("asking the server what it offers") as session:
            row = session.execute(_OFFERS).fetchone()
        version, major, extensions, is_superuser = row or ("", 0, [], False)
        return ServerOffers(
            kind="postgresql",
            server_version=version.split()[0] if version else "",
            server_major=major,
            extensions=frozenset(extensions or ()),
            codecs=self._tools.codecs(),
            is_superuser=is_superuser,
        )

    def inspect(self, source: LoadSource, report: Reporter) -> Inspection:
        """Read a foreign file through to its end without loading anything. Raises: ArchiveCorrupt, RestoreRefused."""
        if source.format == "sqlite":
            raise RestoreRefused(
                f"{source.path.name} is a SQLite database, the live one is PostgreSQL",
                hint=f"inv transfer --source sqlite:///{source.path}",
            )
        if source.format == "plain":
            return foreign.inspect_plain(source, report, live=self.live)
        return inspect_archive(self._tools, source)

    def dump(
        self, write: Callable[[bytes], None], *, report: Reporter, lock_wait_s: float, idle_timeout_s: float
    ) -> Dump:
        """Stream an archive of the live database to `write`. Raises: DumpFailed, DatabaseRefused."""
        return dump.dump(
            self._endpoint, self._tools, write, report=report, lock_wait_s=lock_wait_s, idle_timeout_s=idle_timeout_s
        )

    def decode(self, archive: Path) -> None:
        """Read an archive through to its end with the server's own tools. Raises: ArchiveCorrupt."""
        decoding.decode(self._tools, archive)

    def restore_by_hand(self, archive_name: str) -> str:
        """The shell line that restores an archive of ours without us."""
        return decoding.restore_by_hand(archive_name, self.live)

    def create_copy(self, copy: DatabaseCopy, like: DatabaseFacts) -> None:
        """Make an empty database beside the live one, with encoding, locale and owner of `like`."""
        with self._administering(f"making the database {copy.name}", otherwise=RestoreRefused) as session:
            scratch.create_database(session, copy, like, self._stack)

    def ensure_roles(self, roles: Sequence[Role]) -> tuple[str, ...]:
        """Make the roles that the server lacks as NOLOGIN roles without rights; returns the names of those made."""
        with self._administering("making missing roles", otherwise=RestoreRefused) as session:
            return scratch.make_missing_roles(session, roles)

    def load(self, name: str, source: LoadSource, *, jobs: int, report: Reporter) -> None:
        """Load all of an archive into an empty copy, stopping at the first error.

        A foreign file is loaded as a role that owns only this copy. Raises: LoadFailed, RestoreRefused.
        """
        if name == self.live:
            raise RestoreRefused(f"{name} is the live database: archives are loaded beside it")
        if not source.is_foreign:
            self._load_as(None, name, source, jobs=jobs, report=report)
            return
        owner = self.facts(name).owner
        with (
            sessions.translated(f"making the role that loads {source.path.name}", otherwise=LoadFailed),
            loader(self._session, self._endpoint, name, owner) as limited,
        ):
            self._load_as(limited, name, source, jobs=jobs, report=report)

    def _load_as(
        self, limited: PostgresEndpoint | None, name: str, source: LoadSource, *, jobs: int, report: Reporter
    ) -> None:
        with (
            self._administering(f"watching {name}") as session,
            load_watched(session, name, source.loaded_bytes, report, idle_timeout_s=self._endpoint.silence_s) as watch,
        ):
            try:
                left_out = self._loaded_as(limited, name, source, jobs, watch)
            except OpsError as exc:
                if watch.is_stalled:  # whatever it was that broke then
                    raise watch.failure(source.path.name) from exc
                raise
        if left_out:
            report.note(f"not taken over from {source.path.name}: {', '.join(left_out)}")

    def _loaded_as(
        self, limited: PostgresEndpoint | None, name: str, source: LoadSource, jobs: int, watch: LoadWatch
    ) -> tuple[str, ...]:
        """Load; returns what was left out of SQL text."""
        if source.format == "plain":
            endpoint = limited or replace(self._endpoint, database=name)
            return load.load_plain(endpoint, source, self.offers().server_major, watch)
        load.load_archive(self._tools, name, source, jobs=jobs, watch=watch, loader=limited)
        return ()

    def carry_over(self, name: str, facts: DatabaseFacts) -> tuple[str, ...]:
        """Put database settings, grants and connection limit on a copy; returns what could not be (with why)."""
        with self._administering(f"carrying settings over to {name}", otherwise=RestoreRefused) as session:
            return around.carry_over(session, name, facts)

    def analyze(self, name: str) -> None:
        """Refresh the planner's statistics of a copy."""
        with sessions.translated(f"analysing {name}", otherwise=LoadFailed):
            analyze(lambda: self._session(name))

    def integrity_problems(self, name: str) -> tuple[str, ...]:
        """Sequences behind their columns, invalid indexes, unchecked constraints: one sentence each."""
        with self._reading(name, "checking") as session:
            return integrity.integrity_problems(session)

    def invalid_indexes(self) -> tuple[str, ...]:
        """The live database's indexes that a concurrent build left when it failed."""
        with self._reading(None, "looking for invalid indexes") as session:
            return invalid.invalid_indexes(session)

    def drop_invalid_index(self, name: str, *, lock_timeout_s: float) -> bool:
        """Drop one of `invalid_indexes` without blocking anybody. Raises: DeadlinePassed."""
        with sessions.translated(f"dropping the invalid index {name}"), self._session(self.live) as session:
            return invalid.drop_invalid_index(session, name, lock_timeout_s=lock_timeout_s)

    def swap(self, copy: str, kept: DatabaseCopy) -> float:
        """Make `copy` the live database and keep the old one as `kept`; returns the seconds without a live one.

        Raises: RestoreRefused (sessions that cannot be ended, a lost lock), EngineUnreachable.
        """
        if self._lock_session is not None and not advisory_lock.is_held_by(self._lock_session, self._key):
            raise RestoreRefused(
                "the lock on this database was lost meanwhile; nothing was changed",
                cause="the server ended our session: it was restarted, or an operator did",
                hint="the same command again",
            )
        with sessions.translated("swapping the databases", otherwise=RestoreRefused):
            return swapping.swap_databases(
                self._named_session,
                self.live,
                copy,
                kept,
                stack=self._stack,
                clock=self._clock,
                deadline_s=self._swap_deadline_s,
            )

    def schema_blockers(self, schema: str) -> tuple[str, ...]:
        """Why a new schema of that name cannot be made in the live database, one sentence each."""
        with self._reading(None, "looking for the schema") as session:
            return side_schema.blockers(session, schema)

    def copy_tables(self, copy: str, tables: Sequence[TableSummary], schema: str) -> None:
        """Put tables of a copy into a new schema of the live database, in one transaction; the copy is changed by it.

        Raises: LoadFailed, DataDiffers, DatabaseRefused - all of them with nothing done to the live database.
        """
        owner = self.facts().owner
        with sessions.translated(f"reading {copy}", otherwise=LoadFailed), self._session(copy) as source:
            expected = side_schema.move_aside(source, tables, schema)
            with server_watched(source, self._endpoint.silence_s) as keeps_on:
                before, after = (
                    side_schema.definition(self._tools, copy, schema, section, keeps_on=keeps_on)
                    for section in ("pre-data", "post-data")
                )
            with self._session(self.live) as live:
                side_schema.take_over(source, live, schema, owner=owner, before=before, after=after, expected=expected)

    def describe_copy(self, copy: DatabaseCopy) -> None:
        """Replace what the copy of that name says of itself."""
        with self._administering(f"describing {copy.name}", otherwise=RestoreRefused) as session:
            copies.set_description(session, copy, self._stack)

    def copies(self) -> tuple[DatabaseCopy, ...]:
        """The databases beside the live one that we made, oldest first."""
        with self._administering("listing copies") as session:
            ours, doubtful = copies.list_copies(session, self.live)
        return (*(copies.nameless_scratch(name, self.live) for name in doubtful if self._is_empty(name)), *ours)

    def drop_copy(self, name: str) -> None:
        """Remove a copy; refuses (Refused) the live database and whatever we did not make. Absent is fine."""
        ours = self.copies()
        with self._administering(f"dropping {name}", otherwise=RestoreRefused) as session:
            copies.drop(session, name, self.live, ours)

    def swap_blockers(self) -> tuple[str, ...]:
        """What would keep a swap from being safe: replication slots, subscriptions, prepared transactions."""
        with self._administering("looking for what blocks a swap") as session:
            return swapping.blockers(session, self.live)

    def free_space_bytes(self) -> int | None:
        """Room where the server keeps its data, as `df` there says; None where it cannot be told."""
        try:
            with self._administering("asking for the data directory") as session:
                row = session.execute("SHOW data_directory").fetchone()
        except DatabaseRefused:
            return None
        if row is None:
            return None
        said = bytearray()
        try:
            result = self._tools.run(["df", "-Pk", row[0]], on_stdout=said.extend)
        except (OpsError, OSError):
            return None
        return _available(said.decode(errors="replace")) if result.exit_code == 0 else None

    def reap(self) -> tuple[str, ...]:
        """What the tools find: programs whose owner is gone, archives that were placed for them."""
        return self._tools.reap()

    @contextmanager
    def exclusive(self, what: str, *, wait_s: float = 0.0) -> Iterator[None]:
        """The advisory lock of this stack and database across hosts; inside itself it does nothing more.

        Sessions of a killed run that still work on the server - one in the middle of CREATE DATABASE does not notice -
        are ended first.

        Raises: LockHeld, naming the holder.
        """
        if self._lock_owner == threading.get_ident():
            yield
            return
        with sessions.translated("taking the database's lock"):
            session = advisory_lock.take(self._named_session, self._key, what, clock=self._clock, wait_s=wait_s)
        self._lock_session, self._lock_owner = session, threading.get_ident()
        try:
            with sessions.translated("ending what a killed run left on the server"):
                advisory_lock.end_orphans(session, self._work_name)
            yield
        finally:
            self._lock_session = self._lock_owner = None
            advisory_lock.release(session)

    @property
    def _key(self) -> int:
        return advisory_lock.lock_key(self._stack, self.live)

    @property
    def _work_name(self) -> str:
        """What our working sessions are called, so that the next holder of the lock knows them."""
        return f"ops:work:{self._key & 0xFFFFFFFFFFFFFFFF:016x}"

    def _is_empty(self, name: str) -> bool:
        with sessions.translated(f"looking into {name}"), self._session(name) as session:
            return copies.is_empty(session)

    def _session(self, name: str | None) -> psycopg.Connection:
        return sessions.connect(self._endpoint, database=name or self._maintenance, application_name=self._work_name)

    def _named_session(self, application_name: str) -> psycopg.Connection:
        return sessions.connect(self._endpoint, database=self._maintenance, application_name=application_name)

    @contextmanager
    def _administering(self, what: str, otherwise: type[OpsError] | None = None) -> Iterator[psycopg.Connection]:
        with sessions.translated(what, otherwise=otherwise), self._session(None) as session:
            yield session

    @contextmanager
    def _reading(self, name: str | None, what: str) -> Iterator[psycopg.Connection]:
        """A session in one snapshot of a database."""
        database = name or self.live
        with sessions.translated(f"{what} of {database}"), self._session(database) as session:
            sessions.in_snapshot(session)
            yield session


def _available(df: str) -> int | None:
    """The available bytes in the output of `df -Pk` of one file system."""
    lines = df.strip().splitlines()
    fields = lines[-1].split() if len(lines) > 1 else []
    return int(fields[3]) * 1024 if len(fields) > 3 and fields[3].isdigit() else None
