"""A transfer that is killed by SIGKILL at a checkpoint, or interrupted by SIGINT wherever it is.

Arguments: STEP FILE PROJECT STATE HOST PORT USER DATABASE; the password on stdin.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from ops.adapters.alembic_migrator import AlembicMigrator
from ops.adapters.alembic_runner import run_in_tree
from ops.model.endpoint import PostgresEndpoint, SqliteEndpoint
from ops.model.secret import Secret
from tests.adapters.transfer.running import moved, tools_for


def main() -> None:
    """Run until the checkpoint."""
    wanted, file, project, state, host, port, user, database = sys.argv[1:9]
    endpoint = PostgresEndpoint(host, int(port), user, Secret(sys.stdin.readline().strip()), database)

    def checkpoint(step: str) -> None:
        if step == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    run = run_in_tree(Path(project))
    tools = replace(
        tools_for(Path(project), endpoint, Path(state), checkpoint=checkpoint),
        migrator=AlembicMigrator(run, endpoint),
        migrator_of=lambda path: AlembicMigrator(run, SqliteEndpoint(path), is_orphan_refused=False),
    )
    try:
        moved(tools, Path(file))
    except KeyboardInterrupt:
        sys.stderr.write("\n".join(tools.report.warnings))
        sys.exit(130)


if __name__ == "__main__":
    main()
