"""What did the preflight find, and what was changed in the copy to make values fit?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ops.errors import BadSourceData

_IN_CAUSE = 8


@dataclass(frozen=True, slots=True)
class Fault:
    """One value that the target cannot take. `column` names several, joined by `, `, where it is about a key."""

    table: str
    column: str
    row_id: int
    reason: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column} row {self.row_id} {self.reason}"


@dataclass(frozen=True, slots=True)
class FaultCount:
    """How many values of a column are faulty in all; `Fault`s are listed up to a limit."""

    table: str
    column: str
    count: int


@dataclass(frozen=True, slots=True)
class Fix:
    """What was changed in the copy of the source: by a rule, or because a form has one meaning only."""

    table: str
    column: str
    rule: str
    count: int
    rows: tuple[int, ...] = ()
    """Row ids, up to a limit."""
    is_row_dropped: bool = False
    is_row_quarantined: bool = False
    """Taken out like a dropped one, for somebody to decide later."""

    is_listed: bool = False
    """Whether every row is in the list that the transfer keeps."""

    def __str__(self) -> str:
        what = "rows quarantined" if self.is_row_quarantined else "rows dropped" if self.is_row_dropped else "values"
        return f"{self.table}.{self.column}: {self.count} {what}, {self.rule}"


def bad_source(file: str, faults: Sequence[Fault], counts: Sequence[FaultCount]) -> BadSourceData:
    """The error that lists what was found."""
    total = sum(one.count for one in counts)
    places = len({(one.table, one.column) for one in counts})
    more = f"; and {total - _IN_CAUSE} more" if total > _IN_CAUSE else ""
    return BadSourceData(
        f"{file} holds {total} values in {places} columns that PostgreSQL cannot take; nothing was written",
        cause="; ".join(str(fault) for fault in faults[:_IN_CAUSE]) + more,
        hint=f"inv transfer --source sqlite:///{file} --dry-run lists them; correct them, or decide by --rules FILE",
    )
