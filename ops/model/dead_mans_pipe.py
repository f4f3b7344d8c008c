"""How does a program end when the process that wanted it is gone?

The program runs under a small POSIX shell script (dash and busybox are enough) whose standard input is the dead
man's pipe: as long as somebody holds the other end, the program runs; end of file there ends it, with TERM first
and KILL a few seconds later. So a killed `inv backup` leaves no `pg_dump` behind that holds its snapshot.

The first line of the pipe is the password for the program (`PGPASSWORD`), so it is neither in argv nor in what an
engine shows of an exec; an empty line means none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

GRACE_S = 3
"""How long a program may take over TERM before it gets KILL."""

RUN_VARIABLE = "OPS_TOOL_RUN"
"""Variable in the program's environment that holds its run id: who reaps must see it there first."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

# - The inner `sh` writes its own id and then becomes the program: there is no moment without a pid file. `set -C`
#   keeps it from writing through a link that somebody put there.
# - Once the program runs, the shells let go of stdout and stderr: they would hold them open after its end, and a word
#   of the shell's own ("Terminated") into a pipe that nobody reads any more would kill it before it cleaned up.
# - The watcher gets its trap only once it has seen the end of the pipe: until then TERM shall simply end it.
# - Nobody ends without waiting for what it started. In a container of PostgreSQL process 1 is the server itself: an
#   orphan that dies of a signal becomes its child, and it takes that for a crash of its own and ends every session.
SCRIPT = f"""\
IFS= read -r PGPASSWORD || exit 143
if [ -n "$PGPASSWORD" ]; then export PGPASSWORD; else unset PGPASSWORD; fi
run=$1
shift
file=/tmp/ops-tool-$run.pid
exec 3<&0 </dev/null
{RUN_VARIABLE}=$run sh -c '{{ set -C; echo $$ >"$0"; }} 2>/dev/null; set +C; exec "$@"' "$file" "$@" 3<&- &
child=$!
exec >/dev/null 2>&1
(
while IFS= read -r line; do :; done <&3
exec 3<&-
trap 'kill $nap; wait $nap; exit' TERM
kill -TERM $child
sleep {GRACE_S} & nap=$!
wait $nap
kill -KILL $child
) &
watcher=$!
exec 3<&-
wait $child
code=$?
kill -TERM $watcher
wait $watcher
rm -f "$file"
exit $code
"""


def wrap(argv: Sequence[str], *, run_id: str) -> tuple[str, ...]:
    """The command that runs `argv` under a dead man's pipe.

    Whoever starts it writes one line to its stdin (the password, or nothing) and keeps the pipe open until the
    program has ended. The program's own stdin is empty; its stdout and stderr are passed through. The command exits
    with the program's code, 128+n for signal n, and with 143 where the pipe was closed before its first line.

    Args:
        argv: the program and its arguments, without secrets.
        run_id: unique name of this run; letters, digits, `_` and `-`.
    """
    if not argv:
        raise ValueError("no program to run")
    if not _RUN_ID.fullmatch(run_id):
        raise ValueError(f"not a run id: {run_id!r}")
    return ("sh", "-c", SCRIPT, "ops-tool", run_id, *argv)


def pid_file(run_id: str) -> str:
    """The file, as the program's machine sees it, that holds the program's process id while it runs."""
    return f"/tmp/ops-tool-{run_id}.pid"  # noqa: S108 - in containers /tmp is what exists


PID_FILES = "/tmp/ops-tool-*.pid"  # noqa: S108
"""Pattern of all pid files of all runs."""
