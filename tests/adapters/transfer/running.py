"""Real tools for a transfer: PostgreSQL, SQLite, Alembic, a lock and a journal on disk."""

from __future__ import annotations

from pathlib import Path

from ops.actions.transfer import TransferRequest, planned_transfer, transfer
from ops.actions.transfer_tools import TransferTools
from ops.adapters.alembic_migrator import AlembicMigrator
from ops.adapters.file_lock import StackLock
from ops.adapters.journal_file import JournalFile
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.sqlite.database import SqliteDatabase
from ops.adapters.sqlite.holders import holders
from ops.adapters.system_clock import SystemClock
from ops.adapters.transfer.bridge import SqlitePostgresBridge
from ops.model.endpoint import PostgresEndpoint, SqliteEndpoint
from ops.model.transfer.rules import NO_RULES, Rules
from tests.adapters.postgres.conftest import WheelTools
from tests.alembic_zygote import run_in_zygote
from tests.fakes.reporter import RecordingReporter


def tools_for(
    project: Path, endpoint: PostgresEndpoint, state: Path, *, config: str = "alembic.ini", **more
) -> TransferTools:
    """The tools of a stack whose live database is `endpoint`."""
    clock, report = SystemClock(), RecordingReporter()
    state.mkdir(exist_ok=True)
    run = run_in_zygote(project)
    return TransferTools(
        database=PostgresDatabase(endpoint, WheelTools(endpoint), stack="opstest", clock=clock),
        bridge=SqlitePostgresBridge(endpoint, state / "transfer", report),
        migrator=AlembicMigrator(run, endpoint, config=config),
        migrator_of=lambda path: AlembicMigrator(run, SqliteEndpoint(path), config=config, is_orphan_refused=False),
        file_database=lambda path: SqliteDatabase(SqliteEndpoint(path), clock=clock, by="tester@here", swap_wait_s=1),
        holders=holders,
        lock=StackLock(state, "tester@here", clock),
        journal=JournalFile(state / "changes.jsonl"),
        clock=clock,
        report=report,
        lists=state / "transfers",
        by="tester@here",
        stack="opstest",
        live=endpoint.database,
        **more,
    )


def moved(tools: TransferTools, file: Path, rules: Rules = NO_RULES):
    """Plan and carry out; gives (plan, report)."""
    with planned_transfer(TransferRequest(file, rules), tools) as plan:
        return plan, transfer(plan, tools)


def checksums(report) -> dict[str, tuple[int, str, str]]:
    """Of each table, as a report of either way tells it."""
    return {table.name: (table.rows, table.checksum, table.algorithm) for table in report.tables}


def planned(tools: TransferTools, file: Path, rules: Rules = NO_RULES, *, is_dry: bool = False):
    """Only the plan."""
    with planned_transfer(TransferRequest(file, rules, is_dry=is_dry), tools) as plan:
        return plan
