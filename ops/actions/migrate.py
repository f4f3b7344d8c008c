"""How is a database brought to the head revision so that it cannot half-happen?

Order: file lock, advisory lock, read where the database stands *under the locks*, keep a recovery point where the
plan says so, apply one revision at a time in its own transaction with a short `lock_timeout` and retries, then
check. A failure names the revision, what was applied before it, and the way back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from ops.actions.migrate_run import Limits, MigrateTools, MigrationRun
from ops.model.database import DatabaseFacts
from ops.model.migration_plan import Lint, MigrationPlan, make_plan, planned_steps
from ops.model.migration_report import MigrationReport
from ops.model.pending import pending, target_of
from ops.model.sql_lint import lint
from ops.ports import Database, Migrator

DEFAULT_LIMITS = Limits()
NEW_FILE = "a new SQLite file"
"""What a plan calls a SQLite database that does not exist yet."""


def read_current(database: Database, migrator: Migrator) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The database's revisions and, only where it has none, its tables without the version table."""
    if _is_new_file(database):
        return (), ()
    current = database.revisions()
    if current:
        return current, ()
    own = database.version_tables()
    tables = tuple(item.name for item in database.tables() if item.name not in own)
    if tables:
        current = migrator.current()  # env.py may keep its version table elsewhere
    return current, tables


def _is_new_file(database: Database) -> bool:
    """Whether it is a SQLite file that does not exist yet; a missing PostgreSQL database is an error, not a start."""
    return not database.exists() and database.offers().kind == "sqlite"


def _facts(database: Database) -> DatabaseFacts:
    if not _is_new_file(database):
        return database.facts()
    offers = database.offers()
    return DatabaseFacts("sqlite", NEW_FILE, offers.server_version, offers.server_major, "", 0)


def plan_migration(tools: MigrateTools, *, target: str = "head", lint_with: Lint = lint) -> MigrationPlan:
    """What a migrate would do now; changes nothing.

    Raises: RevisionConflict (several heads, foreign or missing revision), ConfigurationError, DatabaseRefused.
    """
    current, tables = read_current(tools.database, tools.migrator)
    outlook = tools.migrator.outlook(current)
    revisions = pending(outlook.history, current, target=target, tables=tables)
    sizes = tools.sizes() if tools.sizes is not None and revisions and current else ()
    return make_plan(
        facts=_facts(tools.database),
        current=current,
        target=target_of(outlook.history, target),
        head=target_of(outlook.history),
        steps=planned_steps(outlook, revisions, lint_with),
        sizes=sizes,
        is_empty=not current and not tables,
    )


def migrate(plan: MigrationPlan, tools: MigrateTools, limits: Limits = DEFAULT_LIMITS) -> MigrationReport:
    """Carry out a plan; five at once apply each revision once, and all succeed.

    Raises: LockHeld (waited `lock_wait_s`), RevisionConflict (the database went elsewhere since the plan),
        UpgradeFailed (a revision failed or never got its lock), what `keep_backup` raises.
    """
    asked = tools.clock.monotonic()
    with _exclusive(tools, limits):
        waited = tools.clock.monotonic() - asked
        if plan.database == NEW_FILE:
            tools.migrator.current()  # connecting makes the empty file, so that from here on there is one
            plan = replace(plan, database=tools.database.facts().name)
        current, _tables = read_current(tools.database, tools.migrator)
        steps = plan.remaining(current)
        if not steps:
            return MigrationReport("", plan.database, current, current, (), None, (), wait_s=round(waited, 3))
        run = MigrationRun(plan, steps, current, tools, limits)
        with run.recorded():
            return replace(run.carry_out(), wait_s=round(waited, 3))


@contextlib.contextmanager
def _exclusive(tools: MigrateTools, limits: Limits) -> Iterator[None]:
    began = tools.clock.monotonic()
    with tools.lock.acquire("migrate", wait_s=limits.lock_wait_s):
        left = max(0.0, limits.lock_wait_s - (tools.clock.monotonic() - began))
        with tools.database.exclusive("migrate", wait_s=left):
            yield
