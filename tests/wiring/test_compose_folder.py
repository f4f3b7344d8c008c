"""From which folder do the relative paths of a compose file start that is not in the project's own?"""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.wiring.toolbox import open_toolbox


def test_they_start_at_the_compose_files_folder_as_with_compose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks.py").touch()
    (tmp_path / "pyproject.toml").write_text('[tool.ops]\ncompose-file = "stack/compose.yaml"\n')
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "compose.yaml").write_text("services: {db: {image: x, volumes: ['./data:/data']}}\n")
    monkeypatch.chdir(tmp_path)

    with open_toolbox() as tools:
        stack = tools.stack

    assert stack.working_dir == tmp_path / "stack"
    assert stack.services["db"].mounts[0].source == str(tmp_path / "stack" / "data")
