"""A restore or rollback as a process of its own, which stops at a step until it is killed.

Arguments: host, port, user, database, folder, `restore` or `rollback`, step. The password comes in PGPASSWORD.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ops.actions.rollback import plan_rollback, rollback
from ops.actions.rollback_run import RollbackTools
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from tests.adapters.postgres.restoring import make_stack


def main(arguments: list[str]) -> None:
    host, port, user, database, folder, what, step = arguments

    def stop(name: str) -> None:
        if name == step:
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
            sys.stdin.read()

    endpoint = PostgresEndpoint(host, int(port), user, Secret(os.environ["PGPASSWORD"]), database)
    stack = make_stack(endpoint, Path(folder), checkpoint=stop)
    if what == "restore":
        sys.stdout.write("begins\n")
        sys.stdout.flush()
        stack.restore(is_latest=True)
    else:
        tools = RollbackTools(stack.tools)
        rollback(plan_rollback(tools), tools)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(sys.argv[1:])
