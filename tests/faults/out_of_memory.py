"""How does a test have the kernel's out-of-memory killer end a certain process, and nothing else?

The process is put into a memory cgroup of its own with a small limit, where a second one then eats memory until the
kernel must choose; it is told to choose the first.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from pathlib import Path

import pytest

LIMIT_BYTES = 24 << 20
_ROOTS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
_EAT = "read -r _; exec tail /dev/zero"
"""`tail` keeps a line until it ends, and is small itself: the kernel weighs what it has mapped against the limit."""


def missing() -> str:
    """Why the killer cannot be had here; empty where it can."""
    if os.geteuid() != 0:
        return "THE OUT-OF-MEMORY KILLER NEEDS ROOT"
    return "" if _root() is not None else "THE OUT-OF-MEMORY KILLER NEEDS A MEMORY CGROUP"


def required() -> None:
    """Skip loudly where it cannot be had, and fail where CI requires it."""
    if why := missing():
        (pytest.fail if os.environ.get("OPS_REQUIRE_DOCKER") == "1" else pytest.skip)(why)


def _root() -> Path | None:
    for root in _ROOTS:
        if (root / "memory.limit_in_bytes").exists():
            return root
        if "memory" in _words(root / "cgroup.subtree_control"):
            return root
    return None


def _words(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def kills(pid: int, within_s: float = 30) -> None:
    """Let the kernel end `pid` for want of memory; it is stopped first, so that it does not end by itself."""
    root = _root()
    assert root is not None
    group = root / f"opstest-{secrets.token_hex(4)}"
    group.mkdir()
    limits = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max", "memory.swap.max")
    os.kill(pid, signal.SIGSTOP)
    eater = subprocess.Popen(["sh", "-c", _EAT], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        for name in limits:
            if (group / name).exists():
                (group / name).write_text("0" if name == "memory.swap.max" else str(LIMIT_BYTES))
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
        for each in (pid, eater.pid):
            (group / "cgroup.procs").write_text(str(each))
        eater.stdin.close()
        _wait_until_killed(group, pid, within_s)
    finally:
        eater.kill()
        eater.wait()
        _remove(group)


def _wait_until_killed(group: Path, pid: int, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while _killed(group) == 0 or _state(pid) not in {"", "Z", "X"}:
        assert time.monotonic() < deadline, f"the kernel did not kill {pid}"
        time.sleep(0.01)


def _killed(group: Path) -> int:
    """How many processes the killer has ended in a group, as the kernel counts them."""
    words = _words(group / "memory.oom_control") or _words(group / "memory.events")
    return int(words[words.index("oom_kill") + 1])


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _remove(group: Path) -> None:
    for _ in range(200):
        try:
            group.rmdir()
        except OSError:  # the dead are in it until they are waited for
            time.sleep(0.05)
        else:
            return
