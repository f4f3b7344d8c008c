"""What does comic-pile remember?

Five tables. A user has threads (series that they follow), a thread has sessions (sittings, opened by a roll), a
session has events (its log); tasks stand alone. The columns are the guide's; `user_id`, `queue_position` and `status`
of a thread came with revision 0002. Every constraint has a name, so that a revision can drop it on both databases.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import CheckConstraint, Float, ForeignKey, MetaData, String, Text, UniqueConstraint, false, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from app.database import UtcDateTime

NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class Base(DeclarativeBase):
    """The tables that Alembic compares with the database."""

    metadata = MetaData(naming_convention=NAMES)


def _now() -> datetime:
    return datetime.now(UTC)


class Stamped:
    """Every row says when it came and when it last changed."""

    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=_now, server_default=func.now(), sort_order=98)
    updated_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=_now, onupdate=_now, server_default=func.now(), sort_order=99
    )


class User(Stamped, Base):
    """Somebody who reads; names are unique."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)


class Thread(Stamped, Base):
    """A series that a user follows.

    Active threads have the places 1, 2, 3, ... of their user's queue without a gap; completed ones have none.
    `dice_value` is the die in the hand after the thread's last rating (6 before the first).
    """

    __tablename__ = "threads"
    __table_args__ = (
        UniqueConstraint("user_id", "queue_position"),
        CheckConstraint("status IN ('active', 'completed')", name="status"),
        CheckConstraint("queue_position >= 1", name="queue_position"),
        CheckConstraint("(status = 'active') = (queue_position IS NOT NULL)", name="queued"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    publisher: Mapped[str | None] = mapped_column(String(100))
    current_volume: Mapped[int | None]
    current_issue: Mapped[int | None]
    dice_value: Mapped[int] = mapped_column(default=6, server_default="6")
    last_rating: Mapped[float | None] = mapped_column(Float)
    last_review_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), sort_order=100)
    queue_position: Mapped[int | None] = mapped_column(sort_order=101)
    status: Mapped[str] = mapped_column(String(20), default="active", server_default="active", sort_order=102)


class ReadingSession(Stamped, Base):
    """One sitting with one thread: `active` until it is `read` (rated) or `skipped`."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    thread_id: Mapped[int | None] = mapped_column(ForeignKey("threads.id", ondelete="CASCADE"), index=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=_now, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    status: Mapped[str] = mapped_column(String(20), default="active")
    dice_roll: Mapped[int | None]
    """The place of the queue that the die gave; empty where the thread was chosen by hand."""
    completed: Mapped[bool] = mapped_column(default=False, server_default=false())
    """The thread came to its end in this sitting."""
    skipped: Mapped[bool] = mapped_column(default=False, server_default=false())
    read: Mapped[bool] = mapped_column(default=False, server_default=false())

    thread: Mapped[Thread | None] = relationship(passive_deletes=True)
    events: Mapped[list[Event]] = relationship(order_by="Event.id", passive_deletes=True)


class Event(Stamped, Base):
    """One line of a session's log: `roll`, `choose`, `rate`, `complete`, `skip`."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int | None] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    event_type: Mapped[str] = mapped_column(String(50))
    issue: Mapped[int | None]
    rating: Mapped[float | None] = mapped_column(Float)
    timestamp: Mapped[datetime] = mapped_column(UtcDateTime, default=_now)


class Task(Stamped, Base):
    """A piece of work on the board; `dependencies` are task ids joined by commas."""

    __tablename__ = "tasks"

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[str] = mapped_column(String(50), unique=True)
    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(String(20), default="MEDIUM")
    status: Mapped[str] = mapped_column(String(50), default="pending", index=True)
    dependencies: Mapped[str | None] = mapped_column(String(500))
    assigned_agent: Mapped[str | None] = mapped_column(String(100))
    worktree: Mapped[str | None] = mapped_column(String(255))
    status_notes: Mapped[str | None] = mapped_column(Text)
    estimated_effort: Mapped[str | None] = mapped_column(String(50))
    completed: Mapped[bool] = mapped_column(default=False, server_default=false())
    blocked_reason: Mapped[str | None] = mapped_column(Text)
    blocked_by: Mapped[str | None] = mapped_column(String(50))
    last_heartbeat: Mapped[datetime | None] = mapped_column(UtcDateTime)
    instructions: Mapped[str | None] = mapped_column(Text)
