"""Whose are the files and folders that we make?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops.adapters.durable_files import make_folder, replace_text


@pytest.mark.skipif(os.geteuid() != 0, reason="NEEDS ROOT: only root makes files for somebody else")
def test_what_root_makes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 23456)

    make_folder(tmp_path / "stack")
    replace_text(tmp_path / "stack" / "a.json", "{}")

    for made in (tmp_path / "stack", tmp_path / "stack" / "a.json"):
        assert (made.stat().st_uid, made.stat().st_gid) == (12345, 23456)
    assert (tmp_path / "stack").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "stack" / "a.json").stat().st_mode & 0o777 == 0o600


def test_what_a_user_makes_is_their_own(tmp_path: Path) -> None:
    replace_text(tmp_path / "a.json", "{}")

    assert (tmp_path / "a.json").stat().st_uid == tmp_path.stat().st_uid
