"""A stack in memory for the tests of restore and rollback."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from ops.actions.backup import take_backup
from ops.actions.restore import RestoreRequest, plan_restore, restore
from ops.actions.restore_tools import RestoreTools
from ops.actions.rollback import plan_rollback, rollback
from ops.actions.rollback_run import RollbackReport, RollbackTools
from ops.model.database import DatabaseCopy, DatabaseFacts, ServerOffers
from ops.model.manifest import DatabaseIdentity, Manifest, Reason
from ops.model.restore_plan import RestorePlan
from ops.model.restore_report import RestoreReport
from ops.model.rollback_plan import RollbackPlan
from ops.ports import Dump, LoadSource, Reporter
from tests.fakes.archive_files import FakeArchiveFiles
from tests.fakes.archives import FakeArchives
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.journal import FakeJournal
from tests.fakes.lock import FakeLock
from tests.fakes.manifests import FACTS
from tests.fakes.migrator import LIVE, FakeMigrator
from tests.fakes.reporter import RecordingReporter


class RevisionedDatabase(FakeDatabase):
    """A `FakeDatabase` whose revisions are the migrator's; `errors` maps a method to what it raises."""

    def __init__(self, migrator: FakeMigrator, tables: dict[str, list[str]]) -> None:
        super().__init__(tables, facts=replace(FACTS, name=LIVE))
        self.migrator = migrator
        self.errors: dict[str, BaseException] = {}
        self.extensions = frozenset({"plpgsql"})
        self.problems: tuple[str, ...] = ()
        self.carried: list[DatabaseFacts] = []

    def revisions(self, name: str | None = None) -> tuple[str, ...]:
        self._tables(name)
        return self.migrator.current(name)

    def offers(self) -> ServerOffers:
        return replace(super().offers(), extensions=self.extensions, codecs=frozenset({"none", "gzip", "zstd"}))

    def dump(self, write: Callable[[bytes], None], **limits: Any) -> Dump:
        self.revision = self.revisions()
        return super().dump(write, **limits)

    def load(self, name: str, source: LoadSource, *, jobs: int, report: Reporter) -> None:
        self._fail("load")
        super().load(name, source, jobs=jobs, report=report)
        tables = self.tables_of[name]
        self.migrator.at[name] = tuple(tables.get("public.alembic_version", ()))

    def tables(self, name: str | None = None):
        if name is not None:
            self._fail("tables")
        return super().tables(name)

    def create_copy(self, copy: DatabaseCopy, like: DatabaseFacts) -> None:
        self._fail("create_copy")
        super().create_copy(copy, like)

    def integrity_problems(self, name: str) -> tuple[str, ...]:
        self._fail("integrity_problems")
        return self.problems

    def analyze(self, name: str) -> None:
        self._fail("analyze")

    def carry_over(self, name: str, facts: DatabaseFacts) -> tuple[str, ...]:
        self._fail("carry_over")
        self.carried.append(facts)
        return ()

    def swap(self, copy: str, kept: DatabaseCopy) -> float:
        self._fail("swap")
        gap_s = super().swap(copy, kept)
        at = self.migrator.at
        at[kept.name] = at.get(LIVE, ())
        at[LIVE] = at.pop(copy, ())
        return gap_s

    def drop_copy(self, name: str) -> None:
        super().drop_copy(name)
        self.migrator.at.pop(name, None)

    def _fail(self, method: str) -> None:
        if method in self.errors:
            raise self.errors[method]


class Bench:
    """A stack whose live database holds `rows` in the table `public.users` and stands at the migrator's revision."""

    def __init__(self, folder: Path, migrator: FakeMigrator, rows: Sequence[str] = ("a", "b")) -> None:
        self.folder = folder
        self.migrator = migrator
        self.database = RevisionedDatabase(migrator, {"public.users": list(rows)})
        self.mark_revision()
        self.archives = FakeArchives(folder)
        self.others = FakeArchives(folder / "other")
        self.journal, self.lock, self.clock = FakeJournal(), FakeLock(), FakeClock()
        self.report = RecordingReporter()
        self.stack = "comic-pile"
        self.identity: DatabaseIdentity | None = None
        self.on_step: Callable[[str], None] = lambda _step: None

    @property
    def tools(self) -> RestoreTools:
        return RestoreTools(
            database=self.database, archives=self.archives, catalog_of=lambda _stack: self.others,
            files=FakeArchiveFiles(self.archives, self.others), migrator=self.migrator, lock=self.lock,
            journal=self.journal, clock=self.clock, report=self.report, by="me@here 1", stack=self.stack, live=LIVE,
            checkpoint=self.on_step, identity=self.identity,
        )  # fmt: skip

    @property
    def rows(self) -> list[str]:
        return self.database.tables_of[LIVE]["public.users"]

    @rows.setter
    def rows(self, rows: list[str]) -> None:
        self.database.tables_of[LIVE]["public.users"] = rows

    def mark_revision(self) -> None:
        """The version table holds what the migrator says."""
        self.database.tables_of[LIVE]["public.alembic_version"] = list(self.migrator.current())

    def pass_time(self, seconds: float = 60) -> None:
        self.clock.jump(timedelta(seconds=seconds))

    def backup(self, reason: Reason = "manual", *, stack: str = "", archives: FakeArchives | None = None) -> Manifest:
        self.mark_revision()
        self.pass_time()
        catalog = archives or self.archives
        catalog.folder.mkdir(exist_ok=True)
        return take_backup(
            database=self.database, archives=catalog, clock=self.clock, report=self.report,
            stack=stack or self.stack, environment="development", reason=reason,
        )  # fmt: skip

    def plan(self, **request: Any) -> RestorePlan:
        self.pass_time()
        return plan_restore(RestoreRequest(**request), self.tools)

    def restore(self, **request: Any) -> RestoreReport:
        return restore(self.plan(**request), self.tools)

    def rollback_tools(self) -> RollbackTools:
        return RollbackTools(self.tools, lambda _note, _until: self.backup("before-rollback").id)

    def plan_rollback(self) -> RollbackPlan:
        self.pass_time()
        return plan_rollback(self.rollback_tools())

    def rollback(self) -> RollbackReport:
        return rollback(self.plan_rollback(), self.rollback_tools())

    def foreign(self, **tables: list[str]) -> str:
        path = self.folder / "theirs.dump"
        path.write_text(json.dumps({f"public.{name}": rows for name, rows in tables.items()}))
        return str(path)

    def frozen(self) -> Bench:
        """The world as it is at this moment, as a process that is killed now leaves it."""
        twin = copy.copy(self)
        (database, journal) = copy.deepcopy((self.database, self.journal))
        twin.database, twin.migrator, twin.journal = database, database.migrator, journal
        twin.lock, twin.report, twin.on_step = FakeLock(), RecordingReporter(), lambda _step: None
        return twin
