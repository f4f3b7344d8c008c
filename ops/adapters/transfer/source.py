"""What is in a SQLite file, and how do we get a copy of it that is ours to change?"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ops.adapters.sqlite import integrity, sessions
from ops.adapters.transfer import collations
from ops.adapters.transfer.text_functions import text_functions
from ops.errors import ArchiveCorrupt, DatabaseRefused
from ops.model.transfer import floats
from ops.model.transfer.lines import quoted
from ops.model.transfer.schema import SourceTable

WAIT_S = 60.0
_MAGIC = b"SQLite format 3\0"
_TABLES = (
    "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)
_GENERATED = (2, 3)
_ROW_IDS = ("_rowid_", "rowid", "oid")
_OWN_ROW_ID = "ops: row id"
_REBUILT = '"ops: rebuilt"'


def copy_file(source: Path, target: Path, on_progress: Callable[[int, int], None], *, wait_s: float = WAIT_S) -> None:
    """Copy a file that may be in use; whether the copy is sound `refuse_damage` says. Nothing is made at `source`.

    Raises: DatabaseRefused (no such file, no right), ArchiveCorrupt (no SQLite file, damaged), DeadlinePassed,
        ArchiveUnwritable.
    """
    if not source.is_file():
        raise DatabaseRefused(
            f"there is no file {source}", cause="a source is never created", hint=f"ls {source.parent}"
        )
    try:
        with source.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as exc:
        raise DatabaseRefused(f"{source} cannot be read", cause=exc.strerror) from exc
    if head != _MAGIC:
        raise ArchiveCorrupt(f"{source} is not a SQLite database", cause="it does not begin as one")
    with sessions.translated(f"copying {source.name}", otherwise=ArchiveCorrupt):
        with _readable(source, target, wait_s) as reading, sessions.opened(target, is_new=True) as writing:
            target.chmod(0o600)
            writing.execute("PRAGMA synchronous = OFF")
            sessions.copy_into(reading, writing, wait_s=wait_s, on_progress=on_progress)
            writing.execute("PRAGMA journal_mode = MEMORY")
        collations.forget_unknown(target)


def refuse_damage(source: Path, copy: Path) -> None:
    """Raise where our copy of the source does not hold together. Raises: ArchiveCorrupt."""
    with sessions.translated(f"checking {source.name}", otherwise=ArchiveCorrupt), sessions.opened(copy) as session:
        # A row against a CHECK is no damage: the target looks at it.
        session.execute("PRAGMA ignore_check_constraints = ON")
        found = _damage(session)
        if found:
            raise ArchiveCorrupt(f"{source} is damaged; nothing was written", cause="; ".join(found))


def _damage(session: sqlite3.Connection) -> tuple[str, ...]:
    """What does not hold together in our copy: every page and record, and how many entries each index has.

    Rows are read by their ids alone, never through an index, so it need not be compared value by value, which takes
    four times as long as all of this. Where one has another number of entries, everything is looked at.
    """
    found = tuple(str(row[0]) for row in session.execute("PRAGMA quick_check") if row[0] != "ok")
    if found:
        return found
    whole = "SELECT t.name, i.name FROM pragma_table_list t, pragma_index_list(t.name) i WHERE t.type = 'table'"
    for table, index in session.execute(f"{whole} AND t.schema = 'main' AND NOT t.wr AND NOT i.partial").fetchall():
        counted = (f"SELECT count(*) FROM {quoted(table)} {by} WHERE 1" for by in _ways(index))  # noqa: S608 - quoted
        rows, entries = (session.execute(query).fetchone()[0] for query in counted)
        if rows != entries:
            return sessions.damage(session)
    return ()


def _ways(index: str) -> tuple[str, str]:
    return "NOT INDEXED", f"INDEXED BY {quoted(index)}"


@contextmanager
def _readable(source: Path, target: Path, wait_s: float) -> Iterator[sqlite3.Connection]:
    """The source read-only, else a plain copy of it beside the target.

    SQLite cannot read a file without writing where a killed writer left half a transaction, or where a WAL file lies in
    a folder that nothing may be made in. Nobody is writing then; whether that stayed so is looked at afterwards.
    """
    try:
        with sessions.opened(source, is_read_only=True, busy_s=wait_s) as session:
            session.execute("SELECT count(*) FROM sqlite_master").fetchone()
            yield session
            return
    except sqlite3.OperationalError as exc:
        if target.exists() or exc.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
            raise
    raw = target.with_name(f"{target.name}.raw")
    before = _states(source)
    for ending in before:
        shutil.copyfile(source.with_name(source.name + ending), raw.with_name(raw.name + ending))
    if _states(source) != before:
        raise DatabaseRefused(f"{source} was changed while it was copied", hint="the same command again")
    with sessions.opened(raw) as session:
        session.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield session
    for ending in ("", "-journal", "-wal", "-shm"):
        raw.with_name(raw.name + ending).unlink(missing_ok=True)


def _states(source: Path) -> dict[str, tuple[int, int]]:
    """Size and time of the last change of the file and of what SQLite keeps beside it."""
    found = {}
    for ending in ("", "-journal", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            state = source.with_name(source.name + ending).stat()
            found[ending] = (state.st_size, state.st_mtime_ns)
    return found


@contextmanager
def opened(path: Path, *, is_read_only: bool = False) -> Iterator[sqlite3.Connection]:
    """A session with our copy, with the functions of `texts` as SQL functions."""
    with sessions.opened(path, is_read_only=is_read_only) as session:
        set_up(session)
        yield session


def connect(path: Path, *, is_brief: bool = False) -> sqlite3.Connection:
    """A read-only session that another thread may use; the caller closes it. `is_brief`: it keeps few pages."""
    uri = f"file:{quote(str(path))}?mode=ro"
    session = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    set_up(session)
    if is_brief:
        keep_few_pages(session)
    return session


def keep_few_pages(session: sqlite3.Connection) -> None:
    """For a session that reads through a file once: what it read before is of no use to it."""
    session.execute("PRAGMA cache_size = -2000")


def set_up(session: sqlite3.Connection) -> None:
    """Register what SQL cannot say, and make the session quick: the file is ours."""
    for pragma in ("synchronous = OFF", "temp_store = MEMORY", "cache_size = -16000", "mmap_size = 0"):
        session.execute(f"PRAGMA {pragma}")
    for pragma in ("foreign_keys = OFF", "ignore_check_constraints = ON", "trusted_schema = ON"):
        session.execute(f"PRAGMA {pragma}")
    session.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    functions: tuple[tuple[str, int, Callable[..., Any]], ...] = (
        ("ops_float8", 1, floats.float8_text),
        ("ops_float4", 1, floats.float4_text),
        ("ops_single", 1, floats.single),
    )
    for name, count, function in (*functions, *text_functions(str(session.execute("PRAGMA encoding").fetchone()[0]))):
        session.create_function(name, count, function, deterministic=True)


def tables(session: sqlite3.Connection, *, is_counted: bool = True) -> tuple[SourceTable, ...]:
    """The ordinary tables; virtual ones and their shadows are not among them."""
    with sessions.translated("reading the tables", otherwise=ArchiveCorrupt):
        names = [str(name) for name, type_, _ in session.execute(_TABLES).fetchall() if type_ == "table"]
        versions = integrity.version_tables(session)
        return tuple(
            _table(session, name, is_counted=is_counted, is_version=name in versions) for name in sorted(names)
        )


def left_out(session: sqlite3.Connection) -> tuple[str, ...]:
    """Views, triggers and virtual tables: one sentence each; they are not data."""
    found = [
        f"{type_} {name} is not copied" for name, type_, _ in session.execute(_TABLES) if type_ in {"view", "virtual"}
    ]
    triggers = session.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    return tuple(sorted([*found, *(f"trigger {name} is not copied" for (name,) in triggers)]))


def _table(session: sqlite3.Connection, name: str, *, is_counted: bool, is_version: bool) -> SourceTable:
    columns = session.execute("SELECT name, hidden, type FROM pragma_table_xinfo(?)", [name]).fetchall()
    rows = session.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0] if is_counted else 0  # noqa: S608
    row_id = _row_id(session, name, {str(column).casefold() for column, _, _ in columns})
    held = [(str(one), str(type_)) for one, hidden, type_ in columns if hidden not in _GENERATED and one != _OWN_ROW_ID]
    return SourceTable(
        name=name,
        columns=tuple(one for one, _ in held),
        rows=rows,
        generated=tuple(str(column) for column, hidden, _ in columns if hidden in _GENERATED),
        enforced_uniques=_uniques(session, name),
        row_id=row_id,
        is_version=is_version,
        key=_key(session, name) if row_id else "",
        declared=tuple(type_ for _, type_ in held),
    )


def _row_id(session: sqlite3.Connection, name: str, columns: Collection[str]) -> str:
    """SQLite's own name of the row id that no column has taken, else the INTEGER PRIMARY KEY, which is the same."""
    if session.execute("SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'", [name]).fetchone()[0]:
        return ""
    key = _key(session, name)
    free = (one for one in _ROW_IDS if one not in columns)
    return next(free, quoted(key) if key else "")


def _key(session: sqlite3.Connection, name: str) -> str:
    """The INTEGER PRIMARY KEY, which is the row id by another name; empty where there is none.

    One that was declared `INTEGER PRIMARY KEY DESC` is a column like any other, with an index of its own.
    """
    key = session.execute("SELECT name, type FROM pragma_table_info(?) WHERE pk > 0", [name]).fetchall()
    if len(key) != 1 or str(key[0][1]).upper() != "INTEGER":
        return ""
    has_index = session.execute("SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'", [name]).fetchone()
    return "" if has_index else str(key[0][0])


def _uniques(session: sqlite3.Connection, name: str) -> tuple[tuple[str, ...], ...]:
    found: list[tuple[str, ...]] = []
    key = _key(session, name)
    if key:
        found.append((key,))
    indexes = session.execute('SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial', [name]).fetchall()
    for (index,) in indexes:
        parts = session.execute("SELECT name FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno", [index]).fetchall()
        if all(part is not None for (part,) in parts):
            found.append(tuple(str(part) for (part,) in parts))
    return tuple(found)


def stamp(session: sqlite3.Connection, model: sqlite3.Connection) -> None:
    """Give a file the version table of another one."""
    (table,) = integrity.version_tables(model)
    (ddl,) = model.execute("SELECT sql FROM sqlite_master WHERE name = ?", [table]).fetchone()
    session.execute(f"DROP TABLE IF EXISTS {quoted(table)}")
    session.execute(ddl)
    for name in integrity.revisions(model):
        session.execute(f"INSERT INTO {quoted(table)} VALUES (?)", [name])  # noqa: S608 - quoted


def is_simple(session: sqlite3.Connection) -> bool:
    """Whether `make_simple` would change nothing."""
    there = session.execute("SELECT 1 FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone()
    return there is None and all(table.row_id for table in tables(session, is_counted=False))


def make_simple(session: sqlite3.Connection) -> None:
    """Take triggers and views out of our copy: they would be in the way of changes. Every table gets row ids.

    A table that is rebuilt for them keeps its values; its row ids count its rows, in the order of its key.
    """
    for kind in ("trigger", "view"):
        for (name,) in session.execute("SELECT name FROM sqlite_master WHERE type = ?", [kind]).fetchall():
            session.execute(f"DROP {kind.upper()} {quoted(name)}")
    for table in tables(session, is_counted=False):
        if not table.row_id:
            names = ", ".join(map(quoted, table.columns))
            session.execute(f"CREATE TABLE {_REBUILT} ({quoted(_OWN_ROW_ID)} INTEGER PRIMARY KEY, {names})")
            session.execute(f"INSERT INTO {_REBUILT} ({names}) SELECT {names} FROM {quoted(table.name)}")  # noqa: S608
            session.execute(f"DROP TABLE {quoted(table.name)}")
            session.execute(f"ALTER TABLE {_REBUILT} RENAME TO {quoted(table.name)}")
