"""Whose run is gone, and whose can only not be seen from here?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ops.adapters.docker.reaper import is_alive, leftovers, run_id

ROOT = Path(__file__).parents[3]
HIDDEN = """
import os, subprocess, sys
from ops.adapters.docker.reaper import _start_of, is_alive
with subprocess.Popen(["sleep", "60"]) as other:
    start = _start_of(other.pid)
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
    print(os.path.exists(f"/proc/{other.pid}"), is_alive(other.pid, start), is_alive(999999, start))
    os.seteuid(0)
    other.kill()
"""


def elsewhere(program: str, prepare: str = "true") -> str:
    """Run Python in a process namespace of its own, as a container has one that keeps the machine's name."""
    words = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-ec", f'{prepare}; exec "$@"', "sh"]
    try:
        done = subprocess.run(
            [*words, sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if "Operation not permitted" in done.stderr or "must be superuser" in done.stderr:
        pytest.skip("only root makes namespaces here")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_run_of_this_process_is_alive_and_one_whose_process_is_gone_is_left() -> None:
    alive = f"/tmp/ops-tool-{run_id()}.pid"
    number, start = alive.split("-")[3:5]
    dead = alive.replace(f"-{number}-{start}-", f"-999999999-{start}-")
    made_up = alive.replace(f"-{number}-{start}-", f"-{'9' * 30}-{start}-")

    assert leftovers([alive, dead, made_up, "/tmp/ops-tool-of-somebody.pid"], is_alive=is_alive) == (dead, made_up)


def test_a_run_of_a_container_that_has_this_machines_name_is_not_ours_to_end() -> None:
    theirs = elsewhere("from ops.adapters.docker.reaper import run_id; print(run_id())")

    assert leftovers([f"/tmp/ops-tool-{theirs}.pid"], is_alive=is_alive) == ()


def test_a_process_that_the_system_hides_from_us_is_not_taken_for_gone() -> None:
    said = elsewhere(HIDDEN, prepare="mount -t proc -o hidepid=2 proc /proc")

    assert said == "False True False"
