"""What does `inv up` say of a database whose revision is not the head's?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ops.config import read_project, read_settings
from ops.wiring.lifecycle import pending_revisions
from ops.wiring.toolbox import Toolbox
from tests.alembic_project import AlembicProject


def said_of(folder: Path, revision: str, *tables: str) -> str:
    """Of a SQLite file beside a history a, b, c."""
    AlembicProject(folder).three_tables()
    with closing(sqlite3.connect(folder / "app.db")) as session, session:
        session.execute("CREATE TABLE alembic_version (version_num TEXT)")
        session.execute("INSERT INTO alembic_version SELECT ? WHERE ? <> ''", [revision, revision])
        for table in tables:
            session.execute(f"CREATE TABLE {table} (id INTEGER)")
    variables = {"OPS_ENGINE": "url", "DATABASE_URL": "sqlite:///app.db", "COMPOSE_PROJECT_NAME": "opstest"}
    settings = read_settings(variables, root=folder)
    return pending_revisions(Toolbox(read_project(folder), settings, folder / ".env", (), (), is_strict=False))


@pytest.mark.parametrize(
    ("revision", "tables", "said"),
    [
        ("c", (), ""),
        ("b", (), "the database is at b, the head is c: inv migrate"),
        ("", (), "the database is at no revision, the head is c: inv migrate"),
        (
            "zz",
            (),
            "the database is at zz, the head is c: this checkout does not know zz: git pull, or inv rollback",
        ),
        (
            "",
            ("one", "two"),
            (
                "the database has 2 tables but no revision, which inv migrate refuses: once you know they equal a"
                " revision: alembic stamp c with DATABASE_URL set to this database"
            ),
        ),
    ],
)
def test_pending_unknown_and_missing_revisions_are_told_apart(
    tmp_path: Path, revision: str, tables: tuple[str, ...], said: str
):
    assert said_of(tmp_path, revision, *tables) == said
