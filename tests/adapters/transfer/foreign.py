"""A foreign history with a column of every kind, keys of every form, self references and a cycle.

Nothing in it is the application's: what the transfer knows of a table it has read.
"""

# ruff: noqa: E501 - tables read best with a line for each

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.alembic_project import READS_ENVIRONMENT, AlembicProject

FIRST = """
op.create_table("team", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(40), nullable=False),
    sa.Column("lead_id", sa.Integer))
op.create_table("person", sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", sa.String(60), unique=True),
    sa.Column("team_id", sa.Integer, sa.ForeignKey("team.id", name="fk_person_team")),
    sa.Column("boss_id", sa.Integer, sa.ForeignKey("person.id", name="fk_person_boss")))
if op.get_bind().dialect.name == "postgresql":
    op.create_foreign_key("fk_team_lead", "team", "person", ["lead_id"], ["id"])
op.create_table("every",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("small", sa.SmallInteger), sa.Column("whole", sa.Integer), sa.Column("big", sa.BigInteger),
    sa.Column("flag", sa.Boolean), sa.Column("word", sa.String(8)), sa.Column("story", sa.Text),
    sa.Column("ratio", sa.Float), sa.Column("single", sa.REAL), sa.Column("price", sa.Numeric(10, 2)),
    sa.Column("aware", sa.DateTime(timezone=True)), sa.Column("naive", sa.DateTime),
    sa.Column("day", sa.Date), sa.Column("clock", sa.Time), sa.Column("span", sa.Interval),
    sa.Column("key", sa.Uuid), sa.Column("doc", sa.JSON),
    sa.Column("docb", sa.JSON().with_variant(__import__("sqlalchemy.dialects.postgresql").dialects.postgresql.JSONB(), "postgresql")),
    sa.Column("data", sa.LargeBinary), sa.Column("mood", sa.Enum("happy", "sad", name="mood")),
    sa.Column("must", sa.String(10), nullable=False))
op.create_index("ix_every_whole", "every", ["whole"])
op.create_table("pair", sa.Column("left", sa.String(20), primary_key=True), sa.Column("right", sa.Integer, primary_key=True),
    sa.Column("note", sa.Text))
op.create_table("bare", sa.Column("line", sa.Text), sa.Column("number", sa.Integer))
"""
MORE = 'op.add_column("person", sa.Column("nick", sa.String(20)))'


def project(folder: Path) -> AlembicProject:
    """The history `one`, `two`."""
    made = AlembicProject(folder, env=READS_ENVIRONMENT)
    made.revision("one", up=FIRST, back="op.drop_table('bare')")
    made.revision("two", "one", up=MORE, back='op.drop_column("person", "nick")')
    return made


EVERY = (
    1, 32767, -2147483648, 9223372036854775807, 1, "tab\tend", 'back\\slash "quote" \r\n \x0b\x0c\x08 Ünïcödé 💥 \\N',
    0.1, 3.1400001049041748, 12.5, "2024-02-29 23:59:59.999999", "2024-01-02 03:04:05.000000", "2024-02-29",
    "01:02:03.500000", "1970-01-02 00:00:01.250000", "0123456789abcdef0123456789abcdef",
    '{"b": 1.50, "a": [1e3, "x\\ty"], "ü": null}', '{"bb": 1.50, "a": [1e3, "x\\ty", true], "ü": "é\\u0001"}',
    b"\x00\xff\\", "happy", "",
)  # fmt: skip


def fill(file: Path) -> None:
    """Rows that every kind takes, extremes, NULLs, cycles."""
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("INSERT INTO team VALUES (1, 'red', 2), (7, 'blue', NULL)")
        session.execute(
            "INSERT INTO person (id, email, team_id, boss_id, nick) VALUES (1, 'a@b', 1, 1, NULL), (2, 'c@d', 1, 1, 'x'),"
            " (5, NULL, NULL, NULL, '')"
        )
        places = ", ".join("?" * len(EVERY))
        session.execute(f"INSERT INTO every VALUES ({places})", EVERY)
        session.execute("INSERT INTO every (id, must) VALUES (2, 'only')")
        session.execute(
            "INSERT INTO every (id, must, span, ratio, price, aware) VALUES"
            " (3, 'x', '1969-12-31 23:59:59.500000', 1e300, -0.01, '0001-01-01 00:00:00.000000')"
        )
        session.executemany("INSERT INTO pair VALUES (?, ?, ?)", [("z", 1, "ä"), ("Z", 2, None), ("a", -1, "\\.")])
        session.executemany("INSERT INTO bare VALUES (?, ?)", [("x", 1), ("x", 1), (None, None)])
    session.close()
