"""In which order does a user read?

Active threads have the places 1..n without a gap. Every function here expects the queue to be locked
(`users.lock_queue`). Both databases check uniqueness row by row, so a move first lifts the rows concerned out of
the way (by LIFT, beyond every real place) and then sets them down.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, case, func, select, update
from sqlalchemy.orm import Session

from app.models import Thread

LIFT = 2**30


def in_order(db: Session, user_id: int, *, limit: int | None = None) -> Sequence[Thread]:
    """The user's active threads, front first."""
    query = select(Thread).where(Thread.user_id == user_id, Thread.queue_position.is_not(None))
    return db.scalars(query.order_by(Thread.queue_position).limit(limit)).all()


def length(db: Session, user_id: int) -> int:
    """How many threads are in the queue, which is its last place."""
    last = db.scalar(select(func.max(Thread.queue_position)).where(Thread.user_id == user_id))
    return last or 0


def move(db: Session, thread: Thread, place: int) -> None:
    """Give an active thread another place; beyond the end means the end, its own place means nothing to do."""
    here = thread.queue_position
    assert here is not None, "only active threads are in the queue"
    there = min(max(place, 1), length(db, thread.user_id))
    if there == here:
        return
    low, high, shift = (there, here, 1) if there < here else (here, there, -1)
    _renumber(
        db,
        and_(Thread.user_id == thread.user_id, Thread.queue_position.between(low, high)),
        case((Thread.id == thread.id, there), else_=Thread.queue_position - LIFT + shift),
        thread.user_id,
    )
    db.refresh(thread)


def leave(db: Session, thread: Thread) -> None:
    """Take a thread that leaves the queue to its end and close the gap behind it: the last place is then free.

    The caller takes the place away (completes or deletes the thread).
    """
    move(db, thread, LIFT - 1)


def enter_front(db: Session, user_id: int) -> int:
    """Make room at the front of the queue; gives the place."""
    everything = and_(Thread.user_id == user_id, Thread.queue_position.is_not(None))
    _renumber(db, everything, Thread.queue_position - LIFT + 1, user_id)
    return 1


def _renumber(db: Session, rows: ColumnElement[bool], place: ColumnElement[int | None], user_id: int) -> None:
    db.flush()
    statement = update(Thread).execution_options(synchronize_session=False)
    db.execute(statement.where(rows).values(queue_position=Thread.queue_position + LIFT))
    db.execute(statement.where(Thread.user_id == user_id, Thread.queue_position > LIFT).values(queue_position=place))
