"""Which tasks take, check, keep, prune and restore backups?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.cli.task import ops_task
from ops.collecting import without_collecting

if TYPE_CHECKING:
    from invoke.context import Context

BACKUP_ID = "the backup's id (default: the newest)"


@ops_task(help={"note": "a sentence to find it by", "pin": "keep it until it is unpinned"})
def backup(
    _c: Context,
    note: str = "",
    pin: bool = False,
    prod: bool = False,
    dry_run: bool = False,
    json: bool = False,
    lock_wait: float = 0.0,
) -> None:
    """Back up the database: dump, decode, hash, read back, list."""
    from ops.cli.shown import backups as shown
    from ops.wiring import backups, offsite, open_toolbox

    with open_toolbox(is_production=prod) as tools:
        taken = backups.backup(tools, note=note, is_pinned=pin, is_dry=dry_run, lock_wait_s=lock_wait)
        taken, failures = offsite.copy(tools, taken)
        shown.backup(taken, as_json=json)
        offsite.refuse_failures(taken, failures)


@ops_task(name="backups", help={"max_age": "exit 33 when the newest good backup is older, such as 26h (for monitors)"})
@without_collecting()
def backups_(_c: Context, max_age: str = "", prod: bool = False, json: bool = False) -> None:
    """List the backups of this stack, newest first."""
    from ops.cli.shown import backups as shown
    from ops.wiring import backups, open_toolbox

    with open_toolbox(is_production=prod) as tools:
        shown.catalog(backups.catalog(tools), tools.clock.now(), as_json=json)
        if max_age:
            backups.check_age(tools, max_age)


@ops_task(
    help={
        "id": BACKUP_ID,
        "all": "every backup of the catalog",
        "drill": "restore it into a throwaway server and compare every table",
        "from": "read the copies in this off-site target instead, such as s3: size and hash (docs/offsite.md)",
    }
)
def verify(
    _c: Context,
    id: str = "",
    all: bool = False,
    drill: bool = False,
    from_: str = "",
    prod: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Read a backup again: size, hash, full decode; or restore it."""
    from ops.actions.verify import refuse_problems
    from ops.cli.shown import backups as shown
    from ops.errors import ConfigurationError
    from ops.wiring import backups, drills, offsite, open_toolbox

    if drill and from_:
        raise ConfigurationError("--drill restores a backup that is here", hint=f"inv verify --from {from_}")
    with open_toolbox(is_production=prod) as tools:
        if dry_run:
            if from_:
                wanted = offsite.plan_verify(tools, id, from_, is_all=all)
            else:
                wanted = (drills.plan(tools, id, is_all=all),) if drill else backups.plan_verify(tools, id, is_all=all)
            shown.verify_planned(wanted, is_drill=drill, as_json=json)
            return
        if from_:
            copies, damaged = offsite.verify(tools, id, from_, is_all=all)
            shown.verified(copies, as_json=json)
            refuse_problems(copies, damaged)
            return
        if drill:
            shown.drilled(drills.drill(tools, id, is_all=all), as_json=json)
            return
        results = backups.verify(tools, id, is_all=all)
        shown.verified(results, as_json=json)
        backups.refuse_bad(tools, results)


@ops_task(help={"id": BACKUP_ID, "note": "why it is kept", "remove": "take the pin away again"})
def pin(
    _c: Context,
    id: str = "",
    note: str = "",
    remove: bool = False,
    prod: bool = False,
    dry_run: bool = False,
    json: bool = False,
    lock_wait: float = 0.0,
) -> None:
    """Pin a backup, so that pruning never takes it."""
    from ops.cli.shown import backups as shown
    from ops.wiring import backups, open_toolbox

    with open_toolbox(is_production=prod) as tools:
        result = backups.pin(tools, id, note=note, is_removed=remove, is_dry=dry_run, lock_wait_s=lock_wait)
        shown.pinned(result, is_dry=dry_run, as_json=json)


@ops_task(
    help={
        "acknowledge": "accept the newest backup of each database although it looks suspicious",
        "copies": "drop, before their time, the old databases that restores kept; the one inv rollback needs stays",
    }
)
@without_collecting()
def prune(
    _c: Context,
    acknowledge: bool = False,
    copies: bool = False,
    prod: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    lock_wait: float = 0.0,
) -> None:
    """Delete the backups that the retention policy no longer keeps."""
    from ops.cli.shown import backups as shown
    from ops.errors import ConfigurationError
    from ops.wiring import backups, open_toolbox
    from ops.wiring.copies import prune_copies

    if acknowledge and copies:
        raise ConfigurationError("--acknowledge is about backups, --copies is not", hint="inv prune --copies")
    with open_toolbox(is_production=prod) as tools:
        if copies:
            dropped = prune_copies(tools, is_dry=dry_run, is_confirmed=yes, lock_wait_s=lock_wait)
            shown.copies_pruned(dropped, as_json=json)
            return
        done = backups.prune(
            tools, is_acknowledged=acknowledge, is_dry=dry_run, is_confirmed=yes, lock_wait_s=lock_wait
        )
        shown.pruned(done, as_json=json)


@ops_task(
    help={
        "file": "a backup's id or archive, or a foreign .sql, .sql.gz, .sql.zst, custom, directory or tar dump",
        "latest": "the newest good backup",
        "at": "the newest good backup at or before this time, such as 2026-01-31T02:00:00Z",
        "as": "load into a database of this name beside the live one, for a look; no swap",
        "table": "only these tables, such as public.threads,public.events, into a new schema beside the live ones",
        "keep_revision": "leave the restored schema at its own revision",
        "from_stack": "the backup may come from this other stack",
        "from": "take the backup from this off-site target, such as s3 (docs/offsite.md)",
    }
)
def restore(
    _c: Context,
    file: str = "",
    latest: bool = False,
    at: str = "",
    as_: str = "",
    table: str = "",
    keep_revision: bool = False,
    from_stack: str = "",
    from_: str = "",
    prod: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    lock_wait: float = 0.0,
) -> None:
    """Restore into a new database, check it, swap it in, keep the old."""
    from ops.cli.shown import restores as shown
    from ops.wiring import open_toolbox, restores

    with open_toolbox(is_production=prod) as tools:
        if table:
            tables = restores.restore_tables(
                tools,
                tables=table,
                file=file,
                is_latest=latest,
                at=at,
                name=as_,
                from_stack=from_stack,
                source=from_,
                is_dry=dry_run,
                lock_wait_s=lock_wait,
            )
            shown.restored_tables(*tables, as_json=json)
            return
        plan, report = restores.restore(
            tools,
            file=file,
            is_latest=latest,
            at=at,
            name=as_,
            is_revision_kept=keep_revision,
            from_stack=from_stack,
            source=from_,
            is_dry=dry_run,
            is_confirmed=yes,
            lock_wait_s=lock_wait,
        )
        shown.restored(plan, report, as_json=json)
