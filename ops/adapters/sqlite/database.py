"""What can be done with the SQLite database of a stack?

The `Database` port on a file. Copies are files beside it; roles, grants and extensions there are none.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ops.adapters.file_lock import StackLock
from ops.adapters.sqlite import archive as archiving
from ops.adapters.sqlite import copies as beside
from ops.adapters.sqlite import integrity
from ops.adapters.sqlite import swap as swapping
from ops.adapters.sqlite.fingerprint import table_summaries
from ops.adapters.sqlite.sessions import damage, opened, translated
from ops.errors import ArchiveCorrupt, DatabaseRefused, DumpFailed, LoadFailed, RestoreRefused
from ops.model.database import DatabaseCopy, DatabaseFacts, Inspection, Role, ServerOffers, TableSummary
from ops.model.endpoint import SqliteEndpoint
from ops.ports import Clock, Dump, LoadSource, Reporter

SWAP_WAIT_S = 10.0
_MAJOR = 3


class SqliteDatabase:
    """The `Database` port on a SQLite file.

    Args:
        endpoint: the live file.
        clock: for waiting, and for measuring the gap of a swap.
        by: who we are, for whoever finds the lock held.
        swap_wait_s: how long a swap waits for a lock that the application holds.
    """

    def __init__(
        self, endpoint: SqliteEndpoint, *, clock: Clock, by: str = "ops", swap_wait_s: float = SWAP_WAIT_S
    ) -> None:
        self._path = endpoint.path
        self._clock = clock
        self._swap_wait_s = swap_wait_s
        self._lock = StackLock(self._path.with_name(f".{self._path.name}.lock"), by, clock)

    @property
    def live(self) -> str:
        """The live file's name."""
        return self._path.name

    def exists(self, name: str | None = None) -> bool:
        """Whether the file is there."""
        return self._place(name).is_file()

    def facts(self, name: str | None = None) -> DatabaseFacts:
        """What surrounds the rows. Raises: DatabaseRefused."""
        with self._reading(name, "reading the facts") as session:
            pages, page_size, encoding = (
                session.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in ("page_count", "page_size", "encoding")
            )
        place = self._place(name)
        return DatabaseFacts(
            kind="sqlite",
            name=place.name,
            server_version=sqlite3.sqlite_version,
            server_major=_MAJOR,
            system_identifier=str(place),
            size_bytes=pages * page_size,
            encoding=encoding,
        )

    def tables(self, name: str | None = None) -> tuple[TableSummary, ...]:
        """Counts and checksums of every table, in one snapshot, sorted by name."""
        with self._reading(name, "counting") as session:
            return table_summaries(session)

    def revisions(self, name: str | None = None) -> tuple[str, ...]:
        """The rows of Alembic's version table; empty where there is no such table."""
        with self._reading(name, "reading the revision") as session:
            return integrity.revisions(session)

    def version_tables(self) -> tuple[str, ...]:
        """The live file's table of Alembic's own."""
        with self._reading(None, "reading the revision") as session:
            return integrity.version_tables(session)

    def offers(self) -> ServerOffers:
        """What this SQLite can take."""
        return ServerOffers("sqlite", sqlite3.sqlite_version, _MAJOR, codecs=frozenset({"none", "gzip", "zstd"}))

    def inspect(self, source: LoadSource, report: Reporter) -> Inspection:
        """Read a foreign file through to its end without loading anything. Raises: ArchiveCorrupt."""
        if source.format != "sqlite":
            return Inspection(0, refusals=(f"{source.path.name} is a PostgreSQL dump, the live database is SQLite",))
        with translated(f"reading {source.path.name}"), archiving.passing_folder(self._path) as folder:
            file = folder / "inspected"
            self._fill(file, source, report)
            return Inspection(file.stat().st_size)

    def dump(
        self,
        write: Callable[[bytes], None],
        *,
        report: Reporter,
        lock_wait_s: float,
        idle_timeout_s: float,  # noqa: ARG002 - the port's
    ) -> Dump:
        """Stream an archive of the live file to `write`: a copy by the online backup API, checked, compressed.

        Raises: DumpFailed (damaged, or locked for too long), DatabaseRefused. `idle_timeout_s` bounds nothing here:
        there is no program that could stall.
        """
        began = time.monotonic()
        facts = self.facts()
        with translated(f"dumping {self.live}", otherwise=DumpFailed), archiving.passing_folder(self._path) as folder:
            copy = folder / "copy"
            try:
                with opened(self._existing()) as live:
                    archiving.snapshot(live, copy, report, wait_s=lock_wait_s)
            except sqlite3.OperationalError as exc:
                raise self._locked(exc, lock_wait_s) from exc
            with opened(copy) as session:
                if found := damage(session):
                    raise DumpFailed(
                        f"{self.live} is damaged", cause="; ".join(found), hint="inv restore --latest --dry-run"
                    )
                copied = time.monotonic()
                tables, revisions = table_summaries(session), integrity.revisions(session)
                fingerprint_s = time.monotonic() - copied
            archiving.compress(copy, write, report)
        return Dump(
            facts=facts,
            tables=tables,
            revisions=revisions,
            tool_version=sqlite3.sqlite_version,
            format="sqlite",
            codec="zstd",
            dump_s=time.monotonic() - began - fingerprint_s,
            fingerprint_s=fingerprint_s,
        )

    def decode(self, archive: Path) -> None:
        """Decompress an archive to its end and let SQLite check what comes out. Raises: ArchiveCorrupt."""
        with (
            translated(f"decoding {archive.name}", otherwise=ArchiveCorrupt),
            archiving.passing_folder(self._path) as folder,
        ):
            archiving.unpack(archive, folder / "decoded", archiving.compression_around(archive))

    def restore_by_hand(self, archive_name: str) -> str:
        """The shell line that makes a database file of an archive of ours without us."""
        return archiving.restore_by_hand(archive_name, self.live)

    def create_copy(self, copy: DatabaseCopy, like: DatabaseFacts) -> None:  # noqa: ARG002 - the port's
        """Make an empty file beside the live one. `like` says nothing that a SQLite file needs."""
        place = beside.path_of(self._path, copy.name)
        if place.exists():
            raise RestoreRefused(f"{place} is there already", hint="inv check")
        beside.describe(self._path, copy)
        place.touch(mode=0o600, exist_ok=False)

    def ensure_roles(self, roles: Sequence[Role]) -> tuple[str, ...]:  # noqa: ARG002 - the port's
        """SQLite has no roles."""
        return ()

    def load(self, name: str, source: LoadSource, *, jobs: int, report: Reporter) -> None:  # noqa: ARG002 - the port's
        """Make a copy's contents those of an archive or of a SQLite file. Raises: LoadFailed, RestoreRefused."""
        if source.format != "sqlite":
            raise RestoreRefused(f"{source.path.name} is no SQLite database, and {self.live} is one")
        place = beside.path_of(self._path, name)
        partial = place.with_name(place.name + ".partial")
        partial.unlink(missing_ok=True)
        try:
            with translated(f"loading {source.path.name}", otherwise=LoadFailed):
                self._fill(partial, source, report)
        except ArchiveCorrupt as exc:
            partial.unlink(missing_ok=True)
            raise LoadFailed(exc.message, cause=exc.cause, hint=exc.hint) from exc
        partial.chmod(0o600)
        partial.rename(place)

    def carry_over(self, name: str, facts: DatabaseFacts) -> tuple[str, ...]:  # noqa: ARG002 - the port's
        """SQLite keeps nothing beside the file."""
        return ()

    def analyze(self, name: str) -> None:
        """Refresh the planner's statistics where the file has some."""
        with translated(f"analysing {name}", otherwise=LoadFailed), opened(self._existing(name)) as session:
            if session.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone():
                session.execute("ANALYZE")

    def integrity_problems(self, name: str) -> tuple[str, ...]:
        """Damage, orphans, sequences behind their tables: one sentence each."""
        with self._reading(name, "checking") as session:
            return integrity.problems(session)

    def invalid_indexes(self) -> tuple[str, ...]:
        """None: SQLite builds an index whole or not at all."""
        return ()

    def drop_invalid_index(self, name: str, *, lock_timeout_s: float) -> bool:
        """There is none."""
        del name, lock_timeout_s
        return False

    def swap(self, copy: str, kept: DatabaseCopy) -> float:
        """Make `copy` the live file's contents and keep the old ones; returns the seconds it was locked for.

        Raises: RestoreRefused; the live file is as it was.
        """
        return swapping.swap(self._path, copy, kept, clock=self._clock, wait_s=self._swap_wait_s)

    def schema_blockers(self, schema: str) -> tuple[str, ...]:
        """A SQLite file has no schemas beside its own."""
        return (f"SQLite has no schemas, so there is none to call {schema}: inv restore --as NAME, for a look",)

    def copy_tables(self, copy: str, tables: Sequence[TableSummary], schema: str) -> None:  # noqa: ARG002 - the port's
        """A SQLite file has no schemas beside its own. Raises: RestoreRefused."""
        raise RestoreRefused(f"{self.live} is a SQLite file and has no schemas", hint="inv restore --latest --as look")

    def describe_copy(self, copy: DatabaseCopy) -> None:
        """Replace what the copy of that name says of itself."""
        beside.describe(self._path, copy)

    def copies(self) -> tuple[DatabaseCopy, ...]:
        """The files beside the live one that we made, oldest first."""
        with translated("listing copies"):
            return beside.list_copies(self._path)

    def drop_copy(self, name: str) -> None:
        """Remove a copy; refuses (Refused) the live file and whatever we did not make. Absent is fine."""
        beside.drop(self._path, name)

    def swap_blockers(self) -> tuple[str, ...]:
        """Nothing blocks a swap of a file; a lock that the application holds is waited for."""
        return ()

    def free_space_bytes(self) -> int | None:
        """Room in the live file's folder."""
        room = os.statvfs(self._path.parent)
        return room.f_bavail * room.f_frsize

    def reap(self) -> tuple[str, ...]:
        """Nothing: no program works beside a file."""
        return ()

    @contextmanager
    def exclusive(self, what: str, *, wait_s: float = 0.0) -> Iterator[None]:
        """A lock beside the file, which ends with its holder. Raises: LockHeld."""
        with self._lock.acquire(what, wait_s=wait_s):
            yield

    def _place(self, name: str | None) -> Path:
        return self._path if name is None or name == self.live else beside.path_of(self._path, name)

    def _existing(self, name: str | None = None) -> Path:
        place = self._place(name)
        if not place.is_file():
            raise DatabaseRefused(f"there is no SQLite file {place}", hint="inv migrate")
        return place

    @contextmanager
    def _reading(self, name: str | None, what: str) -> Iterator[sqlite3.Connection]:
        with translated(f"{what} of {name or self.live}"), opened(self._existing(name)) as session:
            yield session

    def _fill(self, file: Path, source: LoadSource, report: Reporter) -> None:
        if source.stream is not None:
            archiving.unpack_stream(source.stream(), source.path, file, source.compression)
        elif source.compression == "none":
            archiving.copy_file(source.path, file, report)
        else:
            archiving.unpack(source.path, file, source.compression)

    def _locked(self, error: sqlite3.OperationalError, waited_s: float) -> Exception:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            return DumpFailed(
                f"{self.live} was kept locked for {waited_s:g} s", cause=str(error), hint=f"fuser -v {self._path}"
            )
        return error
