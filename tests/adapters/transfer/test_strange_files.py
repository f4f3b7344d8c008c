"""Is each kind of file that is no plain source moved, or refused with its own code and left as it was?"""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ops.actions.transfer_back import plan_back, transfer_back
from ops.adapters.sqlite.fingerprint import table_summaries
from ops.adapters.transfer import source
from ops.errors import ArchiveCorrupt, DatabaseRefused, DeadlinePassed
from tests.adapters.transfer.running import moved, planned
from tests.conftest import connect

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
REPOSITORY = Path(__file__).parents[3]


def change(file, *statements):
    with closing(sqlite3.connect(file, isolation_level=None)) as session, session:
        for statement in statements:
            session.execute(statement)
    session.close()


def test_an_empty_file_is_no_database(tmp_path, tools):
    (tmp_path / "empty.db").touch()

    with pytest.raises(ArchiveCorrupt, match="is not a SQLite database"):
        planned(tools, tmp_path / "empty.db")


def test_a_cut_file_is_damaged(file, tools, tmp_path):
    cut = tmp_path / "cut.db"
    cut.write_bytes(file.read_bytes()[:-4096])

    with pytest.raises(ArchiveCorrupt):
        planned(tools, cut)


PAGE = 4096


@pytest.mark.parametrize("page", [2, 3, 5, 8, 13, 21, 34, 55])
@pytest.mark.parametrize("index", ["", "CREATE INDEX by_name ON team (name)"], ids=["", "with an index"])
def test_a_page_of_rubbish_is_told_as_damage_whoever_meets_it_first(index, page, tmp_path, tools, fresh_database):
    file = tmp_path / "wide.db"
    tools.migrator_of(file).upgrade("one", lock_timeout_s=5, statement_timeout_s=60)
    with closing(sqlite3.connect(file)) as session, session:
        names = (f"team {number} {'x' * 100}" for number in range(5000))
        session.executemany("INSERT INTO team (name) VALUES (?)", ([name] for name in names))
        session.execute(index)
    rubbish = bytes(random.Random(page).randbytes(PAGE))
    whole = file.read_bytes()
    assert len(whole) > 60 * PAGE
    file.write_bytes(whole[: (page - 1) * PAGE] + rubbish + whole[page * PAGE :])

    with pytest.raises(ArchiveCorrupt):
        planned(tools, file)

    with connect(fresh_database) as session:
        assert session.execute("SELECT count(*) FROM pg_database WHERE datname LIKE '%scratch%'").fetchone() == (0,)


def test_a_row_against_a_check_of_the_file_is_no_damage(file, tools):
    change(
        file,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, 'note TEXT', 'note TEXT CHECK (note <> ''ä'')')"
        " WHERE name = 'pair'",
    )

    _, report = moved(tools, file)

    assert report.rows == 14


def test_a_file_with_a_hot_journal_of_a_killed_writer_is_read_as_it_was_before(file, tools, tmp_path):
    """Nobody rolled the half transaction back yet, and the file is not ours to do so."""
    child = (
        "import os, signal, sqlite3, sys\n"
        "s = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "s.execute('PRAGMA cache_size = 1'); s.execute('BEGIN IMMEDIATE')\n"
        "s.execute('DELETE FROM bare')\n"
        "s.executemany('INSERT INTO bare VALUES (?, 1)', [('x' * 3000,)] * 200)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", child, file], check=False)
    journal = file.with_name(file.name + "-journal")
    before = file.read_bytes(), journal.read_bytes()

    _, report = moved(tools, file)

    assert (file.read_bytes(), journal.read_bytes()) == before
    assert {table.name: table.rows for table in report.tables}["bare"] == 3


def test_a_locked_file_is_refused_when_the_wait_is_over(file, tmp_path):
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")

    with pytest.raises(DeadlinePassed, match="somebody kept the database locked") as caught:
        source.copy_file(file, tmp_path / "copy.db", lambda _done, _total: None, wait_s=0.2)
    writer.close()

    assert caught.value.exit_code == 124
    assert "fuser" in caught.value.hint


@pytest.mark.skipif(
    os.geteuid() != 0, reason="needs a user without rights in the folder: run as root, it becomes nobody"
)
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_file_in_a_folder_where_nothing_may_be_written(mode, file, tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir()
    closed = folder / "source.db"
    change(file, f"PRAGMA journal_mode = {mode}")
    closed.write_bytes(file.read_bytes())
    for path in (*tmp_path.parents, tmp_path):
        if path != Path("/") and path.stat().st_uid == 0 and str(path).startswith("/tmp/"):
            path.chmod(path.stat().st_mode | stat.S_IXOTH)
    folder.chmod(0o555)
    closed.chmod(0o444)
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)
    child = (
        "import os, sys; from pathlib import Path; from ops.adapters.transfer import source\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "source.copy_file(Path(sys.argv[1]), Path(sys.argv[2]), lambda d, t: None)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", child, closed, out / "copy.db"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    session = sqlite3.connect(out / "copy.db")
    assert len(table_summaries(session)) == 6
    session.close()
    assert [path.name for path in folder.iterdir()] == ["source.db"]


def test_a_row_of_fifty_megabytes_arrives_and_comes_back(file, tools, fresh_database, tmp_path):
    change(
        file,
        "UPDATE every SET docb = '{\"a\": 1}' WHERE docb IS NOT NULL",
        "INSERT INTO every (id, must, story, data)"
        " VALUES (50, 'x', hex(zeroblob(25000000)) || char(9), randomblob(50000000))",
    )

    moved(tools, file)
    transfer_back(plan_back(tmp_path / "back.db", tools), tools)

    with connect(fresh_database) as session:
        found = session.execute("SELECT length(story), length(data) FROM every WHERE id = 50").fetchone()
    assert found == (50_000_001, 50_000_000)
    with closing(sqlite3.connect(tmp_path / "back.db")) as session, session:
        session.execute("ATTACH ? AS other", [str(file)])
        same = session.execute(
            "SELECT count(*) FROM every AS e JOIN other.every AS o USING (id)"
            " WHERE o.data IS e.data AND o.story IS e.story"
        ).fetchone()
    session.close()
    assert same == (4,)


@pytest.mark.parametrize("name", ["no such folder/back.db", "a folder"])
def test_a_place_where_no_file_can_be_made_is_refused(name, file, tools, tmp_path):
    moved(tools, file)
    (tmp_path / "a folder").mkdir()

    with pytest.raises(DatabaseRefused):
        plan_back(tmp_path / name, tools)

    assert list((tmp_path / "a folder").iterdir()) == []
