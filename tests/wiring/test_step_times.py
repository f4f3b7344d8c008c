"""Does the JSON of tasks that look and prune say how long each step took?"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

INV = Path(sys.executable).with_name("inv")
PROJECT = """\
[tool.ops]
database-service = "db"
[tool.ops.retention]
keep-last = 1
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text("from ops.cli import namespace\n")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "docker-compose.yml").write_text("name: opstest-times\nservices: {db: {image: 'postgres:18'}}\n")
    with closing(sqlite3.connect(tmp_path / "app.db")) as session:
        session.execute("CREATE TABLE t (x)")
    return tmp_path


def document(project: Path, *words: str, engine: str = "url") -> dict:
    known = {
        **os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OPS_ENGINE": engine,
        **({"DATABASE_URL": "sqlite:///app.db"} if engine == "url" else {}),
    }  # fmt: skip
    done = subprocess.run(
        [INV, *words, "--json"], cwd=project, env=known, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said: dict = json.loads(done.stdout)
    assert "error" not in said, done.stderr
    return said


def test_check_times_every_look_and_their_sum(project: Path) -> None:
    said = document(project, "check")

    assert said["total_s"] == pytest.approx(sum(one["duration_s"] for one in said["findings"]), abs=0.01)
    assert said["total_s"] > 0
    assert {"copies", "programs"} <= {one["name"] for one in said["findings"]}


@pytest.mark.parametrize(
    "words", [["prune"], ["prune", "--dry-run"], ["prune", "--copies"], ["prune", "--copies", "--dry-run"]]
)
def test_prune_tells_the_seconds_of_its_plan_and_of_the_removal(project: Path, words: list[str]) -> None:
    said = document(project, *words)

    assert said["total_s"] == pytest.approx(said["plan_s"] + said["remove_s"], abs=0.002)
    assert said["removed"] == []


def test_a_plan_tells_how_long_looking_and_planning_took(project: Path) -> None:
    said = document(project, "plan", engine="embedded")

    assert said["total_s"] == pytest.approx(said["observe_s"] + said["plan_s"], abs=0.002)
