"""How does a stack get back to the state before its last change?

By the quickest way that loses nothing which is not kept: swapping the kept database back, undoing revisions in place
where that brings everything back, or restoring the recovery point's backup. What is replaced is kept in turn, so
that a rollback can itself be rolled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from ops.actions.clean_leftovers import clean_leftovers, drop_expired, ends_of_interrupted
from ops.actions.restore import RestoreRequest, carry_out, plan_restore
from ops.actions.rollback_run import RollbackReport, RollbackTools, downgrade, swap_back, upgrade
from ops.actions.rollback_ways import InPlace, way_down, way_up
from ops.errors import BackupNotFound, Irreversible, RestoreRefused
from ops.model.backup_id import new_id
from ops.model.change import Change, RecoveryPoint
from ops.model.copy_name import copy_name
from ops.model.database import DatabaseCopy
from ops.model.manifest import Manifest, of_database
from ops.model.rollback_plan import RollbackPlan, Way, differences, estimate_s, last_change


def plan_rollback(tools: RollbackTools) -> RollbackPlan:
    """What a rollback would do now; changes nothing.

    Raises: Irreversible (nothing to go back to, or no way that keeps everything), RevisionConflict (the schema is not
        where the journal says), RestoreRefused (what is kept is not what the journal says), DatabaseRefused.
    """
    change, copies = _change_to_undo(tools)
    if change.recovery is not None and change.recovery.kind == "database":
        return _plan_swap(change, change.recovery, copies, tools)
    if change.recovery is None and change.details.get("way") == "downgrade":
        way = _way_up(change, tools)
        return _plan_in_place(change, "upgrade", way, tools, "the revisions that it undid are applied again")
    if _moved_revisions(change):
        return _plan_after_migrate(change, tools)
    if change.recovery is not None:
        return _plan_backup(change, change.recovery, tools, f"the {change.kind} kept a backup")
    raise _nothing_kept(change)


def rollback(plan: RollbackPlan, tools: RollbackTools, *, lock_wait_s: float = 0.0) -> RollbackReport:
    """Carry out a plan.

    Raises: LockHeld; RestoreRefused (something changed since the plan was made), and what the way taken raises. Up to
        a swap the live database stays as it was; revisions that were undone one by one stay undone.
    """
    base = tools.restore
    began = base.clock.monotonic()
    with base.lock.acquire("rollback", wait_s=lock_wait_s):
        left = max(0.0, lock_wait_s - (base.clock.monotonic() - began))
        with base.database.exclusive("rollback", wait_s=left):
            cleaned = clean_leftovers(
                database=base.database, journal=base.journal, clock=base.clock, report=base.report
            )
            _refuse_stale(plan, tools)
            report = _carry_out(plan, tools)
            drop_expired(database=base.database, now=base.clock.now(), report=base.report)
    return replace(report, cleaned=cleaned, total_s=round(base.clock.monotonic() - began, 3))


def _carry_out(plan: RollbackPlan, tools: RollbackTools) -> RollbackReport:
    if plan.way == "swap":
        return swap_back(plan, tools)
    if plan.way == "downgrade":
        return downgrade(plan, tools)
    if plan.way == "upgrade":
        return upgrade(plan, tools)
    if plan.restore is None:
        raise RestoreRefused("this rollback has no backup to restore")
    done = carry_out(plan.restore, tools.restore)
    return RollbackReport(
        change_id=done.change_id,
        undoes=plan.undoes,
        database=plan.database,
        way="restore",
        revisions=done.revisions,
        kept=RecoveryPoint("database", done.kept) if done.kept else None,
        kept_until=done.kept_until,
        away_s=done.away_s,
        restored=done,
    )


def _change_to_undo(tools: RollbackTools) -> tuple[Change, tuple[DatabaseCopy, ...]]:
    base = tools.restore
    copies = base.database.copies()
    written = base.journal.changes()
    changes = (*written, *ends_of_interrupted(written, copies, base.clock.now()))
    current = base.database.revisions() if base.database.exists() else ()
    effective = [change for change in changes if not _did_nothing(change, current)]
    backups = of_database(base.archives.manifests(), base.identity)
    change = last_change(effective, copies, backups, base.live)
    if change is None:
        raise Irreversible(
            f"there is no change of {base.live} to roll back",
            cause="neither the journal nor the server knows of a migrate, restore, transfer or rollback",
            hint="inv backups, then inv restore --file ID",
        )
    return _with_its_backup(change, backups), copies


def _did_nothing(change: Change, current: Sequence[str]) -> bool:
    """Whether a migrate was interrupted before its first revision was applied."""
    return change.kind == "migrate" and bool(change.details.get("is_unknown")) and change.from_revisions == current


def _with_its_backup(change: Change, backups: Sequence[Manifest]) -> Change:
    """A migrate that was interrupted had no time to write down its recovery point: the catalog has it."""
    if change.kind != "migrate" or change.recovery is not None:
        return change
    own = [item for item in backups if item.reason == "before-migrate" and item.id >= change.id]
    is_interrupted = bool(change.details.get("is_unknown"))
    oldest = min(own, key=lambda manifest: manifest.id, default=None) if is_interrupted else None
    return replace(change, recovery=RecoveryPoint("backup", oldest.id)) if oldest else change


def _plan_swap(
    change: Change, recovery: RecoveryPoint, copies: Sequence[DatabaseCopy], tools: RollbackTools
) -> RollbackPlan:
    base, database = tools.restore, tools.restore.database
    copy = next((copy for copy in copies if copy.name == recovery.name), None)
    if copy is None:
        if database.exists(recovery.name):
            raise RestoreRefused(
                f"{recovery.name} is there, but does not say that it was kept by this stack",
                cause="its comment was changed, or somebody made a database of that name",
                hint=f"look into it: inv shell, then \\c {recovery.name}",
            )
        raise Irreversible(
            f"the database kept before the {change.kind} of {change.id} is gone",
            cause=f"{recovery.name} was dropped when its time was over, or by hand",
            hint="inv backups, then inv restore --at a time before it",
        )
    blockers = database.swap_blockers()
    if blockers:
        raise RestoreRefused("a swap would not be safe now", cause="; ".join(blockers))
    is_there = database.exists()
    now = database.revisions() if is_there else ()
    warnings = []
    if change.to_revisions and now != change.to_revisions:
        warnings.append(
            f"the database is at {', '.join(now) or 'no revision'}, the {change.kind} left it at"
            f" {', '.join(change.to_revisions)}: what was migrated since is set aside too"
        )
    facts = database.facts(copy.name)
    plan = _plan(change, "swap", tools, because=f"the database of before the {change.kind} is still there")
    return replace(
        plan,
        recovery=recovery,
        revisions_now=now,
        revisions_after=database.revisions(copy.name),
        estimate_s=estimate_s("swap", facts.size_bytes, is_copied=facts.kind == "sqlite"),
        set_aside=differences(database.tables() if is_there else (), database.tables(copy.name)),
        keeps=RecoveryPoint("database", copy_name(base.live, "recovery-point", plan.change_id)) if is_there else None,
        warnings=tuple(warnings),
    )


def _plan_after_migrate(change: Change, tools: RollbackTools) -> RollbackPlan:
    base = tools.restore
    current = base.database.revisions()
    if change.details.get("is_unknown"):
        change = replace(change, to_revisions=current)
    if base.migrator is None:
        raise _nothing_kept(change)
    way = way_down(change, current, base.migrator, base.database.tables())
    if not way.certain:
        because = "every step can be undone and nothing is lost"
        if way.written_since:
            because = "every step can be undone; what was written into what they made is kept in a backup"
        return _plan_in_place(change, "downgrade", way, tools, because)
    if change.recovery is None:
        raise Irreversible(
            f"the migrate of {change.id} cannot be undone without loss, and no backup was kept before it",
            cause="; ".join(way.certain),
            hint="inv backups, then inv restore --at a time before it",
        )
    return _plan_backup(change, change.recovery, tools, way.certain[0])


def _plan_backup(change: Change, recovery: RecoveryPoint, tools: RollbackTools, because: str) -> RollbackPlan:
    base = tools.restore
    try:
        manifest = base.archives.find(recovery.name)
    except BackupNotFound as exc:
        raise Irreversible(
            f"the backup {recovery.name} kept before the {change.kind} of {change.id} is gone",
            cause=exc.cause or exc.message,
            hint="inv backups, then inv restore --file ID",
        ) from exc
    request = RestoreRequest(file=manifest.id, is_revision_kept=True)
    restore_plan = plan_restore(request, base, kind="rollback", undoes=change.id)
    restore_plan.refuse()
    is_there = restore_plan.is_live_there
    plan = _plan(change, "restore", tools, because=because)
    return replace(
        plan,
        change_id=restore_plan.change_id,
        recovery=recovery,
        revisions_now=base.database.revisions() if is_there else (),
        revisions_after=manifest.revisions,
        estimate_s=estimate_s("restore", manifest.database.size_bytes),
        set_aside=differences(base.database.tables() if is_there else (), manifest.tables),
        keeps=RecoveryPoint("database", restore_plan.kept) if restore_plan.kept else None,
        kept_until=restore_plan.kept_until,
        restore=restore_plan,
        warnings=restore_plan.warnings,
    )


def _moved_revisions(change: Change) -> bool:
    """Whether all it did was to apply revisions: a migrate, or a rollback that applied again what another undid."""
    if change.kind == "migrate":
        return not change.details.get("is_told_by_backup")
    return change.recovery is None and change.details.get("way") == "upgrade"


def _way_up(change: Change, tools: RollbackTools) -> InPlace:
    if tools.restore.migrator is None:
        raise _nothing_kept(change)
    return way_up(change, tools.restore.database.revisions(), tools.restore.migrator)


def _plan_in_place(change: Change, way: Way, found: InPlace, tools: RollbackTools, because: str) -> RollbackPlan:
    if found.written_since and tools.keep_backup is None:
        raise Irreversible(
            f"undoing the {change.kind} of {change.id} would lose data, and no backup can be kept",
            cause="; ".join(found.written_since),
        )
    plan = _plan(change, way, tools, because=because)
    return replace(
        plan,
        revisions_now=tools.restore.database.revisions(),
        revisions_after=() if found.target == "base" else (found.target,),
        steps=found.steps,
        estimate_s=estimate_s(way, 0),
        loses=found.written_since,
        keeps=RecoveryPoint("backup", "") if found.written_since else None,
    )


def _plan(change: Change, way: Way, tools: RollbackTools, *, because: str) -> RollbackPlan:
    """The plan as far as it is the same for every way."""
    base, now = tools.restore, tools.restore.clock.now()
    taken = {one.id for one in base.journal.changes()} | {copy.change_id for copy in base.database.copies()}
    return RollbackPlan(
        change_id=new_id(now, taken),
        database=base.live,
        undoes=change.id,
        undone_kind=change.kind,
        undone_at=change.at,
        undone_by=change.by,
        way=way,
        because=because,
        recovery=None,
        revisions_now=(),
        revisions_after=(),
        steps=(),
        estimate_s=0.0,
        set_aside=(),
        loses=(),
        keeps=None,
        kept_until=now + timedelta(days=base.keep_days),
    )


def _refuse_stale(plan: RollbackPlan, tools: RollbackTools) -> None:
    """The change to undo is still the last one, and the schema is where it was. Raises: RestoreRefused."""
    change, _ = _change_to_undo(tools)
    base = tools.restore
    now = base.database.revisions() if base.database.exists() else ()
    if change.id != plan.undoes or now != plan.revisions_now:
        raise RestoreRefused(
            f"{plan.database} changed since this rollback was planned",
            cause=f"the last change is now the {change.kind} of {change.id}" if change.id != plan.undoes else None,
            hint="inv rollback --dry-run",
        )


def _nothing_kept(change: Change) -> Irreversible:
    return Irreversible(
        f"nothing was kept before the {change.kind} of {change.id}",
        cause="there was no database to keep, or it could be undone in place but the schema history is not there",
        hint="inv backups, then inv restore --file ID",
    )
