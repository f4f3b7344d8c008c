"""How does a new database get something to look at?

`python -m app.seed` adds a small pile for three readers; `--scale N` makes it N times as large. On an empty database
the same call gives the same rows, to the microsecond; a second one adds nothing: users are known by name, threads by
owner and name, tasks by task id. What is there is never changed. One transaction: all of it or nothing.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app import dice
from app.config import Settings
from app.database import Database
from app.models import Event, ReadingSession, Task, Thread, User
from app.services import users

READERS = ("Ada", "Boris", "Çelik")
SERIES = (
    ("The Clockmaker's Orchard", "Lantern Press"), ("Night Bus to Neptune", "Lantern Press"),
    ("Salt & Circuit", "Halfmoon"), ("O'Malley's Last Case", "Halfmoon"), ("Die Brückenwächter", None),
    ("Ghost Ledger", "Inkwell"), ("100% Wool", "Inkwell"), ("Le Phare d'Aurore", "Papier Bleu"),
)  # fmt: skip
TASKS = (
    ("TASK-101", "Draw the die", "HIGH", None), ("TASK-102", "Animate the die", "LOW", "TASK-101"),
    ("TASK-103", "Move to PostgreSQL", "HIGH", None), ("TASK-104", "Rehearse a restore", "HIGH", "TASK-103"),
    ("TASK-105", "Write the history page", "MEDIUM", None), ("TASK-106", "Import reading orders", "MEDIUM", "TASK-105"),
)  # fmt: skip
START = datetime(2026, 1, 1, 18, 0, tzinfo=UTC)
STAMPS = {"created_at": START, "updated_at": START}
SESSIONS_EACH = 4
BATCH = 1000


def seed(db: Session, scale: int = 1) -> dict[str, int]:
    """Add what is missing; gives the number of rows added to each table."""
    before = {table: _count(db, table) for table in (User, Thread, ReadingSession, Event, Task)}
    for name in READERS:
        _seed_pile(db, _reader(db, name), scale)
    _seed_tasks(db)
    return {table.__tablename__: _count(db, table) - rows for table, rows in before.items()}


def _count(db: Session, table: type[Any]) -> int:
    return db.scalar(select(func.count()).select_from(table)) or 0


def _reader(db: Session, name: str) -> User:
    user = db.scalar(select(User).where(User.name == name))
    if user is None:
        user = User(name=name, **STAMPS)
        db.add(user)
        db.flush()
    return user


def _seed_pile(db: Session, user: User, scale: int) -> None:
    users.lock_queue(db, user.id)
    known = set(db.scalars(select(Thread.name).where(Thread.user_id == user.id)))
    last = db.scalar(select(func.max(Thread.queue_position)).where(Thread.user_id == user.id)) or 0
    missing = [row for row in _threads(user, scale) if row["name"] not in known]
    for place, row in enumerate(missing, start=last + 1):
        row["queue_position"] = place
    for batch in _batches(missing):
        ids = db.scalars(insert(Thread).returning(Thread.id, sort_by_parameter_order=True), batch).all()
        _seed_sessions(db, list(zip(ids, batch, strict=True)))


def _threads(user: User, scale: int) -> Iterator[dict[str, Any]]:
    for number in range(scale):
        for name, publisher in SERIES:
            title = name if number == 0 else f"{name}, vol. {number + 1}"
            chance = random.Random(f"{user.name}/{title}")  # noqa: S311 - the same rows each time is the point
            rating, reviewed = chance.choice((None, 2.5, 3.0, 4.0, 4.5, 5.0)), chance.randint(0, 40_000)
            yield {
                "user_id": user.id, "name": title, "publisher": publisher, "current_volume": number + 1,
                "current_issue": chance.randint(0, 60), "dice_value": chance.choice(dice.LADDER),
                "last_rating": rating, "last_review_at": START + timedelta(minutes=reviewed) if rating else None,
                "queue_position": None, **STAMPS,
            }  # fmt: skip


def _seed_sessions(db: Session, threads: list[tuple[int, dict[str, Any]]]) -> None:
    rows = [session for thread_id, thread in threads for session in _sessions(thread_id, thread)]
    for batch in _batches(rows):
        ids = db.scalars(insert(ReadingSession).returning(ReadingSession.id, sort_by_parameter_order=True), batch).all()
        db.execute(insert(Event), [event for pair in zip(ids, batch, strict=True) for event in _events(*pair)])


def _sessions(thread_id: int, thread: dict[str, Any]) -> Iterator[dict[str, Any]]:
    chance = random.Random(f"sessions/{thread['name']}")  # noqa: S311 - as above
    for number in range(SESSIONS_EACH if thread["last_rating"] else 0):
        seconds, micros = chance.randint(0, 80_000), chance.randint(0, 999_999)
        start = START + timedelta(days=number, seconds=seconds, microseconds=micros)
        is_read = chance.random() < 0.8
        yield {
            "thread_id": thread_id, "started_at": start, "ended_at": start + timedelta(minutes=25),
            "status": "read" if is_read else "skipped", "dice_roll": chance.randint(1, 6), "read": is_read,
            "skipped": not is_read, "completed": False, **STAMPS,
        }  # fmt: skip


def _events(session_id: int, session: dict[str, Any]) -> Iterator[dict[str, Any]]:
    chance = random.Random(session["started_at"].microsecond)  # noqa: S311 - as above
    row = {"session_id": session_id, "issue": chance.randint(1, 60), "rating": None, **STAMPS}
    yield {**row, "event_type": "roll", "timestamp": session["started_at"]}
    rating = chance.randint(1, 10) / 2 if session["read"] else None
    yield {**row, "event_type": "rate" if rating else "skip", "rating": rating, "timestamp": session["ended_at"]}


def _seed_tasks(db: Session) -> None:
    known = set(db.scalars(select(Task.task_id)))
    for task_id, title, priority, dependencies in TASKS:
        if task_id not in known:
            db.add(Task(task_id=task_id, title=title, priority=priority, dependencies=dependencies, **STAMPS))
    db.flush()


def _batches(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]


def main(argv: list[str] | None = None) -> int:
    """Seed the database of DATABASE_URL; prints one line. 1 where the database refuses."""
    parser = argparse.ArgumentParser(prog="python -m app.seed", description="Add a demonstration pile.")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="N times as many threads (default 1)")
    scale = parser.parse_args(argv).scale
    if scale < 1:
        parser.error("--scale must be at least 1")
    database = Database(Settings.from_environment())
    try:
        with database.writing() as db:
            added = seed(db, scale)
    except DBAPIError as exc:
        print(f"seed: the database refused: {str(exc.orig).splitlines()[0]}", file=sys.stderr)  # noqa: T201 - a program
        return 1
    finally:
        database.close()
    print("seeded: " + " ".join(f"{table}={rows}" for table, rows in added.items()))  # noqa: T201 - a program
    return 0


if __name__ == "__main__":
    sys.exit(main())
