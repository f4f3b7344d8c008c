"""What can be done with a SQLite file and a PostgreSQL server together?"""

from __future__ import annotations

import contextlib
import os
import queue
import shlex
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

import psycopg
from psycopg import sql

from ops.adapters.durable_files import flush_folder
from ops.adapters.postgres import connect as sessions
from ops.adapters.sqlite import integrity
from ops.adapters.sqlite import sessions as files
from ops.adapters.transfer import examine, normal_form, set_aside, source, target, way_back
from ops.adapters.transfer import survey as surveying
from ops.adapters.transfer.load import load_table
from ops.adapters.transfer.scan import PART_ROWS
from ops.errors import DatabaseRefused, LoadFailed, Refused
from ops.model.endpoint import PostgresEndpoint
from ops.model.transfer.fault import Fix
from ops.model.transfer.lines import SESSION_SETTINGS
from ops.model.transfer.plan import Examination, LoadedTable, PartLines
from ops.model.transfer.rules import Rules
from ops.model.transfer.schema import Pair, SourceTable, Table
from ops.model.transfer.survey import Survey
from ops.ports import Reporter

WORKERS = 2
T = TypeVar("T")


class SqlitePostgresBridge:
    """The `Bridge` port.

    Args:
        endpoint: the live PostgreSQL database; others beside it are named.
        work: a folder of ours; each run has a folder in it, named by its process.
        report: hears how far things are.
        part_rows: how many rows are examined by one process at a time.
    """

    def __init__(self, endpoint: PostgresEndpoint, work: Path, report: Reporter, *, part_rows: int = PART_ROWS) -> None:
        self._part_rows = part_rows
        self._endpoint = endpoint
        self._work = work
        self._report = report

    def new_folder(self) -> Path:
        """A private folder for this run; those of runs that were killed are removed."""
        self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in self._work.iterdir():
            if not _is_running(folder.name):
                shutil.rmtree(folder, ignore_errors=True)
        mine = self._work / str(os.getpid())
        shutil.rmtree(mine, ignore_errors=True)
        try:
            mine.mkdir(mode=0o700)
        except OSError as exc:
            raise DatabaseRefused(f"{mine} cannot be made", cause=exc.strerror) from exc
        return mine

    def remove_folder(self, folder: Path) -> None:
        """Remove a run's folder with the copy of the source in it."""
        shutil.rmtree(folder, ignore_errors=True)

    def copy_source(self, file: Path, copy: Path) -> None:
        """Copy a SQLite file that may be in use. Raises: DatabaseRefused, ArchiveCorrupt, DeadlinePassed."""
        source.copy_file(
            file, copy, lambda done, total: self._report.progress("copying the source", done, total, "pages")
        )

    def source_revisions(self, copy: Path) -> tuple[str, ...]:
        """What the version table of a SQLite file holds."""
        with source.opened(copy) as session:
            return integrity.revisions(session)

    def source_tables(self, copy: Path, *, is_counted: bool = True) -> tuple[SourceTable, ...]:
        """The tables of a SQLite file."""
        with source.opened(copy) as session:
            return source.tables(session, is_counted=is_counted)

    def left_out(self, copy: Path) -> tuple[str, ...]:
        """What of a SQLite file is no data: one sentence each."""
        with source.opened(copy) as session:
            return source.left_out(session)

    def stamp(self, copy: Path, model: Path) -> None:
        """Give our copy the version table of a file that Alembic made."""
        with source.opened(copy) as session, source.opened(model) as other:
            source.stamp(session, other)

    def simplify(self, copy: Path) -> None:
        """Take what would be in the way of changes out of our copy: triggers, views."""
        with source.opened(copy) as session:
            source.make_simple(session)

    def target_tables(self, database: str) -> tuple[Table, ...]:
        """The tables of a PostgreSQL database."""
        with self._on(database, "reading the target's tables") as session:
            return target.read_tables(session)

    def apply_rules(self, copy: Path, pairs: Sequence[Pair], rules: Rules) -> tuple[Fix, ...]:
        """Apply a person's rules to our copy."""
        with source.opened(copy) as session, set_aside.listing(copy) as listed:
            return normal_form.apply_rules(session, pairs, rules, listed)

    def examine(self, copy: Path, pairs: Sequence[Pair], fixes: Sequence[Fix], *, is_kept: bool) -> Examination:
        """Look at every value of our copy. Raises: ArchiveUnwritable (no room for the lines), LoadFailed."""
        counter = _Counter(self._report, "examining", sum(pair.source.rows for pair in pairs))
        folder = copy.parent if is_kept else None
        return examine.examine(copy, pairs, on_rows=counter.add, fixes=fixes, folder=folder, part_rows=self._part_rows)

    def survey(self, copy: Path, pairs: Sequence[Pair]) -> Survey:
        """What deserves a person's eye."""
        return surveying.survey(copy, pairs)

    def keep_list(self, copy: Path, place: Path) -> None:
        """Keep the list of what the rules set aside under a name of its own, on disk when this returns."""
        set_aside.keep(copy, place)

    def load(
        self, copy: Path, database: str, pairs: Sequence[Pair], lines: Mapping[str, tuple[PartLines, ...]]
    ) -> tuple[LoadedTable, ...]:
        """Load all tables, two at a time, largest first, without their keys, and compare each.

        Raises: LoadFailed, DataDiffers, EngineUnreachable.
        """
        counter = _Counter(self._report, "loading", sum(pair.source.rows for pair in pairs))
        waiting: queue.SimpleQueue[Pair] = queue.SimpleQueue()
        for pair in sorted(pairs, key=lambda pair: -pair.source.rows):
            waiting.put(pair)
        failed = threading.Event()

        def connect() -> contextlib.AbstractContextManager[psycopg.Connection]:
            return self._on(database, "loading")

        def sent(rows: int) -> None:
            if failed.is_set():
                raise LoadFailed("the load of another table failed")  # the other one's failure is raised
            counter.add(rows)

        def work() -> list[LoadedTable]:
            done = []
            while not failed.is_set():
                try:
                    pair = waiting.get_nowait()
                except queue.Empty:
                    break
                with sessions.translated(f"loading {pair.table.shown}", otherwise=LoadFailed):
                    done.append(load_table(copy, connect, pair, lines[pair.source.name], sent))
            return done

        return tuple(sorted(_together([work] * WORKERS, failed), key=lambda table: table.name))

    def drop_keys(self, database: str, pairs: Sequence[Pair]) -> object:
        """Drop keys and indexes of the tables; returns what `make_keys` needs."""
        with self._on(database, "dropping keys", otherwise=LoadFailed) as session:
            keys = target.read_keys(session, [pair.table for pair in pairs])
            target.drop_keys(session, keys)
            return keys

    def make_keys(self, database: str, pairs: Sequence[Pair], keys: object) -> None:
        """Make them again, two at a time, foreign keys last. Raises: LoadFailed, DataDiffers."""
        if not isinstance(keys, target.Keys):
            raise TypeError(f"these are not the keys that drop_keys gave: {keys!r}")
        first, unchecked, checks = target.statements_for(keys)
        failed = threading.Event()
        for statements, workers in ((first, WORKERS), (unchecked, 1), (checks, WORKERS)):
            waiting: queue.SimpleQueue[sql.Composed] = queue.SimpleQueue()
            for statement in statements:
                waiting.put(statement)

            def work(waiting: queue.SimpleQueue[sql.Composed] = waiting) -> list[None]:
                with self._on(database, "making keys", otherwise=LoadFailed) as session:
                    while not failed.is_set():
                        try:
                            session.execute(waiting.get_nowait())
                        except queue.Empty:
                            break
                return []

            _together([work] * workers, failed)
        with self._on(database, "comparing keys") as session:
            target.refuse_other_keys(session, [pair.table for pair in pairs], keys)

    def set_sequences(self, copy: Path, database: str, pairs: Sequence[Pair]) -> Mapping[str, int]:
        """Put every sequence behind what was used; gives what each gives next."""
        with source.opened(copy) as reading:
            there = reading.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone()
            given = dict(reading.execute("SELECT name, seq FROM sqlite_sequence").fetchall()) if there else {}
        known = {pair.table.full_name: int(given[pair.source.name]) for pair in pairs if given.get(pair.source.name)}
        with self._on(database, "setting sequences", otherwise=LoadFailed) as session:
            return target.set_sequences(session, known)

    def row_counts(self, database: str, pairs: Sequence[Pair]) -> Mapping[str, int]:
        """How many rows each table of PostgreSQL has, by `schema.table`."""
        with self._on(database, "counting") as session:
            return way_back.row_counts(session, pairs)

    def total_rows(self, database: str) -> int:
        """How many rows all tables of a PostgreSQL database have."""
        with self._on(database, "counting") as session:
            return target.total_rows(session)

    def fill(self, file: Path, database: str, pairs: Sequence[Pair]) -> tuple[LoadedTable, ...]:
        """Fill a SQLite file from one snapshot of a database, and compare. Raises: BadSourceData, DataDiffers."""
        counter = _Counter(self._report, "writing", None)
        with self._on(database, "reading") as session, files.translated(f"writing {file.name}"):
            return way_back.fill(session, file, pairs, counter.add)

    def refuse_place(self, file: Path) -> None:
        """Raise where no SQLite file can be made. Raises: DatabaseRefused."""
        if not file.parent.is_dir():
            raise DatabaseRefused(f"there is no folder {file.parent}", hint=f"mkdir -p {shlex.quote(str(file.parent))}")
        if file.exists() and not file.is_file():
            raise DatabaseRefused(f"{file} is no file", hint="choose another name")
        if not os.access(file.parent, os.W_OK | os.X_OK):
            raise DatabaseRefused(f"nothing can be made in {file.parent}", hint=f"ls -ld {file.parent}")

    def publish(self, partial: Path, file: Path) -> None:
        """Give a finished file its name, on disk when this returns. Raises: Refused (the name is taken)."""
        with files.translated(f"finishing {file.name}"):
            way_back.settle(partial)
        with partial.open("rb") as done:
            os.fsync(done.fileno())
        try:
            os.link(partial, file)  # unlike a rename, this never replaces a file
        except FileExistsError as exc:
            raise Refused(f"{file} is there already", hint="choose another name") from exc
        flush_folder(file.parent)

    def remove_file(self, file: Path) -> None:
        """Remove a SQLite file with what SQLite keeps beside it; absent is fine."""
        for end in ("", "-wal", "-shm", "-journal"):
            file.with_name(file.name + end).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _on(self, database: str, what: str, otherwise: type[LoadFailed] | None = None) -> Iterator[psycopg.Connection]:
        with (
            sessions.translated(f"{what} of {database}", otherwise=otherwise),
            sessions.connect(
                self._endpoint, database=database, application_name="ops:transfer", settings=SESSION_SETTINGS
            ) as session,
        ):
            yield session


class _Counter:
    """Adds up what several threads did and reports it."""

    def __init__(self, report: Reporter, step: str, total: int | None) -> None:
        self._report, self._step, self._total = report, step, total
        self._done = 0
        self._lock = threading.Lock()

    def add(self, rows: int) -> None:
        """So many rows more."""
        with self._lock:
            self._done += rows
            self._report.progress(self._step, self._done, self._total, "rows")


def _together(works: Sequence[Callable[[], list[T]]], failed: threading.Event) -> list[T]:
    """Run all; the first failure, in time, stops the others and is raised."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], list[T]]) -> list[T]:
        try:
            return work()
        except BaseException as exc:
            failures.append(exc)
            failed.set()
            raise

    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(guarded, work) for work in works]
        try:
            wait(futures)
        except BaseException:
            failed.set()
            raise
    if failures:
        raise failures[0]
    return [item for future in futures for item in future.result()]


def _is_running(name: str) -> bool:
    try:
        os.kill(int(name), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
