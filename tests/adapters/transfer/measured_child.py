"""A transfer that prints the rows it moved and the most memory it took, in MB.

Arguments: FILE PROJECT STATE HOST PORT USER DATABASE; the password on stdin.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from ops.adapters.alembic_migrator import AlembicMigrator
from ops.adapters.alembic_runner import run_in_tree
from ops.model.endpoint import PostgresEndpoint, SqliteEndpoint
from ops.model.secret import Secret
from tests.adapters.transfer.own_memory import own_peak_mb
from tests.adapters.transfer.running import moved, tools_for


def main() -> None:
    """Move, then measure."""
    file, project, state, host, port, user, database = sys.argv[1:8]
    endpoint = PostgresEndpoint(host, int(port), user, Secret(sys.stdin.readline().strip()), database)
    run = run_in_tree(Path(project))
    tools = replace(
        tools_for(Path(project), endpoint, Path(state)),
        migrator=AlembicMigrator(run, endpoint),
        migrator_of=lambda path: AlembicMigrator(run, SqliteEndpoint(path), is_orphan_refused=False),
    )
    _, report = moved(tools, Path(file))
    # Not getrusage: a child inherits its parent's peak there.
    sys.stdout.write(f"{report.rows} {own_peak_mb()}\n")


if __name__ == "__main__":
    main()
