"""Are exactly the named certificate files read?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ops.adapters.certificate_files import certificate_files
from tests.model.test_certificate import certificate

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_names_and_patterns_are_read_once_each_and_a_missing_name_is_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "ssl"
    folder.mkdir()
    (folder / "fullchain.pem").write_bytes(certificate(NOW, NOW + timedelta(9)))
    (folder / "other.pem").mkdir()

    found = certificate_files(
        tmp_path, ["ssl/full*.pem", "ssl/fullchain.pem", "ssl/gone.pem", "x/*.pem", "ssl/other.pem"]
    )

    assert [(one.name, one.valid_until, one.problem) for one in found] == [
        ("ssl/fullchain.pem", NOW + timedelta(9), ""),
        ("ssl/gone.pem", None, "it is not there"),
        ("ssl/other.pem", None, "it cannot be read: Is a directory"),
    ]


def test_files_outside_the_project_are_named_by_their_absolute_path(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "live").mkdir()
    file = tmp_path / "live" / "fullchain.pem"
    file.write_bytes(certificate(NOW, NOW + timedelta(9)))

    for name in (str(file), f"{tmp_path}/live/full*.pem"):
        found = certificate_files(tmp_path / "project", [name])

        assert [(one.name, one.problem) for one in found] == [(str(file), "")]
