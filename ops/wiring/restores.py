"""How do `inv restore` and `inv rollback` flow: guard, plan, show, ask, execute exactly that plan?"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ops.errors import BackupNotFound
from ops.model.moment import parse_moment
from ops.wiring.backups import warn_of_damaged
from ops.wiring.guard import refuse_another_database
from ops.wiring.live_database import live_database
from ops.wiring.offsite import fetch
from ops.wiring.sealing import sealing_of

if TYPE_CHECKING:
    from ops.actions.restore import RestoreRequest
    from ops.actions.restore_tools import RestoreTools
    from ops.actions.rollback_run import RollbackReport
    from ops.model.manifest import Manifest
    from ops.model.restore_plan import RestorePlan
    from ops.model.restore_report import RestoreReport
    from ops.model.rollback_plan import RollbackPlan
    from ops.model.tables_plan import TablesPlan, TablesReport
    from ops.wiring.toolbox import Toolbox


def restore_tools(tools: Toolbox) -> RestoreTools:
    """What a restore works with."""
    from ops.actions.restore_tools import RestoreTools
    from ops.adapters.archive_folder import ArchiveFolder
    from ops.adapters.archive_probe import NamedFiles

    return RestoreTools(
        database=tools.database,
        archives=tools.archives,
        catalog_of=lambda stack: ArchiveFolder(tools.settings.backup_dir, stack),
        files=NamedFiles(),
        migrator=tools.migrator if tools.project.alembic_config.exists() else None,
        lock=tools.lock,
        journal=tools.journal,
        clock=tools.clock,
        report=tools.report,
        by=tools.by,
        stack=tools.stack_name,
        live=tools.live_name,
        sealing=sealing_of(tools),
        identity=live_database(tools),
    )


def restore(
    tools: Toolbox,
    *,
    file: str,
    is_latest: bool,
    at: str,
    name: str,
    is_revision_kept: bool,
    from_stack: str,
    source: str,
    is_dry: bool,
    is_confirmed: bool,
    lock_wait_s: float,
) -> tuple[RestorePlan, RestoreReport | None]:
    """Plan a restore, and unless dry ask, fetch what is elsewhere, and carry out exactly that plan."""
    from ops.actions.restore import RestoreRequest, catalog_words, plan_restore
    from ops.actions.restore import restore as carry_out

    refuse_another_database(tools)
    request = RestoreRequest(
        file=file,
        is_latest=is_latest,
        at=parse_moment(at) if at else None,
        as_name=name,
        is_revision_kept=is_revision_kept,
        from_stack=from_stack,
    )
    given = restore_tools(tools)
    if not source and (is_latest or at):
        warn_of_damaged(tools)
    found = _found_offsite(tools, request, source) if source else None
    plan = plan_restore(request, given, found=found)
    if is_dry:
        return plan, None
    plan.refuse(catalog_words(request, source))
    if plan.is_swapped and plan.is_live_there:
        tools.confirm(_question(plan, source), is_confirmed=is_confirmed)
    if found is not None:
        fetch(tools, found[0], source, stack=from_stack, wait_s=lock_wait_s)
    return plan, carry_out(plan, given, lock_wait_s=lock_wait_s)


def _question(plan: RestorePlan, source: str) -> str:
    fetched = f", downloaded from {source} first ({plan.archive_size_bytes / 1e6:.0f} MB)" if source else ""
    return (
        f"{plan.database} ({plan.live_size_bytes / 1e6:.0f} MB) would give way to "
        f"{plan.backup_id or plan.file}{fetched}; the old database is kept as {plan.kept}"
    )


def restore_tables(
    tools: Toolbox,
    *,
    tables: str,
    file: str,
    is_latest: bool,
    at: str,
    name: str,
    from_stack: str,
    source: str,
    is_dry: bool,
    lock_wait_s: float,
) -> tuple[TablesPlan, TablesReport | None]:
    """Plan loading single tables beside the live ones, and unless dry do it: nothing is replaced, nobody is asked."""
    from ops.actions.restore import RestoreRequest, catalog_words
    from ops.actions.restore_tables import plan_tables
    from ops.actions.restore_tables import restore_tables as carry_out

    refuse_another_database(tools)
    names = [one.strip() for one in tables.split(",") if one.strip()]
    request = RestoreRequest(
        file=file, is_latest=is_latest, at=parse_moment(at) if at else None, as_name=name, from_stack=from_stack
    )
    given = restore_tools(tools)
    if not source and (is_latest or at):
        warn_of_damaged(tools)
    found = _found_offsite(tools, request, source) if source else None
    plan = plan_tables(names, request, given, found=found)
    if is_dry:
        return plan, None
    plan.refuse(catalog_words(request, source))
    if found is not None:
        fetch(tools, found[0], source, stack=from_stack, wait_s=lock_wait_s)
    return plan, carry_out(plan, given, lock_wait_s=lock_wait_s)


def _found_offsite(tools: Toolbox, request: RestoreRequest, source: str) -> tuple[Manifest, Path]:
    """The backup that is meant in an off-site target's catalog, and where its archive will lie here."""
    from ops.actions.restore import newest_good, whose
    from ops.wiring.offsite import remote_manifests

    there = remote_manifests(tools, source, stack=request.from_stack)
    if request.file:
        manifest = next((one for one in there if one.id == request.file), None)
        if manifest is None:
            raise BackupNotFound(
                f"no backup {request.file} in the off-site target {source}",
                cause="with --from, --file takes the id of a backup",
                hint=f"inv restore --from {source} --latest --dry-run",
            )
    else:
        live = whose(request, live_database(tools))
        manifest = newest_good(request, there, (), tools.clock.now(), tools.report, live=live, source=source)
    tools.report.note(f"{manifest.id} is taken from {source}: {manifest.size_bytes} bytes to download")
    return manifest, tools.settings.backup_dir / manifest.stack / manifest.archive


def rollback(
    tools: Toolbox, *, is_dry: bool, is_confirmed: bool, lock_wait_s: float
) -> tuple[RollbackPlan, RollbackReport | None]:
    """Plan a rollback, and unless dry ask and carry out exactly that plan."""
    from ops.actions.rollback import plan_rollback
    from ops.actions.rollback import rollback as carry_out
    from ops.actions.rollback_run import RollbackTools
    from ops.wiring.backups import take

    refuse_another_database(tools)

    def keep_backup(note: str, expires_at: datetime) -> str:
        return take(tools, reason="before-rollback", note=note, pin=True, expires_at=expires_at).id

    given = RollbackTools(restore=restore_tools(tools), keep_backup=keep_backup)
    plan = plan_rollback(given)
    if is_dry:
        return plan, None
    differs = [
        f"{one.name} {'-' if one.rows_now is None else one.rows_now} -> "
        f"{'-' if one.rows_then is None else one.rows_then} rows"
        for one in plan.set_aside
    ]
    changed = "; ".join([*([", ".join(differs)] if differs else []), *plan.loses])
    tools.confirm(
        f"{plan.undone_kind} {plan.undoes} would be undone by {plan.way}; what differs: {changed or 'nothing'}; "
        "what is replaced is kept",
        is_confirmed=is_confirmed,
    )
    return plan, carry_out(plan, given, lock_wait_s=lock_wait_s)
