"""Does `scripts/venv` mend an environment whose making was interrupted?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_one_without_pip_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy2(ROOT / "scripts" / "venv", tmp_path / "scripts" / "venv")
    (tmp_path / "empty.lock").touch()
    base = Path(sys.base_prefix) / "bin" / "python3"
    subprocess.run([base, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)

    done = subprocess.run(
        ["scripts/venv", ".venv", "empty.lock"], cwd=tmp_path, env={**os.environ, "PYTHON": str(base)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    subprocess.run([tmp_path / ".venv" / "bin" / "python", "-m", "pip", "--version"], check=True, capture_output=True)
    assert (tmp_path / ".venv" / ".lock").read_text().startswith("empty.lock ")
