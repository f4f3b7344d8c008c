"""A way back into a file that is there, killed by SIGKILL at a checkpoint or while the file is written.

Arguments: STEP FILE PROJECT STATE HOST PORT USER DATABASE; the password on stdin.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from ops.actions.transfer_back import plan_back, transfer_back
from ops.adapters.alembic_migrator import AlembicMigrator
from ops.adapters.alembic_runner import run_in_tree
from ops.adapters.sqlite import sessions, swap
from ops.model.endpoint import PostgresEndpoint, SqliteEndpoint
from ops.model.secret import Secret
from tests.adapters.transfer.running import tools_for


def main() -> None:
    """Run until the checkpoint."""
    wanted, file, project, state, host, port, user, database = sys.argv[1:9]
    endpoint = PostgresEndpoint(host, int(port), user, Secret(sys.stdin.readline().strip()), database)

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def checkpoint(step: str) -> None:
        if step == wanted:
            die()

    if wanted in {"first pages", "last pages"}:

        def copy_into(source, target, *, wait_s):
            def on_progress(done, total):
                if wanted == "first pages" or done == total:
                    die()

            sessions.copy_into(source, target, wait_s=wait_s, on_progress=on_progress)

        swap.copy_into = copy_into
        sessions._PAGES_A_STEP = 2
    run = run_in_tree(Path(project))
    tools = replace(
        tools_for(Path(project), endpoint, Path(state), checkpoint=checkpoint),
        migrator_of=lambda path: AlembicMigrator(run, SqliteEndpoint(path), is_orphan_refused=False),
    )
    transfer_back(plan_back(Path(file), tools), tools)


if __name__ == "__main__":
    main()
