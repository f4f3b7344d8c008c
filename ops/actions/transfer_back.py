"""How does the live PostgreSQL database become a SQLite file that the application runs on?

Alembic makes an empty file at the database's own revision, one snapshot of the database fills it, and both sides are
compared line by line. Only then it gets its name; where a database has that name, it is written into it and the old
contents are kept beside it (`transfer_into`). PostgreSQL is not changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ops.actions.restore_tools import MIGRATE_LOCK_TIMEOUT_S, MIGRATE_STATEMENT_TIMEOUT_S
from ops.actions.transfer_into import plan_into, written_into
from ops.actions.transfer_tools import TransferTools
from ops.errors import ConfigurationError, RevisionConflict
from ops.model.transfer.back import BackPlan, BackReport
from ops.model.transfer.plan import LoadedTable, TablePlan
from ops.model.transfer.schema import Pair, Table, pair_up


def plan_back(file: Path, tools: TransferTools) -> BackPlan:
    """What would be written; changes nothing but a folder of ours, which is gone at the end.

    Args:
        file: absolute path of the file to be made, or of a SQLite database that gives way.
        tools: what it works with.

    Raises: ConfigurationError (the live database is no PostgreSQL), RevisionConflict (not at one revision),
        DatabaseRefused (the file that is there cannot be read, or none can be made there).
    """
    facts = tools.database.facts()
    if facts.kind != "postgresql":
        raise ConfigurationError(f"the live database {tools.live} is a SQLite file already", hint="inv backup")
    revisions = tools.database.revisions()
    if len(revisions) != 1:
        raise RevisionConflict(f"{tools.live} is at {', '.join(revisions) or 'no revision'}", hint="inv migrate")
    tools.bridge.refuse_place(file)
    folder = tools.bridge.new_folder()
    try:
        model = folder / "model.db"
        _make(model, revisions[0], tools)
        target = tools.bridge.target_tables(tools.live)
        pairs, differences = pair_up(tools.bridge.source_tables(model), target)
    finally:
        tools.bridge.remove_folder(folder)
    counts = tools.bridge.row_counts(tools.live, pairs)
    tables = tuple(TablePlan(pair.table.shown, counts[pair.table.full_name], columns=len(pair.names)) for pair in pairs)
    return BackPlan(str(file), tools.live, revisions[0], tables, differences, plan_into(file, tools), target)


def transfer_back(plan: BackPlan, tools: TransferTools, *, lock_wait_s: float = 0.0) -> BackReport:
    """Carry out a plan.

    Raises: LockHeld; Refused (what is there is not what the plan saw), RevisionConflict; BadSourceData, DataDiffers,
        UpgradeFailed, RestoreRefused (the file stays locked) - all of them with what was there as it was.
    """
    plan.refuse()
    file, began = Path(plan.file), tools.clock.monotonic()
    with tools.lock.acquire("transfer", wait_s=lock_wait_s), contextlib.ExitStack() as made:
        into = made.enter_context(written_into(plan.there, file, tools)) if plan.there else None
        place = into.place if into else made.enter_context(_partial(file, tools))
        _make(place, plan.revision, tools)
        created = tools.clock.monotonic()
        tools.checkpoint("create")
        loaded = tools.bridge.fill(place, tools.live, _pairs(place, plan.target, tools))
        filled = tools.clock.monotonic()
        tools.checkpoint("load")
        away_s = into.swap() if into else 0.0
        if into is None:
            tools.bridge.publish(place, file)
        tools.checkpoint("finish")
    ended = tools.clock.monotonic()
    report = _report(plan, loaded, into.cleaned if into else (), away_s, (began, created, filled, ended))
    tools.report.finished("transfer.finished", source=plan.database, file=plan.file, rows=report.rows,
        duration_s=report.total_s)  # fmt: skip
    return report


def _report(
    plan: BackPlan,
    loaded: tuple[LoadedTable, ...],
    cleaned: tuple[str, ...],
    away_s: float,
    times: tuple[float, float, float, float],
) -> BackReport:
    began, created, filled, ended = times
    return BackReport(
        file=plan.file,
        database=plan.database,
        revision=plan.revision,
        rows=sum(table.rows for table in loaded),
        size_bytes=Path(plan.file).stat().st_size,
        tables=tuple(sorted(loaded, key=lambda table: table.name)),
        kept=plan.there.kept if plan.there else "",
        kept_until=plan.there.kept_until if plan.there else None,
        cleaned=cleaned,
        create_s=round(created - began, 3),
        load_s=round(filled - created, 3),
        finish_s=round(ended - filled, 3),
        away_s=round(away_s, 3),
        total_s=round(ended - began, 3),
    )


def _make(file: Path, revision: str, tools: TransferTools) -> None:
    tools.migrator_of(file).upgrade(
        revision, lock_timeout_s=MIGRATE_LOCK_TIMEOUT_S, statement_timeout_s=MIGRATE_STATEMENT_TIMEOUT_S
    )


def _pairs(file: Path, target: tuple[Table, ...], tools: TransferTools) -> tuple[Pair, ...]:
    now = tools.bridge.target_tables(tools.live)
    if set(now) != set(target):
        raise RevisionConflict(
            f"{tools.live} changed its tables since the plan was made; no file was made", hint="the same command again"
        )
    pairs, _ = pair_up(tools.bridge.source_tables(file), now)
    return pairs


@contextlib.contextmanager
def _partial(file: Path, tools: TransferTools) -> Iterator[Path]:
    """The name of the file while it is made; whatever is left of it, also by a killed run, is removed."""
    partial = file.with_name(f".{file.name}.partial")
    tools.bridge.remove_file(partial)
    try:
        yield partial
    finally:
        tools.bridge.remove_file(partial)
