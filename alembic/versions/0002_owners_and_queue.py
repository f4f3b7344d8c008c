"""A thread belongs to a user and has a place in their queue; tables are tied together by keys.

Existing threads go to the user with the lowest id, in the order of their ids; where there is no user, one is made.

On SQLite each table is rebuilt from the shape written here (`copy_from`), not from what the file happens to have:
a file of the guide's time may lack keys or have unnamed ones, and the result must be the same schema for all.

Revision: 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FIRST_USER = "reader"


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _stamps() -> list[sa.Column[object]]:
    return [
        sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
        for name in ("created_at", "updated_at")
    ]


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def _table(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
    key = sa.Column("id", sa.Integer(), nullable=False)
    return sa.Table(name, sa.MetaData(), key, *columns, sa.PrimaryKeyConstraint("id", name=f"pk_{name}"))


def _users(*constraints: sa.Constraint) -> sa.Table:
    return _table("users", sa.Column("name", sa.String(100), nullable=False), *_stamps(), *constraints)


def _threads(*more: sa.schema.SchemaItem) -> sa.Table:
    return _table(
        "threads",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("publisher", sa.String(100)),
        sa.Column("current_volume", sa.Integer()),
        sa.Column("current_issue", sa.Integer()),
        sa.Column("dice_value", sa.Integer(), nullable=False, server_default="6"),
        sa.Column("last_rating", sa.Float()),
        _moment("last_review_at", nullable=True),
        *_stamps(),
        *more,
    )


def _owner(*, nullable: bool) -> list[sa.Column[object]]:
    return [
        sa.Column("user_id", sa.Integer(), nullable=nullable),
        sa.Column("queue_position", sa.Integer()),
        sa.Column("status", sa.String(20), nullable=False, server_default="active"),
    ]


def _sessions(*more: sa.schema.SchemaItem) -> sa.Table:
    return _table(
        "sessions",
        sa.Column("thread_id", sa.Integer()),
        _moment("started_at"),
        _moment("ended_at", nullable=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("dice_roll", sa.Integer()),
        _flag("completed"),
        _flag("skipped"),
        _flag("read"),
        *_stamps(),
        *more,
    )


def _events(*more: sa.schema.SchemaItem) -> sa.Table:
    return _table(
        "events",
        sa.Column("session_id", sa.Integer()),
        sa.Column("event_type", sa.String(50), nullable=False),
        sa.Column("issue", sa.Integer()),
        sa.Column("rating", sa.Float()),
        _moment("timestamp"),
        *_stamps(),
        *more,
    )


def _tasks(*more: sa.schema.SchemaItem) -> sa.Table:
    return _table(
        "tasks",
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
        *more,
    )


OWNED = "fk_threads_user_id_users"
PLACE = "uq_threads_user_id"
STATUS = ("ck_threads_status", "status IN ('active', 'completed')")
POSITION = ("ck_threads_queue_position", "queue_position >= 1")
QUEUED = ("ck_threads_queued", "(status = 'active') = (queue_position IS NOT NULL)")


def _check(rule: tuple[str, str]) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule[1], name=rule[0])


def upgrade() -> None:
    with op.batch_alter_table("users", copy_from=_users()) as users:
        users.create_unique_constraint("uq_users_name", ["name"])
    with op.batch_alter_table("tasks", copy_from=_tasks()) as tasks:
        tasks.create_unique_constraint("uq_tasks_task_id", ["task_id"])
        tasks.create_index("ix_tasks_status", ["status"])
    with op.batch_alter_table("threads", copy_from=_threads()) as threads:
        for column in _owner(nullable=True):
            threads.add_column(column)
    _give_threads_an_owner()
    with op.batch_alter_table("threads", copy_from=_threads(*_owner(nullable=True))) as threads:
        threads.alter_column("user_id", existing_type=sa.Integer(), nullable=False)
        threads.create_foreign_key(OWNED, "users", ["user_id"], ["id"], ondelete="CASCADE")
        threads.create_unique_constraint(PLACE, ["user_id", "queue_position"])
        for name, rule in (STATUS, POSITION, QUEUED):
            threads.create_check_constraint(op.f(name), sa.text(rule))
    with op.batch_alter_table("sessions", copy_from=_sessions()) as sessions:
        sessions.create_foreign_key(
            "fk_sessions_thread_id_threads", "threads", ["thread_id"], ["id"], ondelete="CASCADE"
        )
        sessions.create_index("ix_sessions_thread_id", ["thread_id"])
        sessions.create_index("ix_sessions_started_at", ["started_at"])
        sessions.create_index("ix_sessions_ended_at", ["ended_at"])
    with op.batch_alter_table("events", copy_from=_events()) as events:
        events.create_foreign_key(
            "fk_events_session_id_sessions", "sessions", ["session_id"], ["id"], ondelete="CASCADE"
        )
        events.create_index("ix_events_session_id", ["session_id"])


def _give_threads_an_owner() -> None:
    op.execute(
        f"INSERT INTO users (name) SELECT '{FIRST_USER}' "  # noqa: S608 - a constant of this file
        "WHERE EXISTS (SELECT 1 FROM threads) AND NOT EXISTS (SELECT 1 FROM users)"
    )
    op.execute(
        "UPDATE threads SET user_id = (SELECT min(id) FROM users), queue_position = place.position "
        "FROM (SELECT id, row_number() OVER (ORDER BY id) AS position FROM threads) AS place "
        "WHERE place.id = threads.id"
    )


def downgrade() -> None:
    events = _events(
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_events_session_id_sessions", ondelete="CASCADE"
        ),
        sa.Index("ix_events_session_id", "session_id"),
    )
    with op.batch_alter_table("events", copy_from=events) as batch:
        batch.drop_index("ix_events_session_id")
        batch.drop_constraint("fk_events_session_id_sessions", type_="foreignkey")
    sessions = _sessions(
        sa.ForeignKeyConstraint(
            ["thread_id"], ["threads.id"], name="fk_sessions_thread_id_threads", ondelete="CASCADE"
        ),
        *(sa.Index(f"ix_sessions_{name}", name) for name in ("thread_id", "started_at", "ended_at")),
    )
    with op.batch_alter_table("sessions", copy_from=sessions) as batch:
        for name in ("ended_at", "started_at", "thread_id"):
            batch.drop_index(f"ix_sessions_{name}")
        batch.drop_constraint("fk_sessions_thread_id_threads", type_="foreignkey")
    threads = _threads(
        *_owner(nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=OWNED, ondelete="CASCADE"),
        sa.UniqueConstraint("user_id", "queue_position", name=PLACE),
        *(_check(rule) for rule in (STATUS, POSITION, QUEUED)),
    )
    with op.batch_alter_table("threads", copy_from=threads) as batch:
        for name, _rule in (QUEUED, POSITION, STATUS):
            batch.drop_constraint(op.f(name), type_="check")
        batch.drop_constraint(PLACE, type_="unique")
        batch.drop_constraint(OWNED, type_="foreignkey")
        for column in ("status", "queue_position", "user_id"):
            batch.drop_column(column)
    tasks = _tasks(sa.UniqueConstraint("task_id", name="uq_tasks_task_id"), sa.Index("ix_tasks_status", "status"))
    with op.batch_alter_table("tasks", copy_from=tasks) as batch:
        batch.drop_index("ix_tasks_status")
        batch.drop_constraint("uq_tasks_task_id", type_="unique")
    with op.batch_alter_table("users", copy_from=_users(sa.UniqueConstraint("name", name="uq_users_name"))) as batch:
        batch.drop_constraint("uq_users_name", type_="unique")
