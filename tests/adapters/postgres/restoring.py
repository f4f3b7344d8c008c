"""What do the restore tests on a real server share?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops.actions.backup import take_backup
from ops.actions.restore import RestoreRequest, plan_restore, restore
from ops.actions.restore_tools import RestoreTools
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.archive_probe import NamedFiles
from ops.adapters.file_lock import StackLock
from ops.adapters.journal_file import JournalFile
from ops.adapters.local_tools import LocalTools
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.system_clock import SystemClock
from ops.model.endpoint import PostgresEndpoint
from ops.model.manifest import Manifest
from ops.model.restore_plan import RestorePlan
from ops.model.restore_report import RestoreReport
from ops.ports import Migrator
from tests.conftest import connect, postgres_binaries
from tests.fakes.reporter import RecordingReporter

STACK = "demo"


@dataclass
class Stack:
    """One stack on the shared server, with its folder of backups and state."""

    endpoint: PostgresEndpoint
    database: PostgresDatabase
    tools: RestoreTools
    report: RecordingReporter

    def backup(self) -> Manifest:
        return take_backup(
            database=self.database, archives=self.tools.archives, clock=self.tools.clock, report=self.report,
            stack=self.tools.stack, environment="development", reason="manual",
        )  # fmt: skip

    def plan(self, **request: object) -> RestorePlan:
        return plan_restore(RestoreRequest(**request), self.tools)  # type: ignore[arg-type]

    def restore(self, **request: object) -> RestoreReport:
        return restore(self.plan(**request), self.tools)

    def run(self, *statements: str, database: str | None = None) -> list[tuple]:
        there = self.at(database)
        rows: list[tuple] = []
        with connect(there) as session:
            for statement in statements:
                cursor = session.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def at(self, database: str | None = None) -> PostgresEndpoint:
        there = self.endpoint
        return PostgresEndpoint(there.host, there.port, there.user, there.password, database or there.database)

    def databases(self) -> list[str]:
        """The names of the databases that belong to this test."""
        rows = self.run("SELECT datname FROM pg_database ORDER BY 1", database="postgres")
        return [row[0] for row in rows if row[0].startswith(self.endpoint.database)]


def make_stack(
    endpoint: PostgresEndpoint,
    folder: Path,
    *,
    migrator: Migrator | None = None,
    checkpoint: Callable[[str], None] | None = None,
) -> Stack:
    """A stack whose live database is that of `endpoint` and whose files are in `folder`."""
    clock, report = SystemClock(), RecordingReporter()
    database = PostgresDatabase(endpoint, LocalTools(postgres_binaries(), endpoint), stack=STACK, clock=clock)
    backups = folder / "backups"
    tools = RestoreTools(
        database=database,
        archives=ArchiveFolder(backups, STACK),
        catalog_of=lambda stack: ArchiveFolder(backups, stack),
        files=NamedFiles(),
        migrator=migrator,
        lock=StackLock(folder / "state", "tester", clock),
        journal=JournalFile(folder / "state" / "journal.jsonl"),
        clock=clock,
        report=report,
        by="tester",
        stack=STACK,
        live=endpoint.database,
        **({"checkpoint": checkpoint} if checkpoint else {}),  # type: ignore[arg-type]
    )
    return Stack(endpoint, database, tools, report)
