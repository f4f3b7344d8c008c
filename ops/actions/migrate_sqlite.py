"""How is a SQLite database migrated without risking the live file?

SQLite's DDL is not undone by a failure in every env.py, so a copy is migrated, checked, and put back by the
online backup API. What is written to the live file meanwhile would be lost: the tables are compared by checksum
right before the copy is put back, and a difference stops the migrate with the live file untouched.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from ops.errors import LoadFailed, Refused, RestoreRefused, UpgradeFailed
from ops.model.change import Change
from ops.model.copy_name import copy_name
from ops.model.database import DatabaseCopy
from ops.ports import Database, LoadSource, Reporter


class SqliteCopy:
    """The copy of one migrate.

    Args:
        database: the live database.
        change: the migrate.
        expires_at: when the old file may go.
        work: folder for a passing file of the database's size.
        report: where progress goes.
    """

    def __init__(
        self, database: Database, change: Change, *, expires_at: datetime, work: Path, report: Reporter
    ) -> None:
        self._database = database
        self._change = change
        self._expires_at = expires_at
        self._work = work
        self._report = report
        self._before = database.tables()

    @property
    def kept_name(self) -> str:
        """What the old database is called afterwards."""
        return copy_name(self._change.database, "recovery-point", self._change.id)

    @contextlib.contextmanager
    def made(self) -> Iterator[str]:
        """A copy of the live database, for as long as the context lasts."""
        scratch = self._described("scratch", copy_name(self._change.database, "scratch", self._change.id))
        self._database.create_copy(scratch, self._database.facts())
        try:
            self._fill(scratch.name)
            yield scratch.name
        finally:
            if any(copy.name == scratch.name for copy in self._database.copies()):
                self._database.drop_copy(scratch.name)

    def _fill(self, name: str) -> None:
        with tempfile.TemporaryDirectory(dir=self._work) as folder:
            path = Path(folder) / "copy.sqlite"
            with path.open("wb") as file:

                def write(block: bytes) -> None:
                    file.write(block)

                dump = self._database.dump(write, report=self._report, lock_wait_s=30, idle_timeout_s=300)
            if dump.codec not in ("none", "gzip", "zstd"):
                raise LoadFailed(f"a copy of {self._change.database} came compressed with {dump.codec}")
            source = LoadSource(path, "sqlite", compression=dump.codec)
            self._database.load(name, source, jobs=1, report=self._report)

    def put_back(self, name: str, before: Sequence[str]) -> None:
        """Check the migrated copy and make it the live database.

        Args:
            name: the copy's.
            before: what did not hold in the live file either, before the migrate; it is no fault of the revision.

        Raises: UpgradeFailed, Refused.
        """
        problems = self._database.integrity_problems(name)
        if problems:
            is_old = set(problems) <= set(before)
            raise UpgradeFailed(
                f"the migrated copy of {self._change.database} does not hold together; the live file was not touched",
                cause="; ".join(problems[:5]) + (" (so in the live file too)" if is_old else ""),
                hint=f"mend {'its rows: inv shell' if is_old else 'the revision'}, then inv migrate",
            )
        if self._database.tables() != self._before:
            raise Refused(
                f"{self._change.database} was written to while its copy was migrated; the live file was not touched",
                cause="putting the copy back would lose what was written",
                hint="inv down --services app, then inv migrate",
            )
        try:
            self._database.swap(name, self._described("recovery-point", self.kept_name))
        except RestoreRefused as exc:
            raise UpgradeFailed(exc.message, cause=exc.cause, hint="inv down --services app, then inv migrate") from exc

    def _described(self, role: str, name: str) -> DatabaseCopy:
        return DatabaseCopy(
            name=name,
            role="recovery-point" if role == "recovery-point" else "scratch",
            live=self._change.database,
            change="migrate",
            change_id=self._change.id,
            created_at=self._change.at,
            expires_at=self._expires_at if role == "recovery-point" else None,
        )
