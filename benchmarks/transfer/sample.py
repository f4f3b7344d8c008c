"""What is moved in the benchmark: an Alembic history with four tables, and a SQLite file of 1.1 million rows."""

# ruff: noqa: E501, RUF001 - programs and tables read best with a line for each

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

INI = "[alembic]\nscript_location = alembic\n"
ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool
engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
TEMPLATE = "${up_revision}"
REVISION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001", None
def moment(name, **more):
    return sa.Column(name, sa.DateTime(timezone=True), **more)
def upgrade():
    op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(100), nullable=False),
        sa.Column("email", sa.String(120), unique=True), moment("created_at", nullable=False))
    op.create_table("threads", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("title", sa.String(200), nullable=False), sa.Column("body", sa.Text), sa.Column("rating", sa.Float),
        sa.Column("active", sa.Boolean, nullable=False), moment("created_at", nullable=False), moment("updated_at"))
    op.create_table("sessions", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("thread_id", sa.Integer, sa.ForeignKey("threads.id")), moment("started_at", nullable=False),
        moment("ended_at"), sa.Column("status", sa.String(20), nullable=False), sa.Column("read", sa.Boolean))
    op.create_table("events", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("session_id", sa.Integer, sa.ForeignKey("sessions.id")), sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("issue", sa.Integer), sa.Column("note", sa.Text), moment("at", nullable=False))
    op.create_index("ix_sessions_thread", "sessions", ["thread_id"])
    op.create_index("ix_events_session", "events", ["session_id"])
def downgrade():
    for name in ("events", "sessions", "threads", "users"):
        op.drop_table(name)
"""
ROWS = {"users": 50_000, "threads": 200_000, "sessions": 350_000, "events": 500_000}
TEXTS = (
    "plain words of a usual length",
    "tab\there",
    "line\nend",
    "back\\slash",
    "Ünïcödé – “quotes”",
    "",
    "a 'quote'",
)


def write_project(folder: Path) -> None:
    """The Alembic project."""
    (folder / "alembic" / "versions").mkdir(parents=True)
    (folder / "alembic.ini").write_text(INI)
    (folder / "alembic" / "env.py").write_text(ENV)
    (folder / "alembic" / "script.py.mako").write_text(TEMPLATE)
    (folder / "alembic" / "versions" / "0001.py").write_text(REVISION)


def fill(file: Path, scale: float) -> int:
    """Fill an empty file at revision 0001; returns the number of rows."""
    rows = {name: int(count * scale) for name, count in ROWS.items()}
    draw = random.Random(4)

    def moment() -> str:
        at = datetime(2020, 1, 1) + timedelta(seconds=draw.randrange(150_000_000), microseconds=draw.randrange(10**6))  # noqa: DTZ001
        return at.isoformat(" ", "microseconds")

    def maybe(value: object) -> object:
        return None if draw.random() < 0.1 else value

    def text() -> str:
        return " ".join(draw.choices(TEXTS, (40, 1, 1, 1, 2, 1, 2), k=draw.randrange(1, 4)))

    made = {
        "users": ((i, f"user {i}", f"user{i}@example.org", moment()) for i in range(1, rows["users"] + 1)),
        "threads": (
            (i, draw.randrange(rows["users"]) + 1, f"Title {i} {text()}"[:200], maybe(text()), maybe(draw.random() * 5),
             draw.randrange(2), moment(), maybe(moment())) for i in range(1, rows["threads"] + 1)
        ),
        "sessions": (
            (i, maybe(draw.randrange(rows["threads"]) + 1), moment(), maybe(moment()), "active", maybe(draw.randrange(2)))
            for i in range(1, rows["sessions"] + 1)
        ),
        "events": (
            (i, maybe(draw.randrange(rows["sessions"]) + 1), "roll", maybe(draw.randrange(500)), maybe(text()), moment())
            for i in range(1, rows["events"] + 1)
        ),
    }  # fmt: skip
    with closing(sqlite3.connect(file)) as session, session:
        for name, values in made.items():
            places = ", ".join("?" * {"users": 4, "threads": 8, "sessions": 6, "events": 6}[name])
            session.executemany(f"INSERT INTO {name} VALUES ({places})", values)
    session.close()
    return sum(rows.values())
