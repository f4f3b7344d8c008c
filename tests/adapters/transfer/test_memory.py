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
from tests.conftest import connect

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
REPOSITORY = Path(__file__).parents[3]
LIMIT_MB = 100
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


SHAPES = {
    "long texts": ("text", "TEXT", "x" * 4090, 40_000, 1),
    "eight texts": ("text", "TEXT", "x" * 500, 30_000, 8),
    "ninety moments": ("timestamptz", "DATETIME", "2024-01-01 00:00:00.000000", 20_000, 90),
    "long texts for moments": ("timestamptz", "DATETIME", "x" * 100_000, 3000, 1),
    "long texts for numbers": ("bigint", "INTEGER", "x" * 100_000, 3000, 1),
    "long texts for fractions": ("double precision", "FLOAT", "x" * 100_000, 3000, 1),
    "bytes": ("bytea", "BLOB", b"x" * 50_000, 3000, 1),
}
EXAMINED = """
import sys
from pathlib import Path
from ops.adapters.transfer.bridge import SqlitePostgresBridge
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from ops.model.transfer.schema import pair_up
from tests.fakes.reporter import RecordingReporter
host, port, user, database, file, folder = sys.argv[1:]
endpoint = PostgresEndpoint(host, int(port), user, Secret(sys.stdin.readline().strip()), database)
bridge = SqlitePostgresBridge(endpoint, Path(folder), RecordingReporter(), part_rows=20_000)
copy = bridge.new_folder() / "copy.db"
bridge.copy_source(Path(file), copy)
pairs, _ = pair_up(bridge.source_tables(copy), bridge.target_tables(database))
bridge.examine(copy, pairs, (), is_kept=True)
bridge.remove_folder(copy.parent)
from tests.adapters.transfer.own_memory import own_peak_mb
print(own_peak_mb())
"""


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_of_any_shape_take_no_more_memory_to_be_looked_at(shape, tmp_path, fresh_database):
    kind, declared, value, rows, columns = SHAPES[shape]
    names = [f"v{at}" for at in range(columns)]
    with connect(fresh_database) as session:
        session.execute(f"CREATE TABLE t (id bigint PRIMARY KEY, {', '.join(f'{name} {kind}' for name in names)})")
    file = tmp_path / "source.db"
    with closing(sqlite3.connect(file)) as session, session:
        session.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(f'{name} {declared}' for name in names)})")
        places = ", ".join("?" * (columns + 1))
        session.executemany(f"INSERT INTO t VALUES ({places})", ((at, *[value] * columns) for at in range(rows)))
    where = [fresh_database.host, fresh_database.port, fresh_database.user, fresh_database.database]

    child = subprocess.run(
        [sys.executable, "-c", EXAMINED, *map(str, where), str(file), str(tmp_path / "work")], text=True,
        input=fresh_database.password.reveal() + "\n", cwd=REPOSITORY, capture_output=True, check=False,
    )  # fmt: skip

    assert child.returncode == 0, child.stderr
    assert int(child.stdout) < LIMIT_MB
