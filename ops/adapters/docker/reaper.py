"""Which programs and files in a container were left by a run of ours that is gone?

A run's name says where it comes from: the machine, the process and that process's start. Runs of other machines are
never touched, nor those of containers that have this machine's name: whether they live cannot be seen from here, and
their own dead man's pipe ends them.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_RUN = re.compile(
    r"/ops-(?:tool|place)-(?P<run>m[0-9a-f]{8}-(?P<pid>\d+)-(?P<start>[0-9a-z]+)-[0-9a-f]{12})(?:\.pid)?$"
)

_UNSEEN = "0"
REAP = """\
grace=$1 variable=$2
shift 2
marked() { tr '\\0' '\\n' <"/proc/$1/environ" 2>/dev/null | grep -qx "$variable=$2"; }
ended=
for file; do
  case $file in
    *.pid)
      run=${file##*/ops-tool-} run=${run%.pid} pid=
      read -r pid <"$file" || :
      if [ -n "$pid" ] && marked "$pid" "$run"; then kill -TERM "$pid" && ended="$ended $pid:$run"; fi
      ;;
  esac
  rm -rf "$file"
done
while [ -n "$ended" ]; do
  left=
  for each in $ended; do
    if marked "${each%%:*}" "${each#*:}"; then left="$left $each"; fi
  done
  ended=$left
  if [ -n "$ended" ] && [ "$grace" -le 0 ]; then
    for each in $ended; do kill -KILL "${each%%:*}"; done
    break
  fi
  grace=$((grace - 1))
  [ -z "$ended" ] || sleep 1
done
"""
"""Ends programs (TERM, then KILL) and removes files: grace seconds, the variable with a run's id, the files.

A process is only ended if its environment carries the run's id: its number may be somebody else's by now."""


def run_id() -> str:
    """A new name for a run of this process."""
    return f"{_machine()}-{os.getpid()}-{_start_of(os.getpid())}-{secrets.token_hex(6)}"


def leftovers(paths: Iterable[str], *, is_alive: Callable[[int, str], bool]) -> tuple[str, ...]:
    """Those of a container's files that belong to runs of this machine which are gone, sorted.

    Args:
        paths: pid files and placed files, as the container names them.
        is_alive: whether a process with that id and that start runs here.
    """
    found = []
    for path in paths:
        parts = _RUN.search(path)
        if parts and parts["run"].startswith(_machine()) and not is_alive(int(parts["pid"]), parts["start"]):
            found.append(path)
    return tuple(sorted(found))


def is_left(run: str) -> bool:
    """Whether that name of a run is one of this machine whose process is gone."""
    return bool(leftovers([f"/ops-tool-{run}.pid"], is_alive=is_alive))


def is_alive(pid: int, start: str) -> bool:
    """Whether the process of that id still is the one that started then, as far as we can see."""
    return _start_of(pid) in {start, _UNSEEN}


def _machine() -> str:
    """This machine and what numbers its processes; cloned machines and containers often share a name."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/etc/machine-id").read_text(encoding="ascii").strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return f"m{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:8]}"


def _start_of(pid: int) -> str:
    """When a process started, so that a reused id is told from it; `0` where it runs and that cannot be seen.

    There may be no /proc, or one that hides other people's processes (`hidepid`).
    """
    with suppress(OSError, IndexError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:6]
        # The second field is the program's name in brackets and may hold spaces; the start is the 22nd.
        ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        return f"{boot}{ticks}"
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # a container can call its files what it likes
        return "gone"
    except PermissionError:
        return _UNSEEN
    return _UNSEEN
