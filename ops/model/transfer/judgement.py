"""What about a row can only the target's own server say?

Whether a CHECK holds, whether two values are equal for a unique index that has its own idea of equality, and what a
type that we do not know makes of a text. Each is a piece of SQL of PostgreSQL over the columns that it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ROW = "ops: row"
"""The column of the row id beside the columns that a judgement reads."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One thing to be judged."""

    kind: Literal["form", "check", "unique", "index"]
    """`form`: what a type makes of a text; `unique`: of plain columns; `index`: of expressions, or of some rows."""
    name: str
    """Of the constraint or the index; of the type, where it is about a form."""
    columns: tuple[str, ...]
    """PostgreSQL's names of the columns that it reads, generated ones too."""
    condition: str
    """SQL: true for a row that is not taken; of a unique index for a row that it counts."""
    keys: tuple[str, ...] = ()
    """SQL: of a unique index, what must not be there twice."""
    rule: str = ""
    """SQL: of a check, what it wants, as the server writes it."""

    @property
    def is_unique(self) -> bool:
        """Whether it is about several rows."""
        return bool(self.keys)

    def reason(self, said: str) -> str:
        """Why a row is not taken; `said` is the server's error, where it had one."""
        if self.is_unique:
            return f"is there more than once, {self.name} of the target wants it unique"
        if self.kind == "form":
            return f"is no {self.name}: {said}" if said else f"is no {self.name}, or is not written as PostgreSQL does"
        return f"breaks the check {self.name}: {said or self.rule}"


def unique_judgement(name: str, columns: Sequence[str], keys: Sequence[str], *, only: str, are_nulls_equal: bool,
    is_plain: bool) -> Judgement:  # fmt: skip
    """That of a unique index.

    Args:
        name: the index's.
        columns: those that it reads.
        keys: SQL of each key.
        only: SQL of the rows that it holds; empty: all.
        are_nulls_equal: whether two rows without a value are one too many.
        is_plain: whether its keys are just columns, of all rows.
    """
    there = () if are_nulls_equal else tuple(f"({key}) IS NOT NULL" for key in keys)
    condition = " AND ".join((*([f"({only})"] if only else []), *there)) or "true"
    return Judgement("unique" if is_plain else "index", name, tuple(columns), condition, tuple(keys))
