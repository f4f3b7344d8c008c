"""The tasks of `inv`: arguments in, one action, result out.

A project's tasks.py needs one line: `from ops.cli import namespace`.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType

# Invoke forbids Python to keep what it compiled (its --write-pyc), so a package that is not installed, as this one in
# its own tree, would be compiled anew by every `inv`. Python's own -B and PYTHONDONTWRITEBYTECODE still forbid it.
sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)

try:
    from invoke.collection import Collection

    from ops.cli import backups, database, lifecycle, moving, service
except KeyboardInterrupt:  # which Invoke would end with 1, our code for a bug; what comes before is not ours
    sys.stderr.write("ops: interrupted: nothing was begun\n")
    raise SystemExit(130) from None


def _end_where_nobody_reads(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """`inv --list | head -1`: Invoke's own pages know no closed pipe, and would end with a traceback."""
    if issubclass(kind, BrokenPipeError):
        os._exit(141)
    sys.__excepthook__(kind, error, trace)


sys.excepthook = _end_where_nobody_reads

namespace = Collection()
for _task in (
    lifecycle.up,
    lifecycle.down,
    lifecycle.ps,
    lifecycle.logs,
    lifecycle.exec_,
    lifecycle.build,
    lifecycle.pull,
    lifecycle.plan,
    lifecycle.config,
    database.migrate,
    database.revision,
    database.history,
    database.rollback,
    database.shell,
    database.seed,
    database.stats,
    backups.backup,
    backups.backups_,
    backups.verify,
    backups.pin,
    backups.prune,
    backups.restore,
    moving.transfer,
    service.scheduler,
    service.check,
):
    namespace.add_task(_task)
namespace.configure({"tasks": {"auto_dash_names": True}, "run": {"echo": False}})
