"""What becomes of a result where stdout is closed, full, or of another character set?"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

INV = Path(sys.executable).with_name("inv")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text("from ops.cli import namespace\n")
    (tmp_path / "docker-compose.yml").write_text("services: {db: {image: x, environment: {NAME: 'ü✓'}}}\n")
    return tmp_path


def run(project: Path, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "INV": shlex.quote(str(INV))}
    return subprocess.run(
        ["sh", "-c", command], cwd=project, env={**known, **variables}, capture_output=True, text=True, check=False
    )


def test_characters_that_stdout_lacks_are_written_out(project: Path) -> None:
    shown = run(project, "$INV config", PYTHONIOENCODING="ascii")
    document = run(project, "$INV config --json", PYTHONIOENCODING="ascii")

    assert shown.returncode == 0, shown.stderr
    assert "NAME=\\xfc\\u2713" in shown.stdout
    assert json.loads(document.stdout)["stack"]["services"]["db"]["environment"]["NAME"] == "ü✓"


def test_a_closed_stdout_is_no_bug(project: Path) -> None:
    done = run(project, "$INV config >&-")

    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_stdout_says_that_the_work_is_done(project: Path) -> None:
    done = run(project, "$INV config --json >/dev/full")

    assert done.returncode == 3
    assert "what was asked for is done, but stdout cannot take the result" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["--list", "--help up", ""])
def test_a_reader_that_goes_away_ends_invokes_own_pages_without_a_traceback(project: Path, words: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [INV, *words.split()], cwd=project, env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, "")
