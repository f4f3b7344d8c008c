"""How does a SQLite file become the contents of the live PostgreSQL database?

The file is copied, the copy brought to the head revision by the same history as the target, and every value looked at
before anything is written. Then a new database beside the live one is built, filled, compared and swapped in, like a
restore; the old one is kept as the recovery point.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from ops.actions.clean_leftovers import clean_leftovers, drop_expired
from ops.actions.restore_tools import MIGRATE_LOCK_TIMEOUT_S, MIGRATE_STATEMENT_TIMEOUT_S
from ops.actions.transfer_run import TransferRun
from ops.actions.transfer_tools import TransferTools
from ops.errors import ConfigurationError, OpsError, RevisionConflict
from ops.model.backup_id import new_id
from ops.model.copy_name import copy_name
from ops.model.database import DatabaseCopy, DatabaseFacts
from ops.model.revision import History
from ops.model.transfer.fault import Fix
from ops.model.transfer.plan import Snapshot, TablePlan, TransferPlan, TransferReport
from ops.model.transfer.rules import NO_RULES, Rules
from ops.model.transfer.schema import Pair, Table, differences_of_shape, pair_up
from ops.model.transfer.survey import NO_SURVEY
from ops.ports import Migrator

SPACE_FACTOR = 3.0
"""Room for the new database beside the size of the SQLite file: indexes and the WAL of the load."""


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """Which file, and what was decided about its values."""

    file: Path
    """Absolute."""
    rules: Rules = NO_RULES
    is_dry: bool = False
    """Only the plan is wanted: no lines are kept for a load, and what deserves a person's eye is looked for too."""


@contextlib.contextmanager
def planned_transfer(
    request: TransferRequest, tools: TransferTools, *, lock_wait_s: float = 0.0
) -> Iterator[TransferPlan]:
    """A plan with our copy of the source behind it, which is gone at the end of the context.

    Changes neither the file nor the live database. Where the live one is not at the head revision, an empty database
    is made and dropped to learn what the head looks like. What forbids the transfer is in the plan.

    Raises: DatabaseRefused, ArchiveCorrupt (the file), RevisionConflict (its revision), UpgradeFailed (the copy does
        not reach the head), ConfigurationError (the database is no PostgreSQL, rules for unknown columns), LockHeld.
    """
    folder = tools.bridge.new_folder()
    try:
        yield _plan(request, tools, folder, lock_wait_s)
    finally:
        tools.bridge.remove_folder(folder)


def transfer(plan: TransferPlan, tools: TransferTools, *, lock_wait_s: float = 0.0) -> TransferReport:
    """Carry out a plan while its copy is there.

    Raises: LockHeld; BadSourceData, RevisionConflict, RestoreRefused (the plan forbids it); LoadFailed, DataDiffers,
        UpgradeFailed - all of them with the live database as it was.
    """
    plan.refuse()
    began = tools.clock.monotonic()
    with tools.lock.acquire("transfer", wait_s=lock_wait_s):
        left = max(0.0, lock_wait_s - (tools.clock.monotonic() - began))
        with tools.database.exclusive("transfer", wait_s=left):
            cleaned = clean_leftovers(
                database=tools.database, journal=tools.journal, clock=tools.clock, report=tools.report
            )
            report = TransferRun(plan, tools).carry_out()
            drop_expired(database=tools.database, now=tools.clock.now(), report=tools.report)
    total_s = round(tools.clock.monotonic() - began + plan.prepare_s + plan.examine_s, 3)
    report = replace(report, cleaned=cleaned, total_s=total_s)
    tools.report.finished(
        "transfer.finished", id=plan.change_id, source=plan.file, database=plan.database, rows=report.rows,
        away_s=report.away_s, duration_s=report.total_s,
    )  # fmt: skip
    return report


def _plan(request: TransferRequest, tools: TransferTools, folder: Path, lock_wait_s: float) -> TransferPlan:
    began = tools.clock.monotonic()
    copy = folder / "copy.db"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(tools.migrator.history)  # beside the copy: both take about a second
        tools.bridge.copy_source(request.file, copy)
        history = asked.result()
    head = _head(history)
    snapshot = _bring_to_head(request.file, copy, history, tools)
    warnings = list(tools.bridge.left_out(copy))
    tools.bridge.simplify(copy)
    live = tools.database.facts() if tools.database.exists() else None
    if live is not None and live.kind != "postgresql":
        raise ConfigurationError(
            f"the live database {tools.live} is {live.kind}: --source moves into PostgreSQL",
            hint="inv transfer --to sqlite:///FILE moves the other way",
        )
    change_id = new_id(tools.clock.now(), {change.id for change in tools.journal.changes()})
    with contextlib.ExitStack() as held:
        place = held.enter_context(_at_head(change_id, head, live, copy, tools, lock_wait_s))
        target = tools.bridge.target_tables(place)
        if not any(table.judgements for table in target):
            held.close()  # nothing will be asked there, and whoever waits for the locks may go on
        pairs, differences = pair_up(tools.bridge.source_tables(copy), target)
        request.rules.refuse_unknown(pairs)
        before = {pair.source.name: pair.source.rows for pair in pairs}
        fixes = () if differences else tools.bridge.apply_rules(copy, pairs, request.rules)
        if fixes:
            pairs, differences = pair_up(tools.bridge.source_tables(copy), target)
        prepared = tools.clock.monotonic()
        looked_at = () if differences else pairs
        found = tools.bridge.examine(copy, looked_at, fixes, is_kept=not request.is_dry)
        found = tools.bridge.judge(copy, place, looked_at, found)
        examined = tools.clock.monotonic()
    survey = tools.bridge.survey(copy, pairs) if request.is_dry and not differences else NO_SURVEY
    live_rows = tools.bridge.total_rows(tools.live) if live else 0
    return TransferPlan(
        change_id=change_id,
        stack=tools.stack,
        file=str(request.file),
        database=tools.live,
        is_live_there=live is not None,
        live_size_bytes=live.size_bytes if live else 0,
        live_rows=live_rows,
        scratch=copy_name(tools.live, "scratch", change_id),
        kept=copy_name(tools.live, "recovery-point", change_id) if live else "",
        kept_until=tools.clock.now() + timedelta(days=tools.keep_days) if live else None,
        snapshot=snapshot,
        head=head,
        tables=tuple(_planned(pair, before[pair.source.name], fixes) for pair in pairs),
        faults=found.faults,
        fault_counts=found.counts,
        fixes=found.fixes,
        differences=differences,
        warnings=(*warnings, *_silent_triggers(target), *found.warnings),
        blockers=tools.database.swap_blockers(),
        free_bytes=tools.database.free_space_bytes(),
        need_bytes=int(snapshot.size_bytes * SPACE_FACTOR),
        pairs=pairs,
        target=target,
        lines=found.lines,
        rules=request.rules,
        list_file=str(tools.lists / f"{change_id}.jsonl") if any(fix.is_listed for fix in fixes) else "",
        survey=survey,
        prepare_s=round(prepared - began, 3),
        examine_s=round(examined - prepared, 3),
    )


def _silent_triggers(target: Sequence[Table]) -> list[str]:
    return [
        f"trigger {name} of {table.shown} in PostgreSQL does not fire for the rows that are loaded"
        for table in target
        for name in table.triggers
    ]


def _planned(pair: Pair, rows_before: int, fixes: Sequence[Fix]) -> TablePlan:
    gone = rows_before - pair.source.rows
    quarantined = sum(fix.count for fix in fixes if fix.is_row_quarantined and fix.table == pair.source.name)
    return TablePlan(pair.table.shown, pair.source.rows, gone - quarantined, quarantined, len(pair.table.columns))


def _head(history: History) -> str:
    if not history.heads:
        raise RevisionConflict(
            "the schema history has no revision yet", cause="the new database is built by it", hint="inv revision"
        )
    if len(history.heads) != 1:
        raise RevisionConflict(
            f"the schema history has {len(history.heads)} heads", hint="alembic merge -m 'merge' heads"
        )
    return history.heads[0]


def _bring_to_head(file: Path, copy: Path, history: History, tools: TransferTools) -> Snapshot:
    """Stamp a recognised copy and apply what it lacks."""
    revisions = tools.bridge.source_revisions(copy)
    recognised = ""
    if not revisions:
        recognised = _recognise(file, copy, history, tools)
    unknown = [name for name in revisions if history.find(name) is None]
    if unknown:
        raise RevisionConflict(
            f"{file.name} is at revision {', '.join(unknown)}, which this checkout's history does not have",
            hint="git pull, or the checkout that made the file",
        )
    pending = tuple(revision.id for revision in history.pending(revisions or (recognised,)))
    size_bytes = copy.stat().st_size
    if pending:
        tools.bridge.refuse_damage(copy)
        _upgrade(tools.migrator_of(copy), pending)
    return Snapshot(str(copy), size_bytes, revisions, recognised, pending)


def _recognise(file: Path, copy: Path, history: History, tools: TransferTools) -> str:
    """The first revision, if the tables and columns of a file without one are exactly its. Raises: RevisionConflict."""
    bases = [revision.id for revision in history.revisions if not revision.down_revisions]
    said: list[str] = []
    for base in bases:
        model = copy.with_name(f"model-{base}.db")
        _upgrade(tools.migrator_of(model), (base,))
        differences = differences_of_shape(
            tools.bridge.source_tables(copy, is_counted=False), tools.bridge.source_tables(model, is_counted=False)
        )
        if not differences:
            tools.bridge.stamp(copy, model)
            return base
        said += [f"{base}: {one}" for one in differences]
    raise RevisionConflict(
        f"{file.name} has no revision, and its tables are not those of the first one ({', '.join(bases)})",
        cause="; ".join(said),
        hint="bring the file itself to a revision, with its own checkout: alembic stamp REVISION",
    )


def _upgrade(migrator: Migrator, targets: tuple[str, ...], database: str | None = None) -> None:
    migrator.upgrade_each(
        targets,
        database=database,
        lock_timeout_s=MIGRATE_LOCK_TIMEOUT_S,
        statement_timeout_s=MIGRATE_STATEMENT_TIMEOUT_S,
    )


@contextlib.contextmanager
def _at_head(  # noqa: PLR0917 - one use
    change_id: str, head: str, live: DatabaseFacts | None, copy: Path, tools: TransferTools, lock_wait_s: float
) -> Iterator[str]:
    """A database that looks as the head does: the live one where it is there, else an empty one made for that."""
    database = tools.database
    if live is not None and database.revisions() == (head,):
        yield tools.live
        return
    name = copy_name(tools.live, "scratch", change_id)
    tools.bridge.refuse_damage(copy)  # before anything is made on the server
    with tools.lock.acquire("transfer", wait_s=lock_wait_s), database.exclusive("transfer", wait_s=lock_wait_s):
        described = DatabaseCopy(name, "scratch", tools.live, "transfer", change_id, tools.clock.now())
        database.create_copy(described, live or DatabaseFacts("postgresql", tools.live, "", 0, "", 0))
        try:
            _upgrade(tools.migrator, (head,), name)
            yield name
        finally:
            _drop(name, tools)


def _drop(name: str, tools: TransferTools) -> None:
    try:
        tools.database.drop_copy(name)
    except OpsError as exc:
        tools.report.warn(f"{name} is left, the next change drops it: {exc.message}")
