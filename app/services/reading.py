"""What do I read next, and what comes of it?

Roll: the die in the hand picks one of the queue's first threads and opens a session with it. Rate: the open session
ends, its thread moves to the front (4.0 and better) or to the back, the die steps along the ladder. A user has at
most one open session: a new one sets the one before aside as skipped. Each function is one use case; its caller
holds the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from app import dice
from app.errors import NotFound, NotPossible
from app.models import Event, ReadingSession, Thread
from app.services import queue, threads, users


@dataclass(frozen=True, slots=True)
class Roll:
    """A throw of the die: `session.dice_roll` is the place of the queue that it gave."""

    session: ReadingSession
    thread: Thread
    die_size: int


def die_in_hand(db: Session, user_id: int) -> int:
    """The die after the user's last rating, 6 before the first."""
    last = select(Thread.dice_value).where(Thread.user_id == user_id, Thread.last_review_at.is_not(None))
    value = db.scalar(last.order_by(Thread.last_review_at.desc(), Thread.id.desc()).limit(1))
    return value or dice.FIRST_DIE


def open_session(db: Session, user_id: int) -> ReadingSession | None:
    """The session that waits to be rated or skipped."""
    query = select(ReadingSession).join(Thread).where(Thread.user_id == user_id, ReadingSession.ended_at.is_(None))
    return db.scalar(query.order_by(ReadingSession.id.desc()).limit(1))


def roll(db: Session, user_id: int | None, die: int | None, throw: dice.Die) -> Roll:
    """Throw the die and open a session with the thread that it picks. Raises: NotFound, NotPossible (empty queue).

    A queue shorter than the die is thrown for with its own length: every thread in reach is as likely.
    """
    owner = users.named_or_first(db, user_id).id
    users.lock_queue(db, owner)
    size = die or die_in_hand(db, owner)
    pool = queue.in_order(db, owner, limit=size)
    if not pool:
        raise NotPossible("no active threads available to roll")
    result = throw(len(pool))
    thread = pool[result - 1]
    return Roll(_start(db, thread, "roll", result), thread, size)


def choose(db: Session, thread_id: int) -> ReadingSession:
    """Open a session with a thread of one's choice. Raises: NotFound, NotPossible (completed)."""
    thread = threads.get_locked(db, thread_id)
    if thread.status != "active":
        raise NotPossible(f"thread {thread_id} is completed")
    return _start(db, thread, "choose", None)


def rate(db: Session, user_id: int | None, rating: float, *, issues_read: int = 1, finished: bool = False) -> Thread:
    """End the open session with a rating; gives its thread as it is then. Raises: NotFound, NotPossible."""
    session, thread = _open_or_refuse(db, user_id)
    now = datetime.now(UTC)
    thread.dice_value = dice.next_die(die_in_hand(db, thread.user_id), rating)
    thread.current_issue = (thread.current_issue or 0) + issues_read
    thread.last_rating, thread.last_review_at = rating, now
    _log(db, session, "rate", now, issue=thread.current_issue, rating=rating)
    if finished:
        threads.complete(db, thread)
        session.completed = True
        _log(db, session, "complete", now, issue=thread.current_issue)
    else:
        queue.move(db, thread, 1 if dice.is_good(rating) else queue.LIFT - 1)
    session.read, session.status, session.ended_at = True, "read", now
    db.flush()
    return thread


def skip(db: Session, user_id: int | None) -> ReadingSession:
    """End the open session without reading. Raises: NotFound, NotPossible."""
    session, _thread = _open_or_refuse(db, user_id)
    _set_aside(db, session)
    db.flush()
    return session


def list_sessions(db: Session, *, user_id: int | None, limit: int, offset: int) -> Sequence[ReadingSession]:
    """Sessions, newest first, with their threads."""
    query = select(ReadingSession).options(selectinload(ReadingSession.thread))
    if user_id is not None:
        query = query.join(Thread).where(Thread.user_id == user_id)
    return db.scalars(
        query.order_by(ReadingSession.started_at.desc(), ReadingSession.id.desc()).limit(limit).offset(offset)
    ).all()


def get_session(db: Session, session_id: int) -> ReadingSession:
    """One session with its log. Raises: NotFound."""
    session = db.get(ReadingSession, session_id, options=[selectinload(ReadingSession.events)])
    if session is None:
        raise NotFound(f"session {session_id} not found")
    return session


def _open_or_refuse(db: Session, user_id: int | None) -> tuple[ReadingSession, Thread]:
    owner = users.named_or_first(db, user_id).id
    users.lock_queue(db, owner)
    session = open_session(db, owner)
    if session is None or session.thread is None:
        raise NotPossible("no active session: roll the dice first")
    return session, session.thread


def _start(db: Session, thread: Thread, how: str, result: int | None) -> ReadingSession:
    while (before := open_session(db, thread.user_id)) is not None:
        _set_aside(db, before)
        db.flush()
    now = datetime.now(UTC)
    session = ReadingSession(thread_id=thread.id, started_at=now, status="active", dice_roll=result)
    db.add(session)
    db.flush()
    _log(db, session, how, now, issue=thread.current_issue)
    return session


def _set_aside(db: Session, session: ReadingSession) -> None:
    now = datetime.now(UTC)
    session.skipped, session.status, session.ended_at = True, "skipped", now
    _log(db, session, "skip", now)


def _log(
    db: Session,
    session: ReadingSession,
    event_type: str,
    at: datetime,
    *,
    issue: int | None = None,
    rating: float | None = None,
) -> None:
    db.add(Event(session_id=session.id, event_type=event_type, issue=issue, rating=rating, timestamp=at))
