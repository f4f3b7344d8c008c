"""How does a transfer write into a SQLite file that is there, and perhaps in use?

As a restore of a SQLite database does: a copy beside it is filled, then put into the live file by the online backup
API, as one transaction of it. The old contents are kept beside it, described by a file of their own: nothing in the
stack's journal is needed to bring them back, since the file may belong to another stack, or to none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ops.actions.clean_leftovers import drop_expired
from ops.actions.transfer_tools import TransferTools
from ops.errors import OpsError, Refused
from ops.model.backup_id import new_id
from ops.model.copy_name import copy_name
from ops.model.database import CopyRole, DatabaseCopy
from ops.model.transfer.back import FileThere
from ops.model.transfer.schema import VERSION_TABLE
from ops.ports import Database


def plan_into(file: Path, tools: TransferTools) -> FileThere | None:
    """What the file holds that is there now, None where there is none; nothing is changed."""
    database = tools.file_database(file)
    if not database.exists():
        return None
    change_id = new_id(tools.clock.now(), {copy.change_id for copy in database.copies()})
    return FileThere(
        change_id=change_id,
        rows=sum(table.row_count for table in database.tables() if table.name != VERSION_TABLE),
        revisions=database.revisions(),
        size_bytes=database.facts().size_bytes,
        open_by=tools.holders(file),
        kept=copy_name(file.name, "recovery-point", change_id),
        kept_until=tools.clock.now() + timedelta(days=tools.keep_days),
    )


@dataclass(frozen=True, slots=True)
class Into:
    """A copy beside the file, to be filled."""

    there: FileThere
    database: Database
    place: Path
    kept: DatabaseCopy
    cleaned: tuple[str, ...]

    def swap(self) -> float:
        """Write the filled copy into the file; gives the seconds it was locked. Raises: RestoreRefused."""
        return self.database.swap(self.place.name, self.kept)


@contextlib.contextmanager
def written_into(there: FileThere, file: Path, tools: TransferTools) -> Iterator[Into]:
    """Under the file's own lock: remove what killed runs left, make the copy, and drop it again on a failure."""
    database = tools.file_database(file)
    with database.exclusive("transfer"):
        if not database.exists():
            raise Refused(f"{file} was there when the plan was made, and is gone", hint="the same command again")
        cleaned = _clean(database, tools)
        scratch = _described(there, file, "scratch", tools)
        database.create_copy(scratch, database.facts())
        try:
            yield Into(
                there, database, file.with_name(scratch.name), _described(there, file, "recovery-point", tools), cleaned
            )
        finally:
            database.drop_copy(scratch.name)
        drop_expired(database=database, now=tools.clock.now(), report=tools.report)


def _clean(database: Database, tools: TransferTools) -> tuple[str, ...]:
    cleaned = []
    for copy in database.copies():
        if copy.role == "scratch":
            try:
                database.drop_copy(copy.name)
            except OpsError as exc:
                tools.report.warn(f"{copy.name} is left: {exc.message}")
            else:
                cleaned.append(f"{copy.name}, left by a {copy.change} that was interrupted")
    return tuple(cleaned)


def _described(there: FileThere, file: Path, role: CopyRole, tools: TransferTools) -> DatabaseCopy:
    is_kept = role == "recovery-point"
    return DatabaseCopy(
        name=there.kept if is_kept else copy_name(file.name, "scratch", there.change_id),
        role=role,
        live=file.name,
        change="transfer",
        change_id=there.change_id,
        created_at=tools.clock.now(),
        expires_at=there.kept_until if is_kept else None,
    )
