"""Story: a person presses Ctrl-C, closes the terminal or stops the service while a task waits."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.stories.conftest import INV


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text("from ops.cli import namespace\n")
    (tmp_path / "docker-compose.yml").write_text("name: opstest-signals\nservices: {db: {image: 'postgres:17'}}\n")
    return tmp_path


def waiting_task(project: Path) -> subprocess.Popen[str]:
    """`inv up`, which waits for a lock that the test holds."""
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [INV, "up", "--lock-wait", "60"], cwd=project, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "OPS_ENGINE": "embedded", "PYTHONPATH": str(root)}, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def wait_for(task: subprocess.Popen[str], words: str) -> None:
    assert task.stderr is not None
    deadline = time.monotonic() + 30
    while words not in (line := task.stderr.readline()):
        assert line, "the task ended"
        assert time.monotonic() < deadline


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_signal_ends_a_task_with_its_own_exit_code_and_says_so(project: Path, number: int, code: int) -> None:
    folder = project / ".ops" / "opstest-signals"
    folder.mkdir(parents=True)
    with (folder / "change.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        task = waiting_task(project)
        wait_for(task, "engine embedded")

        task.send_signal(number)
        _, said = task.communicate(timeout=30)

    assert task.returncode == code, said
    assert "Traceback" not in said
    assert sys.executable not in said


def interrupted_at(project: Path, module: str) -> subprocess.CompletedProcess[str]:
    """`inv config` with a Ctrl-C at the moment when this module is imported."""
    (project / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Press:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Press())\n"
    )
    root = Path(__file__).resolve().parents[2]
    shutil.copy(root / "tasks.py", project / "tasks.py")

    return subprocess.run(
        [INV, "config"], cwd=project, text=True, capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": f"{project}:{root}"},
    )  # fmt: skip


@pytest.mark.parametrize("module", ["ops.cli.lifecycle", "ops.cli.task", "ops.cli.service"])
def test_ctrl_c_while_the_tasks_are_still_loaded_ends_quietly(project: Path, module: str) -> None:
    ended = interrupted_at(project, module)

    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "ops: interrupted: nothing was begun\n"


def test_ctrl_c_while_invoke_itself_is_imported_is_its_own_traceback_and_begins_nothing(project: Path) -> None:
    ended = interrupted_at(project, "invoke.program")

    assert (ended.returncode, ended.stdout) in {(130, ""), (-signal.SIGINT, "")}
    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")
    assert not (project / ".ops").exists()
