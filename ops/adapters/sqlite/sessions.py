"""How do we open a SQLite file, copy one into another, and which of our errors is each of SQLite's?

Files are copied by the online backup API only: copying or replacing the file of a database that somebody has open
loses what its `-wal` holds, or corrupts it. Source: https://www.sqlite.org/howtocorrupt.html, sections 1 and 2.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from ops.errors import ArchiveUnwritable, ConfigurationError, DatabaseRefused, DeadlinePassed, OpsError

BUSY_TIMEOUT_S = 30.0
_PAGES_A_STEP = 2048
_NEEDED = (3, 37)
"""The first that lists its tables (`pragma_table_list`). Source: https://www.sqlite.org/changes.html, 3.37.0."""
_BETWEEN_TRIES_S = 0.02


@contextmanager
def opened(
    path: Path, *, is_new: bool = False, is_read_only: bool = False, busy_s: float = BUSY_TIMEOUT_S
) -> Iterator[sqlite3.Connection]:
    """A session with the file, in autocommit mode, closed at the end.

    Args:
        path: absolute; must exist unless `is_new`.
        is_new: make the file where it is absent.
        is_read_only: for files that are not ours.
        busy_s: how long a statement waits for a lock of somebody else's.

    Raises: ConfigurationError (SQLite itself is too old); sqlite3's errors.
    """
    refuse_old(sqlite3.sqlite_version_info)
    mode = "ro" if is_read_only else "rwc" if is_new else "rw"
    uri = f"file:{quote(str(path))}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=busy_s, isolation_level=None)) as session:
        yield session


def refuse_old(version: tuple[int, ...]) -> None:
    """Refuse a SQLite that lacks what we ask of it: Python brings the system's own. Raises: ConfigurationError."""
    if version < _NEEDED:
        raise ConfigurationError(
            f"this Python has SQLite {'.'.join(map(str, version))}, too old for us",
            cause="3.37 is the first that lists its tables",
            hint="rm -r .venv; PYTHON=/path/to/another/python3 scripts/up",
        )


@contextmanager
def translated(what: str, *, otherwise: type[OpsError] = DatabaseRefused) -> Iterator[None]:
    """Turn SQLite's errors in the block into ours.

    Args:
        what: what was being done, as the start of the message.
        otherwise: the leaf for damage and for anything else.

    Raises:
        DatabaseRefused: no such file, no right to it.
        DeadlinePassed: somebody kept it locked.
        ArchiveUnwritable: no room on the disk.
    """
    try:
        yield
    except sqlite3.Error as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise DeadlinePassed(
                f"{what}: somebody kept the database locked until the deadline passed",
                cause=str(exc),
                hint="end what writes into it, then the same command again; who has it open: fuser --verbose FILE",
            ) from exc
        if code == sqlite3.SQLITE_FULL:
            raise ArchiveUnwritable(f"{what}: no room is left on the disk", cause=str(exc), hint="df -h") from exc
        if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH}:
            raise DatabaseRefused(f"{what}: the database cannot be opened", cause=str(exc)) from exc
        raise otherwise(f"{what} failed", cause=str(exc)) from exc


def copy_into(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    *,
    wait_s: float,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Copy one whole database into another by the online backup API, as one transaction of the target.

    Args:
        source: read in one transaction, so what others write meanwhile is not in the copy.
        target: replaced; others see the old contents until all of it is there.
        wait_s: how long to wait for a lock that somebody else holds.
        on_progress: called with (pages done, pages in all).

    Raises: sqlite3.OperationalError (BUSY) when the lock did not come in time.
    """
    deadline = time.monotonic() + wait_s
    last_remaining = -1

    def step(status: int, remaining: int, total: int) -> None:
        nonlocal last_remaining, deadline
        if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            if time.monotonic() > deadline:
                raise _busy()
        elif remaining != last_remaining:
            last_remaining, deadline = remaining, time.monotonic() + wait_s
        if on_progress is not None:
            on_progress(total - remaining, total)

    own_transaction = not source.in_transaction
    if own_transaction:
        source.execute("BEGIN")
    try:
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(target, pages=_PAGES_A_STEP, progress=step, sleep=_BETWEEN_TRIES_S)
    finally:
        if own_transaction and source.in_transaction:
            source.execute("ROLLBACK")


def _busy() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def damage(session: sqlite3.Connection) -> tuple[str, ...]:
    """What SQLite's own integrity check finds, a few lines; empty for a sound file."""
    found = tuple(str(row[0]) for row in session.execute("PRAGMA integrity_check(5)"))
    return () if found == ("ok",) else found
