"""A schema history in memory, and the databases it is applied to."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.errors import Irreversible, LockHeld, OpsError, RevisionConflict
from ops.model.database import DatabaseCopy, DatabaseFacts, TableSummary
from ops.model.revision import History, Outlook, Revision, StepSql

LIVE = "shop"


def line(*names: str, back: bool = True) -> History:
    """A history without forks."""
    downs = [(), *((name,) for name in names)]
    revisions = tuple(
        Revision(name, down, f"makes {name}", f"versions/{name}.py", back)
        for name, down in zip(names, downs, strict=False)
    )
    return History(revisions, names[-1:])


class FakeMigrator:
    """Keeps which revision each database is at.

    `failures` maps a revision to the errors that its next attempts raise, in order; `log` lists what was done.
    """

    def __init__(
        self,
        history: History,
        *,
        at: Sequence[str] = (),
        sql: Mapping[str, str | None] | None = None,
        failures: Mapping[str, list[OpsError | BaseException]] | None = None,
        drifts: Sequence[str] = (),
        log: list[str] | None = None,
    ) -> None:
        self._history = history
        self.at: dict[str, tuple[str, ...]] = {LIVE: tuple(at)}
        self._sql = dict(sql or {})
        self.failures = {name: list(errors) for name, errors in (failures or {}).items()}
        self.drifts = tuple(drifts)
        self.log = [] if log is None else log
        self.timeouts: dict[str, float] = {}
        """Revision -> the lock timeout that it was applied with."""
        self.created: list[tuple[str, bool]] = []

    def history(self) -> History:
        return self._history

    def outlook(self, current: Sequence[str]) -> Outlook:
        names = [item.id for item in self._history.pending(current)]
        return Outlook(self._history, self._step_sql(names))

    def downgrade_sql(self, revisions: Sequence[str]) -> Mapping[str, StepSql]:
        return self._step_sql([f"-{name}" for name in revisions])

    def _step_sql(self, names: Sequence[str]) -> dict[str, StepSql]:
        texts = {name: self._sql.get(name, f"CREATE TABLE t_{name} (id int)") for name in names}
        return {
            name.removeprefix("-"): StepSql(text, "" if text is not None else "reads data")
            for name, text in texts.items()
        }

    def sql(self, start: str | None, target: str) -> str:
        names = [item.id for item in self._history.pending([start] if start else [])]
        return ";\n".join(step.text or "" for step in self._step_sql(names[: names.index(target) + 1]).values())

    def current(self, database: str | None = None) -> tuple[str, ...]:
        return self.at.get(database or LIVE, ())

    def upgrade(self, target, *, database=None, lock_timeout_s, statement_timeout_s):
        wanted = self._history.with_ancestors([target])
        names = [item.id for item in self._history.pending(self.current(database)) if item.id in wanted]
        self.upgrade_each(
            names, database=database, lock_timeout_s=lock_timeout_s, statement_timeout_s=statement_timeout_s
        )

    def upgrade_each(self, targets, *, database=None, lock_timeout_s, statement_timeout_s, on_applied=None):
        for target in targets:
            if self.failures.get(target):
                self.log.append(f"failed {target}")
                raise self.failures[target].pop(0)
            parents = {
                parent for item in self._history.revisions if item.id == target for parent in item.down_revisions
            }
            self.at[database or LIVE] = (*(name for name in self.current(database) if name not in parents), target)
            self.timeouts[target] = lock_timeout_s
            self.log.append(f"applied {target}")
            if on_applied is not None:
                on_applied(target, 0.5)

    def downgrade(self, target, *, database=None, lock_timeout_s, statement_timeout_s):
        gone = self._history.with_ancestors(self.current(database)) - self._history.with_ancestors([target])
        for item in self._history.revisions:
            if item.id in gone and not item.has_downgrade:
                raise Irreversible(f"revision {item.id} has no downgrade")
        self.at[database or LIVE] = () if target == "base" else (target,)
        self.log.append(f"downgraded to {target}")

    def drift(self, database: str | None = None) -> tuple[str, ...]:
        return self.drifts

    def create(self, message: str, *, autogenerate: bool) -> Path:
        if autogenerate and self.current() != self._history.heads:
            raise RevisionConflict("the database is not at the head revision", hint="inv migrate")
        self.created.append((message, autogenerate))
        return Path("versions") / f"{message}.py"


class MigratedDatabase:
    """The least of a `Database` that a migrate needs; its revisions are the migrator's."""

    def __init__(
        self,
        migrator: FakeMigrator,
        *,
        kind: str = "postgresql",
        tables: Sequence[str] = (),
        problems: Sequence[str] = (),
        held_by: str = "",
    ) -> None:
        self.migrator = migrator
        self.kind = kind
        self.contents = {LIVE: tuple(TableSummary(name, 1, "00") for name in tables)}
        self.problems = tuple(problems)
        self.held_by = held_by
        self.made: list[DatabaseCopy] = []

    def exists(self, name: str | None = None) -> bool:
        return True

    def facts(self, name: str | None = None) -> DatabaseFacts:
        return DatabaseFacts(self.kind, name or LIVE, "17.11", 17, "1", 25_000_000)

    def tables(self, name: str | None = None) -> tuple[TableSummary, ...]:
        return self.contents[name or LIVE]

    def revisions(self, name: str | None = None) -> tuple[str, ...]:
        return self.migrator.current(name)

    def version_tables(self) -> tuple[str, ...]:
        return ("public.alembic_version",)

    def integrity_problems(self, name: str) -> tuple[str, ...]:
        return self.problems

    def invalid_indexes(self) -> tuple[str, ...]:
        return ()

    def drop_invalid_index(self, name: str, *, lock_timeout_s: float) -> bool:
        return False

    @contextlib.contextmanager
    def exclusive(self, what: str, *, wait_s: float = 0.0):
        if self.held_by:
            raise LockHeld(f"{what} cannot start: {self.held_by}")
        self.migrator.log.append("database locked")
        yield
        self.migrator.log.append("database unlocked")
