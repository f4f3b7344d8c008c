"""What would loading single tables beside the live ones do, and what was done?"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ops.errors import RestoreRefused
from ops.model.database import TableSummary
from ops.model.manifest import Manifest
from ops.model.restore_plan import RestorePlan


@dataclass(frozen=True, slots=True)
class TablesPlan:
    """Everything that `inv restore --table` will do."""

    schema: str
    """The new schema of the live database."""
    tables: tuple[TableSummary, ...]
    """As the backup holds them."""
    restore: RestorePlan
    """How the backup is loaded into a scratch database, which is dropped again."""

    def refuse(self, where: Sequence[str] = ()) -> None:
        """Raise what forbids this plan; `where` as `RestorePlan.refuse` takes it. Raises: RestoreRefused."""
        self.restore.refuse(where, into=["--table", ",".join(table.name for table in self.tables)])


@dataclass(frozen=True, slots=True)
class TablesReport:
    """Tables that were loaded beside the live ones. Durations are seconds."""

    change_id: str
    database: str
    schema: str
    source: str
    """The backup's id."""
    tables: tuple[TableSummary, ...]
    """Under their names in the backup; count and checksum are the same in the schema."""
    rows: int
    roles_made: tuple[str, ...]
    """Roles that the backup wants and the server lacked."""
    cleaned: tuple[str, ...]
    check_s: float
    create_s: float
    load_s: float
    compare_s: float
    copy_s: float
    total_s: float


def schema_name(backup_id: str) -> str:
    """The schema that tables of a backup are loaded into: `restored_20260131t020000z`."""
    return f"restored_{backup_id.lower().replace('-', '_')}"


def wanted_tables(names: Sequence[str], manifest: Manifest) -> tuple[TableSummary, ...]:
    """The tables of a backup that are meant by `schema.table`, in the order asked for, each once.

    Raises: RestoreRefused: one is not in the backup, or two would have the same name in one schema.
    """
    there = {table.name: table for table in manifest.tables if "." in table.name}
    unknown = [name for name in names if name not in there]
    if unknown:
        close = sorted({match for name in unknown for match in _close(name, there)})
        raise RestoreRefused(
            f"{manifest.id} has no table {', '.join(unknown)}",
            cause=f"it has {', '.join(sorted(there))}" if there else "it has no tables",
            hint=f"inv restore --file {manifest.id} --table {','.join(close)}" if close else "inv backups",
        )
    chosen = tuple(there[name] for name in dict.fromkeys(names))
    bare = [table.name.partition(".")[2] for table in chosen]
    if twice := sorted({name for name in bare if bare.count(name) > 1}):
        raise RestoreRefused(
            f"{', '.join(twice)} is asked for from two schemas, and both would be loaded into one",
            hint=f"inv restore --file {manifest.id} --table {chosen[0].name}",
        )
    return chosen


def _close(name: str, there: Mapping[str, TableSummary]) -> list[str]:
    same = [one for one in there if one.partition(".")[2] == name]
    return same or difflib.get_close_matches(name, there, n=1)
