"""In which steps does a planned transfer build, fill, compare and swap in the new database?

Each step is timed and ends in a checkpoint. Up to the swap nothing touches the live database; whatever fails before it
drops the new database and leaves a line in the journal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ops.actions.restore_tools import MIGRATE_LOCK_TIMEOUT_S, MIGRATE_STATEMENT_TIMEOUT_S
from ops.actions.scratch_change import ScratchChange
from ops.actions.transfer_tools import TransferTools
from ops.errors import RestoreRefused, RevisionConflict
from ops.model.change import Change
from ops.model.database import CopyRole, DatabaseCopy, DatabaseFacts
from ops.model.transfer.plan import LoadedTable, TransferPlan, TransferReport


@dataclass(slots=True)
class TransferRun:
    """One transfer under its locks."""

    plan: TransferPlan
    tools: TransferTools
    is_swapped: bool = False
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
            is_done=lambda: self.is_swapped,
        )

    def carry_out(self) -> TransferReport:
        """Build, load and compare, make keys, check, swap. Raises what each of them raises."""
        live = self._check()
        with (
            self._interruption_named(),
            self._change.recorded(self._started(), lambda: (self.plan.head,)),
            self._list_removed_on_failure(),
            self._change.dropped_on_failure(),
        ):
            self._create(live)
            loaded = self._load()
            sequences, problems, lost = self._settle(live)
            revisions = self.tools.database.revisions(self.plan.scratch)
            if self.plan.list_file:
                self.tools.bridge.keep_list(Path(self.plan.snapshot.path), Path(self.plan.list_file))
            with self._change.step("swap"):
                away_s = self._swap(live)
                self.is_swapped = True
        return self._report(loaded, sequences, problems, lost, revisions=revisions, away_s=away_s)

    def _check(self) -> DatabaseFacts | None:
        database = self.tools.database
        if database.exists() != self.plan.is_live_there:
            raise RestoreRefused(
                f"the live database {self.plan.database} came or went since the plan was made",
                hint=f"inv transfer --source sqlite:///{self.plan.file} --dry-run",
            )
        blockers = database.swap_blockers()
        if blockers:
            raise RestoreRefused("a swap would not be safe now", cause="; ".join(blockers))
        return database.facts() if self.plan.is_live_there else None

    def _create(self, live: DatabaseFacts | None) -> None:
        plan, tools = self.plan, self.tools
        with self._change.step("create"):
            like = live or DatabaseFacts("postgresql", plan.database, "", 0, "", 0)
            tools.database.create_copy(self._described("scratch", plan.scratch), like)
            tools.migrator.upgrade(
                plan.head,
                database=plan.scratch,
                lock_timeout_s=MIGRATE_LOCK_TIMEOUT_S,
                statement_timeout_s=MIGRATE_STATEMENT_TIMEOUT_S,
            )
            if set(tools.bridge.target_tables(plan.scratch)) != set(plan.target):
                raise RevisionConflict(
                    f"{plan.database} does not look as its revision {plan.head} makes it; nothing was changed",
                    cause="the plan was made for the tables of the live database",
                    hint="inv check shows the drift; inv migrate --dry-run",
                )

    def _load(self) -> tuple[LoadedTable, ...]:
        plan, bridge, copy = self.plan, self.tools.bridge, Path(self.plan.snapshot.path)
        with self._change.step("load"):
            keys = bridge.drop_keys(plan.scratch, plan.pairs)
            loaded = bridge.load(copy, plan.scratch, plan.pairs, plan.lines)
        with self._change.step("index"):
            bridge.make_keys(plan.scratch, plan.pairs, keys)
        return loaded

    def _settle(self, live: DatabaseFacts | None) -> tuple[Mapping[str, int], tuple[str, ...], tuple[str, ...]]:
        plan, database = self.plan, self.tools.database
        with self._change.step("finish"):
            sequences = self.tools.bridge.set_sequences(Path(plan.snapshot.path), plan.scratch, plan.pairs)
            database.analyze(plan.scratch)
            problems = database.integrity_problems(plan.scratch)
            lost = database.carry_over(plan.scratch, live) if live is not None else ()
        for text in (*problems, *(f"not carried over: {one}" for one in lost)):
            self.tools.report.warn(text)
        return sequences, problems, lost

    def _swap(self, live: DatabaseFacts | None) -> float:
        plan, database = self.plan, self.tools.database
        kept = plan.kept if live is not None else plan.scratch
        return database.swap(plan.scratch, self._described("recovery-point", kept))

    def _described(self, role: CopyRole, name: str) -> DatabaseCopy:
        plan = self.plan
        expires_at = plan.kept_until if role == "recovery-point" else None
        return DatabaseCopy(
            name, role, plan.database, "transfer", plan.change_id, self.tools.clock.now(), expires_at=expires_at
        )

    def _started(self) -> Change:
        plan, tools = self.plan, self.tools
        return Change(
            id=plan.change_id,
            kind="transfer",
            state="started",
            at=tools.clock.now(),
            by=tools.by,
            database=plan.database,
            from_revisions=tools.database.revisions() if plan.is_live_there else (),
            details={"source": plan.file},
        )

    @contextlib.contextmanager
    def _interruption_named(self) -> Iterator[None]:
        """Say how things are, once what was begun is undone, where a signal ends the run."""
        try:
            yield
        except Exception:
            raise
        except BaseException:
            plan = self.plan
            state = f"has the contents of {plan.file}, inv rollback goes back" if self.is_swapped else "is as it was"
            self.tools.report.warn(f"the transfer was interrupted: {plan.database} {state}")
            raise

    @contextlib.contextmanager
    def _list_removed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            if self.plan.list_file and not self.is_swapped:
                self.tools.bridge.remove_file(Path(self.plan.list_file))
            raise

    def _report(
        self,
        loaded: tuple[LoadedTable, ...],
        sequences: Mapping[str, int],
        problems: tuple[str, ...],
        lost: tuple[str, ...],
        *,
        revisions: tuple[str, ...],
        away_s: float,
    ) -> TransferReport:
        plan, spent = self.plan, self._change.steps_s
        return TransferReport(
            change_id=plan.change_id,
            source=plan.file,
            database=plan.database,
            kept=plan.kept,
            kept_until=plan.kept_until,
            revisions=revisions,
            rows=sum(table.rows for table in loaded),
            dropped=sum(table.dropped for table in plan.tables),
            quarantined=sum(table.quarantined for table in plan.tables),
            list_file=plan.list_file,
            tables=loaded,
            fixes=plan.fixes,
            sequences=sequences,
            problems=problems,
            warnings=(*plan.warnings, *(f"not carried over: {one}" for one in lost)),
            cleaned=(),
            prepare_s=plan.prepare_s,
            examine_s=plan.examine_s,
            create_s=spent["create"],
            load_s=spent["load"],
            index_s=spent["index"],
            finish_s=spent["finish"],
            swap_s=spent["swap"],
            away_s=round(away_s, 3),
            total_s=0.0,
        )
