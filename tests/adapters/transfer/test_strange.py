"""Does what somebody else's project holds arrive, come back equal, and keep working?"""

from __future__ import annotations

import sqlite3

import pytest

from ops.actions.transfer_back import plan_back, transfer_back
from ops.adapters.sqlite.fingerprint import table_summaries
from tests.adapters.transfer.running import checksums, moved, tools_for
from tests.adapters.transfer.strange import STRANGE
from tests.conftest import connect

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def contents(path):
    """Every table's rows with the type of each value, each row once."""
    session = sqlite3.connect(path)
    try:
        names = [summary.name for summary in table_summaries(session)]
        quoted = {name: '"' + name.replace('"', '""') + '"' for name in names}
        return {(name, *row) for name in names for row in session.execute(f"SELECT * FROM {quoted[name]}")}
    finally:
        session.close()


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_project_arrives_and_comes_back_equal(name, tmp_path, fresh_database):
    strange = STRANGE[name]
    project = strange.project(tmp_path / "project")
    tools = tools_for(project.folder, fresh_database, tmp_path / "state")
    file, back = tmp_path / "source.db", tmp_path / "back.db"
    tools.migrator_of(file).upgrade("one", lock_timeout_s=5, statement_timeout_s=60)
    strange.fill(file)

    plan, report = moved(tools, file)
    report_back = transfer_back(plan_back(back, tools), tools)

    assert checksums(report_back) == checksums(report)
    assert plan.faults == plan.warnings == ()
    assert report.problems == ()
    assert contents(back) == contents(file)


def test_every_sequence_gives_a_number_that_no_row_has(tmp_path, fresh_database):
    strange = STRANGE["identities and sequences of one's own"]
    tools = tools_for(strange.project(tmp_path / "project").folder, fresh_database, tmp_path / "state")
    file = tmp_path / "source.db"
    tools.migrator_of(file).upgrade("one", lock_timeout_s=5, statement_timeout_s=60)
    strange.fill(file)

    _, report = moved(tools, file)

    assert report.sequences == {"public.always_id_seq": 16, "public.auto_id_seq": 4, "public.shared_seq": 41}
    with connect(fresh_database) as session:
        given = [
            session.execute(f"INSERT INTO \"{table}\" (a) VALUES ('next') RETURNING id").fetchone()[0]
            for table in ("always", "auto", "left", "right")
        ]
    assert given == [16, 4, 41, 42]
