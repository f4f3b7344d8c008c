"""Is a secret of an env file masked in an error, whatever failed?"""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.wiring.masked_log import open_error_log


def test_secrets_of_every_env_file_are_known_even_beside_one_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=first-secret\n")
    (tmp_path / ".env.production").write_text("POSTGRES_PASSWORD=second-secret\n")
    (tmp_path / ".env.broken").write_text("A='never closed\n")
    monkeypatch.chdir(tmp_path)

    log = open_error_log()

    assert log.masked("x second-secret y first-secret") == "x *** y ***"
