"""A transfer there, a transfer back, or a backup: prints the most memory it took, in MB, its child processes included.

Arguments: WHAT FILE PROJECT STATE HOST PORT USER DATABASE; the password on stdin.
"""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

from ops.actions.backup import take_backup
from ops.actions.transfer_back import plan_back, transfer_back
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.sqlite.database import SqliteDatabase
from ops.model.endpoint import PostgresEndpoint, SqliteEndpoint
from ops.model.secret import Secret
from tests.adapters.transfer.running import moved, tools_for


def main() -> None:
    """Do it, then measure."""
    what, file, project, state, host, port, user, database = sys.argv[1:9]
    endpoint = PostgresEndpoint(host, int(port), user, Secret(sys.stdin.readline().strip()), database)
    tools = tools_for(Path(project), endpoint, Path(state))
    if what == "there":
        moved(tools, Path(file))
    elif what == "back":
        transfer_back(plan_back(Path(file), tools), tools)
    else:
        live = (
            SqliteDatabase(SqliteEndpoint(Path(file)), clock=tools.clock) if what == "file backup" else tools.database
        )
        take_backup(
            database=live, archives=ArchiveFolder(Path(state) / "backups", "opstest"), clock=tools.clock,
            report=tools.report, stack="opstest", environment="development", reason="manual",
        )  # fmt: skip
    # Not getrusage: a child inherits its parent's peak there.
    (peak_kb,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    children_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    sys.stdout.write(f"{int(peak_kb) // 1024} {children_kb // 1024}\n")


if __name__ == "__main__":
    main()
