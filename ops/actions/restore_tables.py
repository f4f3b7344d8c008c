"""How do single tables of a backup come beside the live ones, for a look or to take rows from?

The whole backup is loaded into a scratch database and compared with its manifest, as for a restore; then the tables
that are wanted go over into a new schema of the live database, in one transaction. Nothing there is replaced or
swapped, so nothing has to be kept: dropping the schema undoes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ops.actions.clean_leftovers import clean_leftovers, drop_expired
from ops.actions.restore import RestoreRequest, find_source, plan_restore
from ops.actions.restore_run import RestoreRun
from ops.actions.restore_tools import RestoreTools
from ops.errors import RestoreRefused
from ops.model.copy_name import copy_name
from ops.model.manifest import Manifest
from ops.model.restore_plan import with_refusal
from ops.model.tables_plan import TablesPlan, TablesReport, schema_name, wanted_tables


def plan_tables(
    names: Sequence[str],
    request: RestoreRequest,
    tools: RestoreTools,
    *,
    found: tuple[Manifest, Path] | None = None,
) -> TablesPlan:
    """What loading these tables would do now; changes nothing.

    Args:
        names: `schema.table`, as the manifest writes them.
        request: which backup.
        tools: what a restore works with.
        found: the backup and where its archive will lie, where it was looked for elsewhere.

    Raises: RestoreRefused (a table that the backup has not, a foreign file, SQLite, `--as`, no live database),
        and what `plan_restore` raises.
    """
    if request.as_name:
        raise RestoreRefused(
            "--table loads into the live database, --as beside it", hint=f"inv restore --as {request.as_name}"
        )
    if tools.database.offers().kind == "sqlite":
        raise RestoreRefused(
            f"{tools.live} is a SQLite file and has no schemas to load single tables into",
            hint="inv restore --latest --as look, and take the rows from there: ATTACH DATABASE",
        )
    if not request.file and not request.is_latest and request.at is None:
        plan_restore(request, tools)  # says what is missing
    if not tools.database.exists():
        raise RestoreRefused(f"there is no live database {tools.live} to load tables into", hint="inv restore --latest")
    source = found or find_source(request, tools)
    if isinstance(source, Path):
        tools.files.probe(source)  # one that is missing, or no dump, is told as that
        raise RestoreRefused(
            f"{source.name} is not one of our backups: it has no manifest to compare tables with",
            hint=f"inv restore --file {source} --as look",
        )
    manifest = source[0]
    tables = wanted_tables(names, manifest)
    schema = schema_name(manifest.id)
    # Under a name of its own nothing is swapped; the tables are wanted as they were, so no revision is applied.
    loaded = plan_restore(replace(request, as_name=schema, is_revision_kept=True), tools, found=source)
    loaded = replace(loaded, scratch=copy_name(loaded.database, "scratch", loaded.change_id), kept_until=None)
    return TablesPlan(schema, tables, with_refusal(loaded, *tools.database.schema_blockers(schema)))


def restore_tables(plan: TablesPlan, tools: RestoreTools, *, lock_wait_s: float = 0.0) -> TablesReport:
    """Carry out a plan.

    Raises: LockHeld; RestoreRefused, ArchiveCorrupt, LoadFailed, DataDiffers - all of them with the live database as
        it was.
    """
    plan.refuse()
    began = tools.clock.monotonic()
    with tools.lock.acquire("restore", wait_s=lock_wait_s):
        left = max(0.0, lock_wait_s - (tools.clock.monotonic() - began))
        with tools.database.exclusive("restore", wait_s=left):
            return _carry_out(plan, tools)


def _carry_out(plan: TablesPlan, tools: RestoreTools) -> TablesReport:
    began = tools.clock.monotonic()
    database = tools.database
    cleaned = clean_leftovers(database=database, journal=tools.journal, clock=tools.clock, report=tools.report)
    run = RestoreRun(plan.restore, tools)
    run.check()
    if blockers := database.schema_blockers(plan.schema):
        raise RestoreRefused(f"{plan.schema} cannot be made", cause="; ".join(blockers), hint="inv restore --dry-run")
    roles = run.lend(lambda: database.copy_tables(plan.restore.scratch, plan.tables, plan.schema))
    drop_expired(database=database, now=tools.clock.now(), report=tools.report)
    done = TablesReport(
        change_id=plan.restore.change_id,
        database=plan.restore.database,
        schema=plan.schema,
        source=plan.restore.backup_id,
        tables=plan.tables,
        rows=sum(table.row_count for table in plan.tables),
        roles_made=roles,
        cleaned=cleaned,
        check_s=run.steps_s["check"],
        create_s=run.steps_s["create"],
        load_s=run.steps_s["load"],
        compare_s=run.steps_s["compare"],
        copy_s=run.steps_s["copy"],
        total_s=round(tools.clock.monotonic() - began, 3),
    )
    tools.report.finished(
        "restore.tables_finished", id=done.change_id, source=done.source, schema=done.schema, rows=done.rows,
        duration_s=done.total_s,
    )  # fmt: skip
    return done
