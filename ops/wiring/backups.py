"""How do the tasks of `ops/cli/backups.py` flow: guard, plan, show, ask, execute?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ops.errors import ConfigurationError
from ops.model.moment import parse_span
from ops.wiring.audited import audited
from ops.wiring.live_database import live_database
from ops.wiring.pruned import Pruned
from ops.wiring.sealing import sealing_of

if TYPE_CHECKING:
    from ops.actions.backup import BackupTaken, Label, Limits
    from ops.actions.prune import PrunePlan
    from ops.actions.verify import Verified
    from ops.model.manifest import Manifest, Reason
    from ops.model.retention_policy import Policy
    from ops.wiring.toolbox import Toolbox


def limits(tools: Toolbox) -> Limits:
    """How long a dump waits for what."""
    from ops.actions.backup import Limits

    return Limits(lock_wait_s=tools.settings.dump_lock_wait_s, idle_timeout_s=tools.settings.dump_idle_timeout_s)


def take(
    tools: Toolbox, *, reason: Reason, note: str = "", pin: bool = False, expires_at: datetime | None = None
) -> Manifest:
    """Take a backup inside of another change, which holds the locks."""
    from ops.actions.backup import take_backup

    return take_backup(
        database=tools.database,
        archives=tools.archives,
        clock=tools.clock,
        report=tools.report,
        stack=tools.stack_name,
        environment=tools.environment,
        reason=reason,
        note=note,
        pin=pin,
        expires_at=expires_at,
        limits=limits(tools),
        sealing=sealing_of(tools),
    )


def backup(tools: Toolbox, *, note: str, is_pinned: bool, is_dry: bool, lock_wait_s: float) -> BackupTaken | BackupPlan:
    """Take a backup as the stack's only change; dry, say what would be dumped and where it would go."""
    from ops.actions.backup import Label
    from ops.actions.encrypted import outgoing

    if is_dry:
        outgoing(sealing_of(tools), tools.archives.manifests())  # a key that is missing is told now as well
        facts = tools.database.facts()
        return BackupPlan(
            stack=tools.stack_name,
            database=facts.name,
            size_bytes=facts.size_bytes,
            folder=str(tools.settings.backup_dir / tools.stack_name),
            free_bytes=tools.archives.free_space_bytes(),
        )
    label = Label(note=note, pinned=is_pinned, pin_note=note if is_pinned else "")
    return take_alone(tools, label, lock_wait_s=lock_wait_s)


def take_alone(tools: Toolbox, label: Label, *, lock_wait_s: float) -> BackupTaken:
    """Take a backup as the stack's only change; what killed drills left goes first. Raises: as the action does."""
    from ops.actions.backup import backup as take_one
    from ops.wiring.drills import clean as clean_drills

    clean_drills(tools)
    return take_one(
        lock=tools.lock,
        database=tools.database,
        archives=tools.archives,
        clock=tools.clock,
        report=tools.report,
        stack=tools.stack_name,
        environment=tools.environment,
        label=label,
        wait_s=lock_wait_s,
        limits=limits(tools),
        journal=tools.journal,
        by=tools.by,
        sealing=sealing_of(tools),
    )


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """What a backup would do."""

    stack: str
    database: str
    size_bytes: int
    folder: str
    free_bytes: int


def catalog(tools: Toolbox) -> Sequence[Mapping[str, object]]:
    """One row per backup, newest first; warns of those that are damaged."""
    from ops.actions.list_backups import list_backups

    return list_backups(tools.archives, tools.clock, tools.report, can_decrypt=_can_decrypt(tools))


def _can_decrypt(tools: Toolbox) -> bool:
    """Whether there is a key here; keys that cannot be used are no reason not to list."""
    try:
        return sealing_of(tools).can_decrypt
    except ConfigurationError as error:
        tools.report.warn(f"{error.message}: {error.cause}")
        return False


def check_age(tools: Toolbox, max_age: str) -> None:
    """Fail where the newest good backup is too old. Raises: BackupTooOld."""
    from ops.actions.list_backups import refuse_older_than

    refuse_older_than(tools.archives, tools.clock, parse_span(max_age), live=live_database(tools))


def newest_id(tools: Toolbox, backup_id: str) -> str:
    """The named backup, or the newest one. Raises: BackupNotFound."""
    found = next(iter(tools.archives.manifests()), None)
    if backup_id or found is None:
        return tools.archives.find(backup_id or "newest").id
    return found.id


def verify(tools: Toolbox, backup_id: str, *, is_all: bool) -> tuple[Verified, ...]:
    """Read the named backup again, the newest, or all of them."""
    from ops.actions.verify import verify as read_again

    ids = [manifest.id for manifest in tools.archives.manifests()] if is_all else [backup_id] if backup_id else []
    with audited(tools, "verify") as details:
        results = read_again(
            ids,
            archives=tools.archives,
            database=tools.database,
            lock=tools.lock,
            clock=tools.clock,
            report=tools.report,
            sealing=sealing_of(tools),
            own_format="sqlite" if tools.database_kind == "sqlite" else "custom",
        )
        details["good"] = [one.manifest.id for one in results if not one.problem]
        details["bad"] = [one.manifest.id for one in results if one.problem]
    return results


def plan_verify(tools: Toolbox, backup_id: str, *, is_all: bool) -> tuple[Manifest, ...]:
    """The backups that would be read again. Raises: BackupNotFound."""
    if is_all and (manifests := tools.archives.manifests()):
        return manifests
    return (tools.archives.find(newest_id(tools, backup_id)),)


def refuse_bad(tools: Toolbox, results: Sequence[Verified]) -> None:
    """Fail where a backup is not whole, those that the catalog lists no more included. Raises: ArchiveCorrupt."""
    from ops.actions.verify import refuse_problems

    refuse_problems(results, tools.archives.damaged())


def warn_of_damaged(tools: Toolbox) -> None:
    """Name the backups that count no longer: they would be missed in silence otherwise."""
    from ops.actions.list_backups import warn_of_damaged as warn

    warn(tools.archives.damaged(), tools.report)


def pin(tools: Toolbox, backup_id: str, *, note: str, is_removed: bool, is_dry: bool, lock_wait_s: float) -> Manifest:
    """Pin or unpin one backup; dry, the backup as it would be."""
    from ops.actions import pin as pins

    chosen = newest_id(tools, backup_id)
    if is_dry:
        found = tools.archives.find(chosen)
        return replace(found, pinned=not is_removed, pin_note="" if is_removed else note)
    if is_removed:
        return pins.unpin(
            chosen, lock=tools.lock, archives=tools.archives, clock=tools.clock, wait_s=lock_wait_s,
            journal=tools.journal, by=tools.by,
        )  # fmt: skip
    return pins.pin(
        chosen, lock=tools.lock, archives=tools.archives, clock=tools.clock, note=note, wait_s=lock_wait_s,
        journal=tools.journal, by=tools.by,
    )  # fmt: skip


def policy_of(tools: Toolbox) -> Policy:
    """The retention policy of the project, in the schedule's zone. Raises: ConfigurationError."""
    from ops.model.retention_policy import parse_policy
    from ops.model.schedule import zone_of

    return parse_policy(tools.project.retention, zone_of(str(tools.project.schedule.get("zone", "UTC"))))


def prune(
    tools: Toolbox, *, is_acknowledged: bool, is_dry: bool, is_confirmed: bool, lock_wait_s: float
) -> Pruned[PrunePlan]:
    """Plan, and unless dry ask and remove exactly what the plan names."""
    from ops.actions.pin import acknowledge
    from ops.actions.prune import plan_prune
    from ops.actions.prune import prune as remove
    from ops.model.retention import doubtful

    policy = policy_of(tools)
    if is_acknowledged and not is_dry:
        for backup_id in [one.id for one in doubtful(tools.archives.manifests())] or [newest_id(tools, "")]:
            acknowledge(
                backup_id, lock=tools.lock, archives=tools.archives, clock=tools.clock, wait_s=lock_wait_s,
                journal=tools.journal, by=tools.by,
            )  # fmt: skip
    began = tools.clock.monotonic()
    plan = plan_prune(tools.archives, policy, tools.clock)
    plan_s = round(tools.clock.monotonic() - began, 3)
    if is_dry:
        return Pruned(plan, None, plan_s)
    if plan.removed and plan.withheld is None:
        tools.confirm(
            f"{len(plan.removed)} backups would be deleted: {', '.join(plan.removed)}", is_confirmed=is_confirmed
        )
    began = tools.clock.monotonic()
    removed = remove(
        plan, lock=tools.lock, archives=tools.archives, policy=policy, clock=tools.clock, report=tools.report,
        wait_s=lock_wait_s, journal=tools.journal, by=tools.by,
    )  # fmt: skip
    return Pruned(plan, removed, plan_s, round(tools.clock.monotonic() - began, 3))
