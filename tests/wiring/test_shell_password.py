"""Does psql beside the database get the password that its container was given, and no argument of ours hold it?"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ops.wiring.database import LOGGED_IN


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"POSTGRES_PASSWORD": 'it\'s $1 "quoted"'}, 'it\'s $1 "quoted"'),
        ({"POSTGRES_PASSWORD": "image's", "PGPASSWORD": "ours"}, "ours"),
        ({"POSTGRES_PASSWORD_FILE": "{file}"}, "from a file"),
        ({}, ""),
    ],
)
def test_a_program_beside_the_database_finds_its_password(tmp_path: Path, given: dict[str, str], wanted: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    variables = {name: value.replace("{file}", str(secret)) for name, value in given.items()}

    done = subprocess.run(
        ["sh", "-c", LOGGED_IN, "sh", "sh", "-c", 'printf "%s|%s" "$PGPASSWORD" "$1"', "sh", "a b"],
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == f"{wanted}|a b"
