"""How is each way back walked, and what is written down about it?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from ops.actions.restore_tools import MIGRATE_LOCK_TIMEOUT_S, MIGRATE_STATEMENT_TIMEOUT_S, RestoreTools
from ops.errors import Irreversible, OpsError
from ops.model.change import Change, RecoveryPoint
from ops.model.database import DatabaseCopy
from ops.model.restore_report import RestoreReport
from ops.model.rollback_plan import RollbackPlan, Way
from ops.ports import Migrator

KeepBackup = Callable[[str, datetime], str]
"""Take a pinned backup, reason before-rollback: (note, when its pin ends) -> the backup's id."""


@dataclass(frozen=True, slots=True)
class RollbackTools:
    """What a rollback works with; `keep_backup` None cannot keep what undoing revisions would drop."""

    restore: RestoreTools
    keep_backup: KeepBackup | None = None


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """A rollback that is done. Durations are seconds."""

    change_id: str
    undoes: str
    database: str
    way: Way
    revisions: tuple[str, ...]
    """Where the schema is now."""
    kept: RecoveryPoint | None
    """What was replaced; another `inv rollback` goes back to it."""
    kept_until: datetime | None
    backup_s: float = 0.0
    swap_s: float = 0.0
    revisions_s: float = 0.0
    away_s: float = 0.0
    total_s: float = 0.0
    restored: RestoreReport | None = None
    cleaned: tuple[str, ...] = ()


def swap_back(plan: RollbackPlan, tools: RollbackTools) -> RollbackReport:
    """Swap the kept database in; the caller holds both locks."""
    base = tools.restore
    if plan.recovery is None:
        raise Irreversible("this rollback has no database to swap in")
    kept_name = plan.keeps.name if plan.keeps else f"{plan.database}__none"
    kept = DatabaseCopy(
        name=kept_name,
        role="recovery-point",
        live=plan.database,
        change="rollback",
        change_id=plan.change_id,
        created_at=base.clock.now(),
        expires_at=plan.kept_until,
    )
    with _recorded(plan, tools) as outcome:
        began = base.clock.monotonic()
        away_s = base.database.swap(plan.recovery.name, kept)
        outcome.recovery = plan.keeps
        outcome.is_done = True
        swap_s = round(base.clock.monotonic() - began, 3)
        base.checkpoint("swap")
    return _report(plan, tools, kept=plan.keeps, swap_s=swap_s, away_s=round(away_s, 3))


def downgrade(plan: RollbackPlan, tools: RollbackTools) -> RollbackReport:
    """Undo revisions in place, newest first, what they would drop being kept first."""
    base, migrator = tools.restore, _migrator(tools)
    with _recorded(plan, tools) as outcome:
        began = base.clock.monotonic()
        outcome.recovery = _kept_backup(plan, tools)
        backup_s = round(base.clock.monotonic() - began, 3)
        base.checkpoint("backup")
        if plan.steps:
            migrator.downgrade(
                plan.revisions_after[0] if plan.revisions_after else "base",
                lock_timeout_s=MIGRATE_LOCK_TIMEOUT_S,
                statement_timeout_s=MIGRATE_STATEMENT_TIMEOUT_S,
            )
        outcome.is_done = True
        base.checkpoint("downgrade")
    spent = round(base.clock.monotonic() - began - backup_s, 3)
    return _report(plan, tools, kept=outcome.recovery, backup_s=backup_s, revisions_s=spent)


def upgrade(plan: RollbackPlan, tools: RollbackTools) -> RollbackReport:
    """Apply the revisions again that a rollback undid."""
    base, migrator = tools.restore, _migrator(tools)
    began = base.clock.monotonic()
    with _recorded(plan, tools) as outcome:
        migrator.upgrade_each(
            plan.steps, lock_timeout_s=MIGRATE_LOCK_TIMEOUT_S, statement_timeout_s=MIGRATE_STATEMENT_TIMEOUT_S
        )
        outcome.is_done = True
        base.checkpoint("upgrade")
    return _report(plan, tools, kept=None, revisions_s=round(base.clock.monotonic() - began, 3))


@dataclass(slots=True)
class _Outcome:
    is_done: bool = False
    recovery: RecoveryPoint | None = None


@contextlib.contextmanager
def _recorded(plan: RollbackPlan, tools: RollbackTools) -> Iterator[_Outcome]:
    """The journal's lines around the way; a kill leaves `started` without an end."""
    base, outcome = tools.restore, _Outcome()
    started = Change(
        id=plan.change_id,
        kind="rollback",
        state="started",
        at=base.clock.now(),
        by=base.by,
        database=plan.database,
        from_revisions=plan.revisions_now,
        to_revisions=plan.revisions_after,
        undoes=plan.undoes,
        details={"way": plan.way},
    )
    base.journal.append(started)
    base.checkpoint("journal")
    try:
        yield outcome
    except BaseException as exc:
        if not outcome.is_done:
            said = exc.message if isinstance(exc, OpsError) else repr(exc)
            details = {**started.details, "error": said}
            base.journal.append(
                replace(started, state="failed", at=base.clock.now(), recovery=outcome.recovery, details=details)
            )
            raise
        base.journal.append(replace(started, state="finished", at=base.clock.now(), recovery=outcome.recovery))
        raise
    base.journal.append(replace(started, state="finished", at=base.clock.now(), recovery=outcome.recovery))
    base.checkpoint("finished")


def _kept_backup(plan: RollbackPlan, tools: RollbackTools) -> RecoveryPoint | None:
    if plan.keeps is None:
        return None
    if tools.keep_backup is None or plan.kept_until is None:
        raise Irreversible("no backup can be kept", cause="; ".join(plan.loses))
    note = f"before the rollback of the {plan.undone_kind} of {plan.undoes}"
    return RecoveryPoint("backup", tools.keep_backup(note, plan.kept_until))


def _migrator(tools: RollbackTools) -> Migrator:
    if tools.restore.migrator is None:
        raise Irreversible("revisions cannot be undone", cause="this project has no schema history")
    return tools.restore.migrator


def _report(
    plan: RollbackPlan,
    tools: RollbackTools,
    *,
    kept: RecoveryPoint | None,
    backup_s: float = 0.0,
    swap_s: float = 0.0,
    revisions_s: float = 0.0,
    away_s: float = 0.0,
) -> RollbackReport:
    base = tools.restore
    revisions = base.database.revisions()
    base.report.finished("rollback.finished", id=plan.change_id, undoes=plan.undoes, way=plan.way, away_s=away_s)
    return RollbackReport(
        change_id=plan.change_id,
        undoes=plan.undoes,
        database=plan.database,
        way=plan.way,
        revisions=revisions,
        kept=kept,
        kept_until=plan.kept_until if kept else None,
        backup_s=backup_s,
        swap_s=swap_s,
        revisions_s=revisions_s,
        away_s=away_s,
    )
