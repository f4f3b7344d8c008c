"""One transfer in a process of its own, so that its memory can be read: `FILE PROJECT STATE HOST PORT USER DATABASE`.

The password is read from stdin. Prints the report as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ops.adapters.alembic_migrator import AlembicMigrator
from ops.adapters.alembic_runner import run_in_tree
from ops.model.endpoint import PostgresEndpoint, SqliteEndpoint
from ops.model.secret import Secret


class Quiet:
    """A reporter that says nothing."""

    def note(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def progress(self, step: str, done: int, total: int | None, unit: str = "bytes") -> None: ...

    def finished(self, event: str, **fields: object) -> None: ...


def main() -> None:
    """Plan and carry out."""
    file, project, state = (Path(word) for word in sys.argv[1:4])
    host, port, user, database, binaries = sys.argv[4:9]
    endpoint = PostgresEndpoint(host, int(port), user, Secret(sys.stdin.readline().strip()), database)
    migrator = AlembicMigrator(run_in_tree(project, is_twice=True), endpoint)
    # The rest while those two start, as `ops.wiring.transfers` does.
    from ops.actions.transfer import TransferRequest, planned_transfer, transfer
    from ops.actions.transfer_tools import TransferTools
    from ops.adapters.file_lock import StackLock
    from ops.adapters.journal_file import JournalFile
    from ops.adapters.local_tools import LocalTools
    from ops.adapters.postgres.database import PostgresDatabase
    from ops.adapters.sqlite.database import SqliteDatabase
    from ops.adapters.sqlite.holders import holders
    from ops.adapters.system_clock import SystemClock
    from ops.adapters.transfer.bridge import SqlitePostgresBridge
    from ops.output import plain

    clock, run = SystemClock(), run_in_tree(project)
    state.mkdir(exist_ok=True)
    tools = TransferTools(
        database=PostgresDatabase(endpoint, LocalTools(Path(binaries), endpoint), stack="bench", clock=clock),
        bridge=SqlitePostgresBridge(endpoint, state / "transfer", Quiet()),
        migrator=migrator,
        migrator_of=lambda path: AlembicMigrator(run, SqliteEndpoint(path), is_orphan_refused=False),
        file_database=lambda path: SqliteDatabase(SqliteEndpoint(path), clock=clock, by="bench", swap_wait_s=1),
        holders=holders,
        lists=state / "lists",
        lock=StackLock(state, "bench", clock),
        journal=JournalFile(state / "changes.jsonl"),
        clock=clock, report=Quiet(), by="bench", stack="bench", live=database,
    )  # fmt: skip
    with planned_transfer(TransferRequest(file), tools) as plan:
        report = transfer(plan, tools)
    sys.stdout.write(json.dumps(plain(report)) + "\n")


if __name__ == "__main__":
    main()
