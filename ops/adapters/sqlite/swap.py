"""How does a copy become the live file while an application has it open?

By the online backup API *into* the live file, as one transaction of it: the application sees the old contents, then
the new ones, and a kill leaves the old. Renaming a file over a live one corrupts it. Before that the old contents are
copied out, under a lock that stops writers; only a write in the instant between that lock and the transaction would be
in neither file.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ops.adapters.durable_files import flush_folder
from ops.adapters.sqlite.archive import snapshot
from ops.adapters.sqlite.copies import describe, drop, path_of
from ops.adapters.sqlite.sessions import copy_into, opened
from ops.errors import OpsError, RestoreRefused
from ops.model.database import DatabaseCopy
from ops.ports import Clock, Reporter


class _Silent:
    """A reporter for copies that take no time worth a word."""

    def note(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def progress(self, step: str, done: int, total: int | None, unit: str = "bytes") -> None: ...

    def finished(self, event: str, **fields: object) -> None: ...


SILENT: Reporter = _Silent()


def swap(live: Path, copy: str, kept: DatabaseCopy, *, clock: Clock, wait_s: float) -> float:
    """Make `copy` the live file's contents and keep the old ones as `kept`; the copy is gone afterwards.

    Args:
        live: the live file; where it is absent there is nothing to keep.
        copy: one of our copies beside it.
        kept: what the old contents are called and described as.
        clock: measures the gap.
        wait_s: how long to wait for a lock that the application holds.

    Returns: the seconds for which the live file was locked.

    Raises: RestoreRefused; the live file is as it was, and nothing was kept.
    """
    source = path_of(live, copy)
    if not source.is_file():
        raise RestoreRefused(f"there is no copy {copy} to swap in", hint="inv restore --latest")
    if not live.exists():
        return _put_new(live, source, copy, clock)
    try:
        _match_page_size(source, live)
        with opened(live, busy_s=wait_s) as writer, opened(live) as session:
            writer.execute("BEGIN IMMEDIATE")
            _keep(session, live, kept, wait_s)
            writer.execute("ROLLBACK")
            began = clock.monotonic()
            with opened(source) as scratch:
                copy_into(scratch, session, wait_s=wait_s)
            away_s = clock.monotonic() - began
    except (sqlite3.Error, OSError, OpsError) as exc:
        _forget(live, kept)
        raise RestoreRefused(
            f"{live.name} could not be replaced; it is as it was",
            cause=str(exc),
            hint="inv down --services app, then the same command again",
        ) from exc
    describe(live, kept)
    drop(live, copy)
    return away_s


def _keep(session: sqlite3.Connection, live: Path, kept: DatabaseCopy, wait_s: float) -> None:
    """Copy the old contents out; until the swap is done the copy says that it is pending."""
    place = path_of(live, kept.name)
    if place.exists():
        raise RestoreRefused(f"{place} is there already")
    describe(live, kept, is_pending=True)
    partial = place.with_name(place.name + ".partial")
    partial.unlink(missing_ok=True)
    snapshot(session, partial, SILENT, wait_s=wait_s)
    partial.chmod(live.stat().st_mode & 0o777)
    partial.rename(place)
    flush_folder(live.parent)


def _forget(live: Path, kept: DatabaseCopy) -> None:
    """After a failure: a kept copy that holds what the live file holds is of no use."""
    try:
        drop(live, kept.name)
    except (OpsError, OSError, sqlite3.Error):
        return


def _put_new(live: Path, source: Path, copy: str, clock: Clock) -> float:
    began = clock.monotonic()
    source.rename(live)
    flush_folder(live.parent)
    drop(live, copy)
    return clock.monotonic() - began


def _match_page_size(source: Path, live: Path) -> None:
    """A file in WAL mode takes only pages of its own size."""
    with opened(live) as session:
        wanted = session.execute("PRAGMA page_size").fetchone()[0]
    with opened(source) as session:
        if session.execute("PRAGMA page_size").fetchone()[0] != wanted:
            session.execute("PRAGMA journal_mode = DELETE")
            session.execute(f"PRAGMA page_size = {int(wanted)}")
            session.execute("VACUUM")
