"""What did a lint find, and what is known while the statements of one step are read?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ops.model.sql_words import Words

Level = Literal["destructive", "warning"]


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One thing a person should know about one statement of a migration."""

    rule: str
    level: Level
    message: str
    line: int = 0
    """Of the step's SQL, counted from 1; 0 where unknown."""
    table: str = ""
    column: str = ""
    source: str = "ops"
    """Who found it: `ops` or `squawk`."""

    @property
    def is_destructive(self) -> bool:
        """Whether data may be gone afterwards that a downgrade does not bring back."""
        return self.level == "destructive"


@dataclass(slots=True)
class Reading:
    """What is known while the statements of one step are read in order."""

    findings: list[LintFinding] = field(default_factory=list)
    new_tables: set[str] = field(default_factory=set)
    new_columns: set[tuple[str, str]] = field(default_factory=set)
    touched: dict[str, None] = field(default_factory=dict)
    is_in_transaction: bool = False

    def find(self, rule: str, level: Level, message: str, at: Words, *, table: str = "", column: str = "") -> None:
        """Note a finding, unless the step made the table or column itself."""
        if table in self.new_tables or (column and (table, column) in self.new_columns):
            return
        self.findings.append(LintFinding(rule, level, message, at.line, table, column))

    def touch(self, table: str) -> None:
        """Note that an existing table is changed or locked."""
        if table and table not in self.new_tables:
            self.touched.setdefault(table)
