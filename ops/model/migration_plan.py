"""Which revisions would a migrate apply, what would each do, and what would going back lose?

The rule of loss lives here: a step is reversible when it has a downgrade, its SQL is known, and neither direction
destroys values (see `downgrade_loses`). Which revisions are pending at all is `pending.py`'s question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ops.errors import RevisionConflict
from ops.model.database import DatabaseFacts, DatabaseKind
from ops.model.lint_finding import LintFinding
from ops.model.revision import Outlook, Revision, StepSql
from ops.model.sql_lint import lint, read
from ops.model.stats import TableSize

Lint = Callable[[str], tuple[LintFinding, ...]]
Recovery = Literal["none", "backup", "copy"]
Rollback = Literal["none", "downgrade", "restore", "swap"]
LossKind = Literal["no-downgrade", "unknown", "already-lost", "written-since"]
_SCHEMA = re.compile(r'^(?:"(?:[^"]|"")*"|[^".]+)\.')


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One pending revision: what it is, its SQL where that can be told, and what a person should know of it."""

    revision: str
    needs: tuple[str, ...]
    """Revisions that must be applied before it."""
    message: str
    path: str
    sql: str | None
    sql_unknown_because: str
    findings: tuple[LintFinding, ...]
    tables: tuple[str, ...]
    """Existing tables that it changes or locks."""
    has_downgrade: bool

    @property
    def is_destructive(self) -> bool:
        """Whether it may destroy data; unknown SQL counts as yes."""
        return self.sql is None or any(finding.is_destructive for finding in self.findings)

    @property
    def is_concurrent(self) -> bool:
        """Whether it builds an index concurrently, outside of a transaction."""
        return "concurrently" in (self.sql or "").lower()

    def names(self, index: str) -> bool:
        """Whether its SQL names just this index (`schema.name`, quoted where SQL needs it)."""
        bare = _SCHEMA.sub("", index).strip('"').replace('""', '"')
        whole = rf"(?<![\w$]){re.escape(bare)}(?![\w$])"
        return re.search(whole, self.sql or "", re.IGNORECASE) is not None

    @property
    def is_reversible(self) -> bool:
        """Whether a downgrade would bring back all that was there before it."""
        return self.has_downgrade and not self.is_destructive


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """What a migrate would do to one database."""

    database: str
    current: tuple[str, ...]
    target: str
    """The revision to reach; empty where the history has none."""
    head: str
    steps: tuple[PlannedStep, ...]
    recovery: Recovery
    """What is kept first: nothing, a pinned backup, or (SQLite) the old file."""
    recovery_because: str
    recovery_size_bytes: int
    """Disk that the recovery point needs at most: the database's size, an archive is smaller."""
    rollback: Rollback
    """How a rollback would go back."""
    rollback_estimate_s: float
    table_sizes: tuple[TableSize, ...] = ()
    """Existing tables that the steps touch, where their size is known."""
    is_empty: bool = False
    """The database has no tables yet, so nothing can be lost."""

    @property
    def is_destructive(self) -> bool:
        """Whether any step may destroy data."""
        return not self.is_empty and any(step.is_destructive for step in self.steps)

    def remaining(self, current: Sequence[str]) -> tuple[PlannedStep, ...]:
        """The steps still to do where somebody else has done some of them since the plan was made.

        Raises: RevisionConflict, where the database went somewhere that this plan does not lead.
        """
        if set(current) == set(self.current):
            return self.steps
        by_id = {step.revision: step for step in self.steps}
        waiting, applied = [name for name in current if name in by_id], set[str]()
        if not waiting or any(name not in by_id and name not in self.current for name in current):
            raise RevisionConflict(
                f"the database is at {', '.join(current) or 'base'}, where this plan neither begins nor passes",
                cause="somebody else changed it since the plan was made",
                hint="inv migrate --dry-run",
            )
        while waiting:
            name = waiting.pop()
            applied.add(name)
            waiting += [need for need in by_id[name].needs if need in by_id and need not in applied]
        return tuple(step for step in self.steps if step.revision not in applied)


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that a downgrade would not bring back, or would destroy.

    `already-lost`: the upgrade destroyed it, the downgrade restores the place but not the values.
    `written-since`: the downgrade drops what the upgrade made, with all that was written there since; harmless
    where `table` (or its `column`) holds nothing.
    """

    revision: str
    kind: LossKind
    text: str
    table: str = ""
    column: str = ""


def planned_steps(outlook: Outlook, revisions: Sequence[Revision], lint_with: Lint = lint) -> tuple[PlannedStep, ...]:
    """Each revision with its SQL and what the lint says of it.

    What an earlier one of these revisions makes is as new to a later one: nothing is lost or blocked there.
    """
    steps: list[PlannedStep] = []
    made: set[str] = set()
    for item in revisions:
        sql = outlook.sql.get(item.id, StepSql(None, "it was not asked for"))
        reading = read("" if sql.text is None else sql.text)
        findings = () if sql.text is None else lint_with(sql.text)
        steps.append(
            PlannedStep(
                revision=item.id,
                needs=(*item.down_revisions, *item.depends_on),
                message=item.message,
                path=item.path,
                sql=sql.text,
                sql_unknown_because=sql.reason,
                findings=tuple(finding for finding in findings if finding.table not in made),
                tables=tuple(table for table in reading.touched if table not in made),
                has_downgrade=item.has_downgrade,
            )
        )
        made |= reading.new_tables
    return tuple(steps)


RESTORE_BYTES_PER_S = 25_000_000
SWAP_BYTES_PER_S = 200_000_000
"""How fast going back is at least, seen on two cores: a restore with its checks, a copy of a SQLite file."""


def make_plan(
    *,
    facts: DatabaseFacts,
    current: Sequence[str],
    target: str,
    head: str,
    steps: tuple[PlannedStep, ...],
    sizes: Sequence[TableSize] = (),
    is_empty: bool = False,
) -> MigrationPlan:
    """Decide what must be kept before these steps, and how one would go back.

    Args:
        facts: of the database to migrate.
        sizes: of all its tables.
        is_empty: it has no tables yet, so there is nothing to keep.
    """
    kept, because = _recovery(facts.kind, steps, is_empty=is_empty)
    ways: dict[Recovery, tuple[Rollback, float]] = {
        "none": ("downgrade", 5.0) if steps and all(step.has_downgrade for step in steps) else ("none", 0.0),
        "backup": ("restore", 10.0 + facts.size_bytes / RESTORE_BYTES_PER_S),
        "copy": ("swap", 1.0 + facts.size_bytes / SWAP_BYTES_PER_S),
    }
    touched = {table for step in steps for table in step.tables}
    return MigrationPlan(
        database=facts.name,
        current=tuple(current),
        target=target,
        head=head,
        steps=steps,
        recovery=kept,
        recovery_because=because,
        recovery_size_bytes=facts.size_bytes if kept != "none" else 0,
        rollback=ways[kept][0],
        rollback_estimate_s=round(ways[kept][1], 1),
        table_sizes=tuple(size for size in sizes if size.name.removeprefix("public.") in touched),
        is_empty=is_empty,
    )


def _recovery(kind: DatabaseKind, steps: Sequence[PlannedStep], *, is_empty: bool) -> tuple[Recovery, str]:
    if not steps:
        return "none", "nothing is pending"
    if kind == "sqlite":
        return "copy", "SQLite is migrated in a copy; the old file is kept"
    if is_empty:
        return "none", "the database is empty"
    destructive = [step.revision for step in steps if step.is_destructive]
    if destructive:
        return "backup", f"revision {', '.join(destructive)} may destroy data"
    one_way = [step.revision for step in steps if not step.has_downgrade]
    if one_way:
        return "backup", f"revision {', '.join(one_way)} has no downgrade"
    return "none", "every step can be downgraded and destroys nothing"


def is_reversible(steps: Sequence[PlannedStep], downgrades: Mapping[str, StepSql]) -> bool:
    """Whether downgrading over all these steps loses nothing at all."""
    return not downgrade_loses(steps, downgrades)


def downgrade_loses(steps: Sequence[PlannedStep], downgrades: Mapping[str, StepSql]) -> tuple[Loss, ...]:
    """What going back over these steps by downgrade would lose, newest step first.

    Args:
        steps: applied steps, oldest first.
        downgrades: revision -> the SQL of its downgrade alone.

    A loss of kind `written-since` is no loss where the named table or column is empty: only the caller, who can
    look, knows. Every other kind is certain or cannot be ruled out.
    """
    return tuple(loss for step in reversed(steps) for loss in _losses(step, downgrades.get(step.revision)))


def _losses(step: PlannedStep, down: StepSql | None) -> list[Loss]:
    if not step.has_downgrade:
        return [Loss(step.revision, "no-downgrade", f"revision {step.revision} has no downgrade")]
    if step.sql is None:
        because = step.sql_unknown_because or "its SQL is not known"
        return [Loss(step.revision, "unknown", f"revision {step.revision} may have destroyed data: {because}")]
    if down is None or down.text is None:
        because = down.reason if down else "its SQL is not known"
        return [Loss(step.revision, "unknown", f"the downgrade of {step.revision} may destroy data: {because}")]
    gone = [finding for finding in step.findings if finding.is_destructive]
    going = [finding for finding in lint(down.text) if finding.is_destructive]
    return [_loss(step, finding, "already-lost") for finding in gone] + [
        _loss(step, finding, "written-since") for finding in going
    ]


def _loss(step: PlannedStep, finding: LintFinding, kind: LossKind) -> Loss:
    text = f"{'upgrade' if kind == 'already-lost' else 'downgrade'} of {step.revision}: {finding.message}"
    return Loss(step.revision, kind, text, finding.table, finding.column)
