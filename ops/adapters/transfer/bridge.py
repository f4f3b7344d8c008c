"""What can be done with a SQLite file and a PostgreSQL server together?"""

from __future__ import annotations

import contextlib
import os
import queue
import shlex
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import psycopg
from psycopg import sql

from ops.adapters.durable_files import flush_folder
from ops.adapters.postgres import connect as sessions
from ops.adapters.postgres.load_progress import IDLE_TIMEOUT_S, load_watched
from ops.adapters.sqlite import integrity
from ops.adapters.sqlite import sessions as files
from ops.adapters.transfer import examine, normal_form, set_aside, source, target, way_back
from ops.adapters.transfer import judge as judging
from ops.adapters.transfer import survey as surveying
from ops.adapters.transfer.damage_check import DamageCheck
from ops.adapters.transfer.load import load_table
from ops.adapters.transfer.scan import PART_ROWS
from ops.adapters.transfer.team import Counter, Team
from ops.errors import DatabaseRefused, LoadFailed, OpsError, Refused
from ops.model.endpoint import PostgresEndpoint
from ops.model.transfer.fault import Fix
from ops.model.transfer.lines import SESSION_SETTINGS
from ops.model.transfer.plan import Examination, LoadedTable, PartLines
from ops.model.transfer.rules import Rules
from ops.model.transfer.schema import Pair, SourceTable, Table
from ops.model.transfer.survey import Survey
from ops.ports import Reporter

WORKERS = 2
_HELPERS = max(0, min(2, (os.cpu_count() or WORKERS) // WORKERS - 1))
"""Of each session that builds an index, as many as there are cores for: most often the server's are ours."""


class SqlitePostgresBridge:
    """The `Bridge` port.

    Args:
        endpoint: the live PostgreSQL database; others beside it are named.
        work: a folder of ours; each run has a folder in it, named by its process.
        report: hears how far things are.
        part_rows: how many rows are examined by one thread or process at a time.
        load_idle_timeout_s: for how long a new database may stand still.
        is_binary: whether rows of binary COPY are made of the tables that take them, where the extra `transfer` is
            installed; else every table goes as lines.
    """

    def __init__(
        self, endpoint: PostgresEndpoint, work: Path, report: Reporter, *, part_rows: int = PART_ROWS,
        load_idle_timeout_s: float = IDLE_TIMEOUT_S, is_binary: bool = True,
    ) -> None:  # fmt: skip
        self._part_rows = part_rows
        self._is_binary = is_binary
        self._load_idle_timeout_s = load_idle_timeout_s
        self._endpoint = endpoint
        self._work = work
        self._report = report
        self._checks: dict[Path, DamageCheck] = {}

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
        for copy in [copy for copy in self._checks if copy.parent == folder]:
            self._checks.pop(copy).end()
        shutil.rmtree(folder, ignore_errors=True)

    def copy_source(self, file: Path, copy: Path) -> None:
        """Copy a SQLite file that may be in use, and begin to look whether the copy is sound.

        Raises: DatabaseRefused, ArchiveCorrupt (no database, or so damaged that it cannot be copied), DeadlinePassed.
        """
        with ThreadPoolExecutor(1) as pool:
            pool.submit(self._can_be_binary)  # large libraries, needed next
            source.copy_file(
                file, copy, lambda done, total: self._report.progress("copying the source", done, total, "pages")
            )
        self._checks[copy] = DamageCheck(file, copy)

    def refuse_damage(self, copy: Path) -> None:
        """Wait until it is known whether the copy is sound. Raises: ArchiveCorrupt."""
        if copy in self._checks:
            self._checks[copy].refuse()

    def source_revisions(self, copy: Path) -> tuple[str, ...]:
        """What the version table of a SQLite file holds."""
        with self._reading(copy) as session:
            return integrity.revisions(session)

    def source_tables(self, copy: Path, *, is_counted: bool = True) -> tuple[SourceTable, ...]:
        """The tables of a SQLite file."""
        with self._reading(copy) as session:
            return source.tables(session, is_counted=is_counted)

    def left_out(self, copy: Path) -> tuple[str, ...]:
        """What of a SQLite file is no data: one sentence each."""
        with self._reading(copy) as session:
            return source.left_out(session)

    def stamp(self, copy: Path, model: Path) -> None:
        """Give our copy the version table of a file that Alembic made."""
        self.refuse_damage(copy)
        with source.opened(copy) as session, source.opened(model) as other:
            source.stamp(session, other)

    def simplify(self, copy: Path) -> None:
        """Take what would be in the way of changes out of our copy: triggers, views."""
        with self._reading(copy) as session:
            if source.is_simple(session):
                return
        self.refuse_damage(copy)
        with source.opened(copy) as session:
            source.make_simple(session)

    def target_tables(self, database: str) -> tuple[Table, ...]:
        """The tables of a PostgreSQL database."""
        with self._on(database, "reading the target's tables") as session:
            return target.read_tables(session)

    def apply_rules(self, copy: Path, pairs: Sequence[Pair], rules: Rules) -> tuple[Fix, ...]:
        """Apply a person's rules to our copy."""
        if not rules.by_column:
            return ()
        self.refuse_damage(copy)
        with source.opened(copy) as session, set_aside.listing(copy) as listed:
            return normal_form.apply_rules(session, pairs, rules, listed)

    def examine(self, copy: Path, pairs: Sequence[Pair], fixes: Sequence[Fix], *, is_kept: bool) -> Examination:
        """Look at every value of our copy.

        Raises: ArchiveCorrupt (it is damaged), ArchiveUnwritable (no room for the rows), LoadFailed.
        """
        counter = Counter(self._report, "examining", sum(pair.source.rows for pair in pairs))
        with self._damage_told_first(copy):
            return examine.examine(
                copy,
                pairs,
                on_rows=counter.add,
                fixes=fixes,
                folder=copy.parent if is_kept else None,
                part_rows=self._part_rows,
                is_binary=self._can_be_binary(),
                refuse_damage=lambda: self.refuse_damage(copy),
            )

    def judge(self, copy: Path, database: str, pairs: Sequence[Pair], found: Examination) -> Examination:
        """Add what the server of the target says about the rows. Raises: LoadFailed, DeadlinePassed."""
        if not any(pair.table.judgements and pair.source.rows for pair in pairs):
            return found
        with self._on(database, "judging rows", otherwise=LoadFailed) as session:
            said = judging.judge(copy, session, pairs, found.counts)
        return replace(
            found,
            faults=(*found.faults, *said.faults),
            counts=(*found.counts, *said.counts),
            warnings=(*found.warnings, *said.warnings),
        )

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
        counter = Counter(self._report, "loading", sum(pair.source.rows for pair in pairs))
        waiting: queue.SimpleQueue[Pair] = queue.SimpleQueue()
        for pair in sorted(pairs, key=lambda pair: -pair.source.rows):
            waiting.put(pair)
        with self._watched(database) as team:

            def sent(rows: int) -> None:
                team.moved()
                counter.add(rows)

            def work() -> list[LoadedTable]:
                done = []
                while not team.is_ended:
                    try:
                        pair = waiting.get_nowait()
                    except queue.Empty:
                        break
                    with sessions.translated(f"loading {pair.table.shown}", otherwise=LoadFailed):
                        done.append(load_table(copy, connect, pair, lines[pair.source.name], sent))
                return done

            def connect() -> contextlib.AbstractContextManager[psycopg.Connection]:
                return team.joined(self._on(database, "loading"))

            return tuple(sorted(team.work([work] * WORKERS), key=lambda table: table.name))

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
        with self._watched(database) as team:
            for statements, workers in ((first, WORKERS), (unchecked, 1), (checks, WORKERS)):
                waiting: queue.SimpleQueue[sql.Composed] = queue.SimpleQueue()
                for statement in statements:
                    waiting.put(statement)

                def work(waiting: queue.SimpleQueue[sql.Composed] = waiting) -> list[None]:
                    with team.joined(self._on(database, "making keys", otherwise=LoadFailed)) as session:
                        # Two new indexes that lie in memory are compared in half the time of a hash table.
                        session.execute(f"SET enable_hashjoin = off; SET max_parallel_maintenance_workers = {_HELPERS}")
                        while not team.is_ended:
                            try:
                                session.execute(waiting.get_nowait())
                            except queue.Empty:
                                break
                    return []

                team.work([work] * workers)
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
        counter = Counter(self._report, "writing", None)
        with self._on(database, "reading") as session, files.translated(f"writing {file.name}"):
            return way_back.fill(session, file, pairs, counter.add, self._part_rows, is_binary=self._can_be_binary())

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

    def _can_be_binary(self) -> bool:
        """Whether rows of binary COPY are wanted and can be made; without the extra `transfer` they cannot."""
        if self._is_binary:
            try:
                import_module("ops.adapters.transfer.binary_rows")
            except ModuleNotFoundError:
                self._is_binary = False
            except ImportError as exc:
                self._is_binary = False
                self._report.warn(f"the libraries of the extra `transfer` cannot be loaded, so it takes longer: {exc}")
        return self._is_binary

    @contextlib.contextmanager
    def _reading(self, copy: Path) -> Iterator[sqlite3.Connection]:
        with self._damage_told_first(copy), source.opened(copy) as session:
            source.keep_few_pages(session)
            yield session

    def _damage_told_first(self, copy: Path) -> contextlib.AbstractContextManager[None]:
        check = self._checks.get(copy)
        return check.told_first() if check else contextlib.nullcontext()

    @contextlib.contextmanager
    def _watched(self, database: str) -> Iterator[Team]:
        """Workers on a new database, ended where it stands still. Raises: LoadFailed."""
        watching = f"watching {database}"
        with (
            sessions.translated(watching),
            sessions.connect(self._endpoint, database="postgres", application_name="ops:transfer") as session,
            load_watched(session, database, 0, None, idle_timeout_s=self._load_idle_timeout_s) as watch,
        ):
            team = Team(watch.moved)
            try:
                with watch.at_work(team.end):
                    yield team
            except OpsError as exc:
                if watch.is_stalled:  # whatever it was that broke then
                    raise watch.failure(database) from exc
                raise

    @contextlib.contextmanager
    def _on(self, database: str, what: str, otherwise: type[LoadFailed] | None = None) -> Iterator[psycopg.Connection]:
        with (
            sessions.translated(f"{what} of {database}", otherwise=otherwise),
            sessions.connect(
                self._endpoint, database=database, application_name="ops:transfer", settings=SESSION_SETTINGS
            ) as session,
        ):
            yield session


def _is_running(name: str) -> bool:
    try:
        os.kill(int(name), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
