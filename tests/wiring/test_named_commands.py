"""Are the commands in what we say about the database that was just changed?"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ops.model.commands import SAME_DATABASE
from ops.output import begin_result, with_commands
from ops.wiring import open_toolbox

ROOT = Path(__file__).parents[2]


def inv(folder: Path, *words: str, variables: dict[str, str], exit_code: int = 0) -> str:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    done = subprocess.run(
        [Path(sys.executable).parent / "inv", *words], cwd=folder, env={**kept, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text("from ops.cli import namespace\n")
    (tmp_path / "pyproject.toml").write_text('[tool.ops]\nalembic-config = "none.ini"\n')
    with closing(sqlite3.connect(tmp_path / "app.db")) as session, session:
        session.execute("CREATE TABLE notes (id integer PRIMARY KEY)")
    return tmp_path


def test_a_database_named_for_one_command_is_said_to_be_needed_for_the_way_back(project: Path) -> None:
    named = {"OPS_ENGINE": "url", "DATABASE_URL": f"sqlite:///{project}/app.db"}
    inv(project, "backup", variables=named)

    said = inv(project, "restore", "--latest", "--yes", variables=named)
    refused = inv(project, "restore", "--file", "20200101T000000Z", "--yes", variables=named, exit_code=30)

    assert f"inv rollback brings it back ({SAME_DATABASE})" in said
    assert SAME_DATABASE in refused


def test_what_the_env_file_says_need_not_be_said_again(project: Path) -> None:
    (project / ".env").write_text(f"OPS_ENGINE=url\nDATABASE_URL=sqlite:///{project}/app.db\n")
    inv(project, "backup", variables={})

    said = inv(project, "restore", "--latest", "--yes", variables={})

    assert "inv rollback brings it back\n" in said
    assert SAME_DATABASE not in said


def test_after_a_change_of_production_the_way_back_is_productions(project: Path) -> None:
    (project / ".env.production").write_text(f"OPS_ENGINE=url\nDATABASE_URL=sqlite:///{project}/app.db\n")
    inv(project, "backup", "--prod", variables={})

    said = inv(project, "restore", "--prod", "--latest", "--yes", variables={})

    assert "inv rollback --prod brings it back" in said
    assert "would be undone" in inv(project, "rollback", "--prod", variables={}, exit_code=14)


def test_a_stack_that_its_env_file_makes_production_is_the_one_of_the_same_command(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.delenv("OPS_ENV", raising=False)
    (project / ".env").write_text("OPS_ENV=production\n")

    with open_toolbox() as tools:
        told = with_commands("inv rollback")
    begin_result()

    assert tools.settings.is_production
    assert told == "inv rollback"
