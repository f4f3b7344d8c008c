"""Does Ctrl-C end a transfer at once, whatever it waits for, with the live database as it was?"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.adapters.transfer.running import tools_for
from tests.alembic_project import READS_ENVIRONMENT, AlembicProject
from tests.conftest import connect

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
REPOSITORY = Path(__file__).parents[3]
HISTORY = """
op.create_table("a", sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Integer))
op.create_table("b", sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Integer))
if op.get_bind().dialect.name == "postgresql":
    op.execute('''CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        $$ BEGIN IF current_database() LIKE '%scratch%' THEN PERFORM pg_sleep(900); END IF; RETURN $1; END $$''')
    {slow}
"""
SLOW = {
    "COPY": """op.execute("ALTER TABLE a ADD CHECK (slow(v) > 0); ALTER TABLE b ADD CHECK (slow(v) > 0)")""",
    "CREATE INDEX": """op.execute("CREATE INDEX ON a (slow(v)); CREATE INDEX ON b (slow(v))")""",
}


@pytest.mark.parametrize("step", SLOW)
def test_ctrl_c_ends_both_workers_at_once_and_drops_the_new_database(step, tmp_path, fresh_database):
    project = AlembicProject(tmp_path / "project", env=READS_ENVIRONMENT)
    project.revision("one", up=HISTORY.replace("{slow}", SLOW[step]))
    tools, file = tools_for(project.folder, fresh_database, tmp_path / "state"), tmp_path / "source.db"
    tools.migrator_of(file).upgrade("one", lock_timeout_s=5, statement_timeout_s=60)
    tools.migrator.upgrade("one", lock_timeout_s=5, statement_timeout_s=60)
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("INSERT INTO a VALUES (1, 1)")
        session.execute("INSERT INTO b VALUES (1, 1)")
    words = ["never", file, project.folder, tmp_path / "state", fresh_database.host, fresh_database.port,
             fresh_database.user, fresh_database.database]  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.adapters.transfer.killed_child", *map(str, words)],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    child.stdin.write(fresh_database.password.reveal() + "\n")
    child.stdin.flush()
    wait_for_both(fresh_database, step)

    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=120)

    assert (child.returncode, said.splitlines()) == (
        130, [f"the transfer was interrupted: {fresh_database.database} is as it was"])  # fmt: skip
    assert tools.database.copies() == ()


def wait_for_both(endpoint, step):
    """Until both workers are in it."""
    deadline = time.monotonic() + 120
    with connect(endpoint) as session:
        query = "SELECT count(*) FROM pg_stat_activity WHERE starts_with(query, %s) AND wait_event = 'PgSleep'"
        while session.execute(query, [step]).fetchone() != (2,):
            assert time.monotonic() < deadline
            time.sleep(0.05)
