"""Does a transfer take as much memory for ten times the rows?"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.transfer import sample
from tests.adapters.transfer.running import tools_for

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
REPOSITORY = Path(__file__).parents[3]
LIMIT_MB = 150
NOISE_MB = 40
SCALE = 0.05


def memory_mb(file, project, state, endpoint, rows):
    """The most that a transfer of the file took."""
    words = [file, project, state, endpoint.host, endpoint.port, endpoint.user, endpoint.database]
    child = subprocess.run(
        [sys.executable, "-m", "tests.adapters.transfer.measured_child", *map(str, words)],
        input=endpoint.password.reveal() + "\n", text=True, cwd=REPOSITORY, capture_output=True, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    moved, peak_mb = map(int, child.stdout.split())
    assert moved == rows
    return peak_mb


def made(folder, endpoint, scale, *more):
    sample.write_project(folder / "project")
    tools = tools_for(folder / "project", endpoint, folder / "state")
    file = folder / "source.db"
    tools.migrator_of(file).upgrade("0001", lock_timeout_s=5, statement_timeout_s=60)
    rows = sample.fill(file, scale)
    with closing(sqlite3.connect(file)) as session, session:
        for statement in more:
            session.execute(statement)
    session.close()
    return file, folder / "project", folder / "state", endpoint, rows


def test_ten_times_the_rows_take_no_more_memory(tmp_path, fresh_database):
    (tmp_path / "small").mkdir()
    (tmp_path / "large").mkdir()

    small = memory_mb(*made(tmp_path / "small", fresh_database, SCALE))
    large = memory_mb(*made(tmp_path / "large", fresh_database, 10 * SCALE))

    assert large <= small + NOISE_MB
    assert large < LIMIT_MB


def test_large_rows_behind_small_ones_take_no_more_memory_either(tmp_path, fresh_database):
    """Batches are as large as the first rows allow: later rows of 100 kB must not make them a thousand times so."""
    larger = "UPDATE threads SET body = hex(zeroblob(50000)) || title WHERE id > (SELECT max(id) FROM threads) - 3000"

    peak_mb = memory_mb(*made(tmp_path, fresh_database, SCALE, larger))

    assert peak_mb < LIMIT_MB
