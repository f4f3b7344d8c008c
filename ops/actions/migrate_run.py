"""How do the steps of a migrate run once its locks are held, and what is said when one fails?

The truth about what was applied is the database's version table, never our own count.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from ops.actions.migrate_sqlite import SqliteCopy
from ops.errors import DeadlinePassed, OpsError, UpgradeFailed
from ops.model.backup_id import new_id
from ops.model.change import Change, RecoveryPoint
from ops.model.migration_plan import MigrationPlan, PlannedStep
from ops.model.migration_report import AppliedStep, MigrationReport
from ops.model.stats import TableSize
from ops.ports import Clock, Database, Journal, Lock, Migrator, Reporter

KeepBackup = Callable[[str, datetime], str]
"""Take a pinned backup, reason before-migrate: (note, when its pin ends) -> the backup's id."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a migrate waits for what; seconds."""

    lock_wait_s: float = 60.0
    lock_timeout_s: float = 5.0
    statement_timeout_s: float = 3600.0
    attempts: int = 5
    back_off_s: float = 2.0
    """Before the second attempt; doubles, with jitter."""
    keep_days: int = 30


@dataclass(frozen=True, slots=True)
class MigrateTools:
    """What a migrate works with.

    `keep_backup` None takes no recovery point (and says so); `work` is a folder for SQLite's passing copy;
    `jitter` gives numbers from 0 to 1; `sizes` the tables' sizes for the plan.
    """

    database: Database
    migrator: Migrator
    lock: Lock
    journal: Journal
    clock: Clock
    report: Reporter
    by: str
    work: Path
    jitter: Callable[[], float]
    keep_backup: KeepBackup | None = None
    sizes: Callable[[], Sequence[TableSize]] | None = None


class MigrationRun:
    """One migrate under its locks."""

    def __init__(
        self,
        plan: MigrationPlan,
        steps: tuple[PlannedStep, ...],
        current: tuple[str, ...],
        tools: MigrateTools,
        limits: Limits,
    ) -> None:
        self.plan = plan
        self.steps = steps
        self.start = current
        self.tools = tools
        self.limits = limits
        self.began_at = tools.clock.now()
        self.recovery: RecoveryPoint | None = None
        self.applied: list[AppliedStep] = []
        self._invalid_before: frozenset[str] = frozenset()
        self.change = Change(
            id=new_id(self.began_at, {change.id for change in tools.journal.changes()}),
            kind="migrate",
            state="started",
            at=self.began_at,
            by=tools.by,
            database=plan.database,
            from_revisions=current,
            to_revisions=(plan.target,),
        )

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """The journal's lines around the change; a kill leaves `started` without an end."""
        journal, clock = self.tools.journal, self.tools.clock
        journal.append(self.change)
        try:
            yield
        except BaseException as exc:
            revisions = [step.revision for step in self.applied]
            journal.append(
                replace(
                    self.change,
                    state="failed",
                    at=clock.now(),
                    recovery=self.recovery,
                    to_revisions=tuple(revisions[-1:]) or self.start,
                    details={
                        "applied": revisions,
                        "error": exc.message if isinstance(exc, OpsError) else type(exc).__name__,
                    },
                )
            )
            raise
        journal.append(
            replace(
                self.change,
                state="finished",
                at=clock.now(),
                recovery=self.recovery,
                details={"applied": [step.revision for step in self.applied]},
            )
        )

    def carry_out(self) -> MigrationReport:
        """Keep, apply, check."""
        clock = self.tools.clock
        began = clock.monotonic()
        before = self.tools.database.integrity_problems(self.plan.database)
        self._invalid_before = frozenset(self.tools.database.invalid_indexes())
        copy = self._copy() if self.plan.recovery == "copy" else None
        if self.plan.recovery == "backup":
            self._keep_backup()
        kept = clock.monotonic()
        if copy is None:
            self._upgrade(None)
        else:
            self._upgrade_copy(copy, before)
        upgraded = clock.monotonic()
        reached, problems = self._check(before)
        checked = clock.monotonic()
        self.tools.report.finished(
            "migrate.finished",
            id=self.change.id,
            revision=self.plan.target,
            applied=len(self.applied),
            duration_s=round(checked - began, 3),
        )
        return MigrationReport(
            change_id=self.change.id,
            database=self.plan.database,
            from_revisions=self.start,
            to_revisions=reached,
            applied=tuple(self.applied),
            recovery=self.recovery,
            problems=problems,
            recovery_s=round(kept - began, 3),
            upgrade_s=round(upgraded - kept, 3),
            check_s=round(checked - upgraded, 3),
        )

    def _keep_backup(self) -> None:
        if self.tools.keep_backup is None:
            self.tools.report.warn(f"no recovery point is taken, though {self.plan.recovery_because}")
            return
        note = f"before migrate from {', '.join(self.start) or 'base'} to {self.plan.target}"
        expires_at = self.began_at + timedelta(days=self.limits.keep_days)
        self.recovery = RecoveryPoint("backup", self.tools.keep_backup(note, expires_at))
        self.tools.report.note(f"recovery point: backup {self.recovery.name}, because {self.plan.recovery_because}")

    def _copy(self) -> SqliteCopy:
        expires_at = self.began_at + timedelta(days=self.limits.keep_days)
        tools = self.tools
        return SqliteCopy(tools.database, self.change, expires_at=expires_at, work=tools.work, report=tools.report)

    def _upgrade_copy(self, copy: SqliteCopy, before: Sequence[str]) -> None:
        with copy.made() as name:
            self._upgrade(name)
            try:
                copy.put_back(name, before)
            except OpsError:
                self.applied.clear()  # the live file was never touched
                raise
            self.recovery = RecoveryPoint("database", copy.kept_name)

    def _upgrade(self, database: str | None) -> None:
        """Apply the steps; a lock that cannot be had is asked for again, later."""
        attempt = 1
        while left := self.steps[len(self.applied) :]:
            done = len(self.applied)
            try:
                if attempt > 1:
                    self._drop_left(left[0])
                self.tools.migrator.upgrade_each(
                    [step.revision for step in left],
                    database=database,
                    lock_timeout_s=self.limits.lock_timeout_s,
                    statement_timeout_s=self.limits.statement_timeout_s,
                    on_applied=self._hear,
                )
            except DeadlinePassed as exc:
                attempt = 2 if len(self.applied) > done else attempt + 1
                if attempt > self.limits.attempts:
                    raise self._failed(exc, f"{self.limits.attempts} attempts", database) from exc
                self._back_off(attempt, exc)
            except UpgradeFailed as exc:
                raise self._failed(exc, "", database) from exc

    def _drop_left(self, step: PlannedStep) -> None:
        """An index that the failed attempt left invalid would fail the next one, or pass for a good one."""
        for name in self.tools.database.invalid_indexes():
            is_its_own = name not in self._invalid_before and step.names(name)
            if is_its_own and self.tools.database.drop_invalid_index(name, lock_timeout_s=self.limits.lock_timeout_s):
                self.tools.report.note(f"dropped the index {name}, which the failed attempt left invalid")

    def _hear(self, revision: str, duration_s: float) -> None:
        self.applied.append(AppliedStep(revision, duration_s))
        self.tools.report.note(f"applied {revision} in {duration_s:.1f} s")

    def _back_off(self, attempt: int, exc: DeadlinePassed) -> None:
        pause = self.limits.back_off_s * 2 ** (attempt - 2) * (0.5 + self.tools.jitter())
        self.tools.report.warn(f"{exc.message} ({exc.cause}); attempt {attempt} in {pause:.1f} s")
        self.tools.clock.sleep(pause)

    def _failed(self, exc: OpsError, how_often: str, database: str | None) -> UpgradeFailed:
        before = ", ".join(step.revision for step in self.applied) or "none"
        is_copy = database is not None
        if is_copy:
            self.applied.clear()
            state = "a copy failed, the live database was not touched"
        else:
            state = f"applied before it: {before}; the database is at {self._now()}"
        recovery = f"; recovery point: {self.recovery.kind} {self.recovery.name}" if self.recovery else ""
        message = " after ".join(filter(None, (exc.message, how_often)))
        hint = "inv rollback, to go back to before this migrate" if self.applied else "inv migrate, once it is mended"
        return UpgradeFailed(f"{message}; {state}{recovery}", cause=self._cause(exc), hint=hint)

    def _now(self) -> str:
        try:
            return ", ".join(self.tools.database.revisions()) or "base"
        except OpsError as exc:
            return f"a revision that cannot be told now ({exc.message})"

    def _cause(self, exc: OpsError) -> str | None:
        """What Alembic said, with what a revision that ran outside a transaction may have left behind."""
        failed = self.steps[len(self.applied)] if len(self.applied) < len(self.steps) else None
        if failed is None or not failed.is_concurrent:
            return exc.cause
        left = self.tools.database.integrity_problems(self.plan.database)
        return "; ".join(filter(None, (exc.cause, *left)))

    def _check(self, before: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Where the database is now, and what does not hold; what did not hold before either is told, no more."""
        reached = self.tools.database.revisions() or self.tools.migrator.current()
        if self.plan.target not in reached:
            raise UpgradeFailed(
                f"every revision ran, but the database is at {', '.join(reached) or 'base'}, not {self.plan.target}",
                cause="env.py migrates another database, or ends without a commit",
                hint="alembic current",
            )
        found = (*self._drift(), *self.tools.database.integrity_problems(self.plan.database))
        for problem in found:
            self.tools.report.warn(f"{problem} (so before this migrate)" if problem in before else problem)
        return reached, tuple(problem for problem in found if problem not in before)

    def _drift(self) -> Sequence[str]:
        if self.plan.target != self.plan.head:
            return ()  # models describe the head; a stop before it differs on purpose
        try:
            return self.tools.migrator.drift()
        except OpsError as exc:
            return (f"whether models and database differ is unknown: {exc.message} ({exc.cause})",)
