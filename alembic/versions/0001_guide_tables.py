"""The five tables of the guide, with exactly the guide's columns.

Keys between tables, uniqueness and indexes come with 0002: a SQLite file of the guide's time has none that could be
relied on, and whatever it has, 0002 leaves the same tables behind.

Revision: 0001, the first.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _stamps() -> list[sa.Column[object]]:
    return [
        sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
        for name in ("created_at", "updated_at")
    ]


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
    )
    op.create_table(
        "threads",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("publisher", sa.String(100)),
        sa.Column("current_volume", sa.Integer()),
        sa.Column("current_issue", sa.Integer()),
        sa.Column("dice_value", sa.Integer(), nullable=False, server_default="6"),
        sa.Column("last_rating", sa.Float()),
        _moment("last_review_at", nullable=True),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_threads"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer()),
        _moment("started_at"),
        _moment("ended_at", nullable=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("dice_roll", sa.Integer()),
        _flag("completed"),
        _flag("skipped"),
        _flag("read"),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer()),
        sa.Column("event_type", sa.String(50), nullable=False),
        sa.Column("issue", sa.Integer()),
        sa.Column("rating", sa.Float()),
        _moment("timestamp"),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.String(50), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("priority", sa.String(20), nullable=False),
        sa.Column("status", sa.String(50), nullable=False),
        sa.Column("dependencies", sa.String(500)),
        sa.Column("assigned_agent", sa.String(100)),
        sa.Column("worktree", sa.String(255)),
        sa.Column("status_notes", sa.Text()),
        sa.Column("estimated_effort", sa.String(50)),
        _flag("completed"),
        sa.Column("blocked_reason", sa.Text()),
        sa.Column("blocked_by", sa.String(50)),
        _moment("last_heartbeat", nullable=True),
        sa.Column("instructions", sa.Text()),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )


def downgrade() -> None:
    for table in ("tasks", "events", "sessions", "threads", "users"):
        op.drop_table(table)
