"""Does a task started in a folder below the project work on the project?"""

from __future__ import annotations

from pathlib import Path

from ops.wiring.project_files import project_root


def test_the_root_is_the_first_folder_above_that_has_tasks(tmp_path: Path) -> None:
    (tmp_path / "project" / "app" / "pages").mkdir(parents=True)
    (tmp_path / "project" / "tasks.py").touch()

    assert project_root(tmp_path / "project" / "app" / "pages") == tmp_path / "project"
    assert project_root(tmp_path / "project") == tmp_path / "project"


def test_without_any_tasks_it_is_where_we_are(tmp_path: Path) -> None:
    assert project_root(tmp_path) == tmp_path
