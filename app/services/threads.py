"""Which series does a user follow?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import NotFound, NotPossible
from app.models import Thread
from app.services import queue, users


def list_threads(db: Session, *, user_id: int | None = None, status: str | None = None) -> Sequence[Thread]:
    """Threads in the order of their queues, completed ones last."""
    query = select(Thread).order_by(Thread.queue_position.is_(None), Thread.user_id, Thread.queue_position, Thread.id)
    if user_id is not None:
        query = query.where(Thread.user_id == user_id)
    if status is not None:
        query = query.where(Thread.status == status)
    return db.scalars(query).all()


def get_thread(db: Session, thread_id: int) -> Thread:
    """One thread. Raises: NotFound."""
    thread = db.get(Thread, thread_id)
    if thread is None:
        raise NotFound(f"thread {thread_id} not found")
    return thread


def get_locked(db: Session, thread_id: int) -> Thread:
    """One thread as it is once nobody else changes its user's queue. Raises: NotFound."""
    users.lock_queue(db, get_thread(db, thread_id).user_id)
    thread = db.get(Thread, thread_id, populate_existing=True)
    if thread is None:
        raise NotFound(f"thread {thread_id} not found")
    return thread


def create_thread(db: Session, fields: Mapping[str, Any], user_id: int | None = None) -> Thread:
    """Add a thread at the end of the user's queue. Raises: NotFound for the user."""
    owner = users.named_or_first(db, user_id).id
    users.lock_queue(db, owner)
    thread = Thread(**fields, user_id=owner, queue_position=queue.length(db, owner) + 1)
    db.add(thread)
    db.flush()
    return thread


def change_thread(db: Session, thread_id: int, fields: Mapping[str, Any]) -> Thread:
    """Set the given fields. Raises: NotFound."""
    thread = get_thread(db, thread_id)
    for name, value in fields.items():
        setattr(thread, name, value)
    db.flush()
    return thread


def delete_thread(db: Session, thread_id: int) -> None:
    """Remove a thread with its sessions and their events; the queue closes up. Raises: NotFound."""
    thread = get_locked(db, thread_id)
    if thread.queue_position is not None:
        queue.leave(db, thread)
    db.delete(thread)


def complete(db: Session, thread: Thread) -> None:
    """Take a thread that came to its end out of the queue; the caller holds the queue's lock."""
    queue.leave(db, thread)
    thread.status, thread.queue_position = "completed", None


def reactivate(db: Session, thread_id: int) -> Thread:
    """Put a completed thread back, at the front. Raises: NotFound, NotPossible."""
    thread = get_locked(db, thread_id)
    if thread.status != "completed":
        raise NotPossible(f"thread {thread_id} is not completed")
    place = queue.enter_front(db, thread.user_id)
    thread.status, thread.queue_position = "active", place
    db.flush()
    return thread


def move_thread(db: Session, thread_id: int, place: int) -> Thread:
    """Move a thread to a place of its queue. Raises: NotFound, NotPossible for a completed one."""
    thread = get_locked(db, thread_id)
    if thread.queue_position is None:
        raise NotPossible(f"thread {thread_id} is completed and not in the queue")
    queue.move(db, thread, place)
    return thread
