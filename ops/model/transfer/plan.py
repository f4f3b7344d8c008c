"""What will a transfer read and write, and what did it do?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ops.errors import OpsError, RevisionConflict
from ops.model.transfer.fault import Fault, FaultCount, Fix, bad_source
from ops.model.transfer.rules import Rules
from ops.model.transfer.schema import Pair, Table
from ops.model.transfer.survey import NO_SURVEY, Survey


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Our copy of the source file: at the head revision, every value in the form of its kind."""

    path: str
    size_bytes: int
    revisions: tuple[str, ...]
    """Of the file itself."""
    recognised: str
    """The revision that a file without one was recognised as; empty for a stamped file."""
    applied: tuple[str, ...] = ()
    """Revisions that were applied to the copy."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """One table of a transfer."""

    name: str
    rows: int
    """Rows to load, after the rules."""
    dropped: int = 0
    """Rows that a rule drops."""
    quarantined: int = 0
    """Rows that a rule sets aside."""
    columns: int = 0


@dataclass(frozen=True, slots=True)
class PartLines:
    """The rows of a part of a table as COPY reads them, in a file of ours between the examination and the load."""

    path: str
    rows: int
    checksum: str
    """Of what PostgreSQL's COPY has to write for them."""
    span: tuple[int, int]
    """The first and the last row id that the part can have."""
    total: int = 0
    """The sum of the checksums of its lines; only of a table whose rows are in no order of a key."""
    has_marks: bool = False
    """Whether a text holds a mark of ours, so that the part is read the slow way."""
    is_binary: bool = False
    """Whether these are rows of binary COPY, one behind another, and no lines."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What the preflight found."""

    faults: tuple[Fault, ...]
    counts: tuple[FaultCount, ...]
    fixes: tuple[Fix, ...]
    lines: Mapping[str, tuple[PartLines, ...]]
    """Of each SQLite table, its parts in order; empty where they were not asked for, or where a fault was found."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """Everything that `inv transfer --source` will do. Sizes are bytes, times aware UTC."""

    change_id: str
    stack: str
    file: str
    database: str
    is_live_there: bool
    live_size_bytes: int
    live_rows: int
    """Rows of the live database that give way; about, as the server counts."""
    scratch: str
    kept: str
    kept_until: datetime | None
    snapshot: Snapshot
    head: str
    tables: tuple[TablePlan, ...]
    faults: tuple[Fault, ...]
    fault_counts: tuple[FaultCount, ...]
    fixes: tuple[Fix, ...]
    differences: tuple[str, ...]
    """Tables and columns that only one side has."""
    warnings: tuple[str, ...]
    blockers: tuple[str, ...]
    free_bytes: int | None
    need_bytes: int
    pairs: tuple[Pair, ...]
    target: tuple[Table, ...]
    lines: Mapping[str, tuple[PartLines, ...]]
    rules: Rules
    list_file: str = ""
    """Where the rows that rules drop, quarantine or give no parent will be listed; empty where there are none."""
    survey: Survey = NO_SURVEY
    """What deserves a person's eye; looked for where the plan is only shown."""
    prepare_s: float = 0.0
    examine_s: float = 0.0

    @property
    def rows(self) -> int:
        """Rows to load."""
        return sum(table.rows for table in self.tables)

    def refuse(self) -> None:
        """Raise what forbids the transfer: RevisionConflict (50), BadSourceData (70), RestoreRefused (40)."""
        error = self.forbidden
        if error is not None:
            raise error

    @property
    def forbidden(self) -> OpsError | None:
        """What forbids the transfer; None where nothing does."""
        from ops.errors import RestoreRefused

        if self.differences:
            return RevisionConflict(
                f"{self.file} and the target do not have the same tables and columns; nothing was written",
                cause="; ".join(self.differences),
                hint="add the missing ones in a revision: inv revision, or drop them from a copy of the file",
            )
        if self.faults or self.fault_counts:
            return bad_source(self.file, self.faults, self.fault_counts)
        if self.blockers:
            return RestoreRefused("a swap would not be safe now", cause="; ".join(self.blockers))
        if self.free_bytes is not None and self.free_bytes < self.need_bytes:
            return RestoreRefused(
                f"the server has {self.free_bytes} bytes left, the new database needs about {self.need_bytes}",
                hint="df -h",
            )
        return None


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """A table that was loaded and compared."""

    name: str
    rows: int
    checksum: str
    """Of all rows as COPY writes them; the same on both sides, and on the way there and back."""
    algorithm: str
    """How the checksum was made: two are only to be compared where it is the same."""


@dataclass(frozen=True, slots=True)
class TransferReport:
    """A transfer that is done. Durations are seconds."""

    change_id: str
    source: str
    database: str
    kept: str
    kept_until: datetime | None
    revisions: tuple[str, ...]
    rows: int
    dropped: int
    quarantined: int
    list_file: str
    """Lists every row that was dropped, quarantined or given no parent; empty where there was none."""
    tables: tuple[LoadedTable, ...]
    fixes: tuple[Fix, ...]
    sequences: Mapping[str, int]
    """What each sequence gives next."""
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    cleaned: tuple[str, ...]
    prepare_s: float
    examine_s: float
    create_s: float
    load_s: float
    index_s: float
    finish_s: float
    swap_s: float
    away_s: float
    total_s: float
