"""In which steps does a new database come to stand where the live one stood?

Each step is timed and ends in a checkpoint. Up to the swap nothing touches the live database; whatever fails before
it drops the new database and leaves a line in the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ops.actions.encrypted import prove
from ops.actions.loaded_backup import refuse_differences, source_of
from ops.actions.restore_tools import MIGRATE_LOCK_TIMEOUT_S, MIGRATE_STATEMENT_TIMEOUT_S, RestoreTools
from ops.actions.scratch_change import ScratchChange
from ops.errors import ArchiveCorrupt, RestoreRefused, RevisionConflict
from ops.model.change import Change
from ops.model.database import DatabaseCopy, DatabaseFacts, TableSummary
from ops.model.manifest import Manifest
from ops.model.masked_settings import unmasked
from ops.model.restore_plan import RestorePlan
from ops.model.restore_report import RestoreReport
from ops.ports import Migrator


@dataclass(slots=True)
class RestoreRun:
    """One restore under its locks."""

    plan: RestorePlan
    tools: RestoreTools
    is_swapped: bool = False
    is_lent: bool = False
    """Whether what the new database was lent for is done."""
    _manifest: Manifest | None = None
    _live: DatabaseFacts | None = None
    _change: ScratchChange = field(init=False)

    def __post_init__(self) -> None:
        self._change = ScratchChange(
            scratch=self.plan.scratch,
            kept=self.plan.kept,
            database=self.tools.database,
            journal=self.tools.journal,
            clock=self.tools.clock,
            report=self.tools.report,
            checkpoint=self.tools.checkpoint,
            is_done=lambda: self.is_swapped or self.is_lent,
            kept_until=self.plan.kept_until,
        )

    @property
    def steps_s(self) -> dict[str, float]:
        """The finished steps and how long each took."""
        return self._change.steps_s

    def check(self) -> None:
        """Refuse before anything changes: the source is whole and the one planned for, the target fits still.

        Raises: ArchiveCorrupt, RestoreRefused.
        """
        with self._change.step("check"):
            self._check_source()
            if self.tools.database.exists() != self.plan.is_live_there:
                raise RestoreRefused(
                    f"the live database {self.plan.database} came or went since the plan was made",
                    hint="inv restore --dry-run",
                )
            self._live = self.tools.database.facts() if self.plan.is_live_there else None
            blockers = self.tools.database.swap_blockers() if self.plan.is_swapped else ()
            if blockers:
                raise RestoreRefused("a swap would not be safe now", cause="; ".join(blockers))

    def carry_out(self) -> RestoreReport:
        """Make, load, compare, migrate, check, analyse, carry over, swap. Raises what each of them raises."""
        with self._change.recorded(self._started(), self._to_revisions), self._change.dropped_on_failure():
            roles = self._create()
            self._load()
            tables = self._compare()
            applied = self._migrate()
            problems = self._check_integrity()
            with self._change.step("analyze"):
                self.tools.database.analyze(self.plan.scratch)
            revisions = self.tools.database.revisions(self.plan.scratch)
            lost = self._carry_over()  # last: a connection limit or a setting could keep us ourselves out
            away_s = self._finish()
        return self._report(
            tables, revisions, applied=applied, problems=problems, roles=roles, lost=lost, away_s=away_s
        )

    def lend(self, use: Callable[[], None]) -> tuple[str, ...]:
        """Make, load and compare as a restore does, let `use` work with the new database, and drop it again.

        Returns: roles that were made. Raises what each of them raises.
        """
        with self._change.recorded(self._started(), self._to_revisions):
            try:
                roles = self._create()
                self._load()
                self._compare()
                with self._change.step("copy"):
                    use()
                    self.is_lent = True
            finally:
                self._change.drop_scratch()
        return roles

    def _check_source(self) -> None:
        plan, path = self.plan, Path(self.plan.file)
        size_bytes, sha256 = self.tools.files.digest(path, self.tools.report)
        if plan.source == "backup":
            self._manifest = self.tools.files.manifest_beside(path)
            if self._manifest is None or self._manifest.sha256 != plan.sha256:
                raise RestoreRefused(f"the manifest of {plan.backup_id} changed since the plan was made")
            if (size_bytes, sha256) != (plan.archive_size_bytes, plan.sha256):
                raise ArchiveCorrupt(
                    f"the archive of {plan.backup_id} is not what its manifest says; nothing was changed",
                    cause=f"{size_bytes} bytes, SHA-256 {sha256[:16]}..., expected {plan.archive_size_bytes} bytes,"
                    f" {plan.sha256[:16]}...",
                    hint="inv backups, then another one: inv restore --file ID",
                )
            if self._manifest.encryption is not None and self.tools.sealing is not None:
                prove(self._manifest, path, self.tools.sealing, self.tools.report)
        elif size_bytes != plan.archive_size_bytes:
            raise RestoreRefused(f"{path} changed since the plan was made", hint="inv restore --dry-run")

    def _create(self) -> tuple[str, ...]:
        database, manifest = self.tools.database, self._manifest
        with self._change.step("create"):
            roles = database.ensure_roles(manifest.database.roles) if manifest else ()
            if roles:
                self.tools.report.warn(f"made roles that were missing, without login: {', '.join(roles)}")
            database.create_copy(self._described("scratch", self.plan.scratch), self._like())
        return roles

    def _like(self) -> DatabaseFacts:
        """Whose encoding, locale and owner the new database gets: the live one's, else the backup's."""
        if self._live is not None:
            return self._live
        if self._manifest is not None:
            return self._manifest.database
        plan = self.plan
        return DatabaseFacts(plan.database_kind, plan.database, "", 0, "", 0)

    def _load(self) -> None:
        plan = self.plan
        is_foreign = plan.source == "foreign"
        path = Path(plan.file)
        if is_foreign:
            source = replace(self.tools.files.probe(path), loaded_bytes=plan.need_bytes)
        else:
            source = source_of(self._manifest, path, self.tools.sealing)
        with self._change.step("load"):
            self.tools.database.load(plan.scratch, source, jobs=self.tools.jobs, report=self.tools.report)

    def _compare(self) -> tuple[TableSummary, ...]:
        with self._change.step("compare"):
            found = self.tools.database.tables(self.plan.scratch)
            if self._manifest is not None:
                refuse_differences(self._manifest, found)
        return found

    def _migrate(self) -> tuple[str, ...]:
        migrator, plan = self.tools.migrator, self.plan
        with self._change.step("migrate"):
            if migrator is None or plan.is_revision_kept:
                return ()
            pending = self._pending(migrator)
            if pending:
                migrator.upgrade_each(
                    pending,
                    database=plan.scratch,
                    lock_timeout_s=MIGRATE_LOCK_TIMEOUT_S,
                    statement_timeout_s=MIGRATE_STATEMENT_TIMEOUT_S,
                )
        return pending

    def _pending(self, migrator: Migrator) -> tuple[str, ...]:
        """What the loaded database lacks; its own version table decides, not what a manifest says."""
        current = self.tools.database.revisions(self.plan.scratch)
        if not current:
            self.tools.report.warn("the restored database has no revision: its schema stays as it is")
            return ()
        history = migrator.history()
        unknown = [name for name in current if history.find(name) is None]
        if unknown or len(history.heads) > 1:
            why = f"its revision {', '.join(unknown)} is not in this checkout's history" if unknown else "several heads"
            raise RevisionConflict(
                f"{self.plan.file} cannot be brought to the head revision; the live database is as it was",
                cause=why,
                hint="inv restore with --keep-revision, or git pull first",
            )
        return tuple(revision.id for revision in history.pending(current))

    def _check_integrity(self) -> tuple[str, ...]:
        with self._change.step("integrity"):
            problems = self.tools.database.integrity_problems(self.plan.scratch)
        for problem in problems:
            self.tools.report.warn(problem)
        return problems

    def _carry_over(self) -> tuple[str, ...]:
        """A backup of this very stack brings its own surroundings, everything else gets the live ones."""
        manifest = self._manifest
        is_own = manifest is not None and manifest.stack == self.plan.stack
        facts = manifest.database if manifest is not None and (is_own or self._live is None) else self._live
        lost: tuple[str, ...] = ()
        with self._change.step("carry_over"):
            if facts is not None:
                facts, secret = unmasked(facts, self._live)
                lost = (*secret, *self.tools.database.carry_over(self.plan.scratch, facts))
        for text in lost:
            self.tools.report.warn(f"not carried over: {text}")
        return lost

    def _finish(self) -> float:
        plan, database = self.plan, self.tools.database
        with self._change.step("swap"):
            if plan.is_swapped:
                away_s = database.swap(plan.scratch, self._described("recovery-point", plan.kept))
                self.is_swapped = True
                return away_s
            database.describe_copy(self._described("kept", plan.target))
            self.is_swapped = True
            return 0.0

    def _described(self, role: str, name: str) -> DatabaseCopy:
        plan = self.plan
        return DatabaseCopy(
            name=name,
            role="recovery-point" if role == "recovery-point" else "kept" if role == "kept" else "scratch",
            live=plan.database,
            change=plan.kind,
            change_id=plan.change_id,
            created_at=self.tools.clock.now(),
            expires_at=None if role == "scratch" else plan.kept_until,
        )

    def _started(self) -> Change:
        plan, tools = self.plan, self.tools
        return Change(
            id=plan.change_id,
            kind=plan.kind,
            state="started",
            at=tools.clock.now(),
            by=tools.by,
            database=plan.database,
            from_revisions=tools.database.revisions() if plan.is_live_there else (),
            undoes=plan.undoes,
            details={"source": plan.backup_id or plan.file, "target": plan.target},
        )

    def _to_revisions(self) -> tuple[str, ...]:
        is_live = self.plan.is_swapped or self.is_lent
        return self.tools.database.revisions(None if is_live else self.plan.target)

    def _report(
        self,
        tables: tuple[TableSummary, ...],
        revisions: tuple[str, ...],
        *,
        applied: tuple[str, ...],
        problems: tuple[str, ...],
        roles: tuple[str, ...],
        lost: tuple[str, ...],
        away_s: float,
    ) -> RestoreReport:
        plan, spent = self.plan, self.steps_s
        return RestoreReport(
            change_id=plan.change_id,
            database=plan.target,
            is_swapped=plan.is_swapped,
            source=plan.backup_id or plan.file,
            kept=plan.kept,
            kept_until=plan.kept_until,
            revisions=revisions,
            applied=applied,
            tables=len(tables),
            rows=sum(table.row_count for table in tables),
            is_verified=self._manifest is not None,
            roles_made=roles,
            not_carried_over=lost,
            problems=problems,
            cleaned=(),
            check_s=spent["check"],
            create_s=spent["create"],
            load_s=spent["load"],
            compare_s=spent["compare"],
            migrate_s=spent["migrate"],
            integrity_s=spent["integrity"],
            analyze_s=spent["analyze"],
            carry_over_s=spent["carry_over"],
            swap_s=spent["swap"],
            away_s=round(away_s, 3),
            total_s=0.0,
        )
