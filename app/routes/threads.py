"""Threads, and their places in the queue."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from app.dependencies import AnyOwnerId, Db, OwnerId, RowId
from app.schemas import NewPlace, NewThread, ThreadChange, ThreadShown
from app.services import queue as queues
from app.services import threads, users

router = APIRouter(prefix="/threads", tags=["threads"])
queue = APIRouter(prefix="/queue/threads", tags=["queue"])


@router.post("", status_code=201)
def create(body: NewThread, database: Db) -> ThreadShown:
    """Add a thread at the end of the queue."""
    with database.writing() as db:
        thread = threads.create_thread(db, body.model_dump(exclude={"user_id"}), body.user_id)
        return ThreadShown.model_validate(thread)


@router.get("")
def index(
    database: Db, user_id: AnyOwnerId = None, status: Annotated[Literal["active", "completed"] | None, Query()] = None
) -> list[ThreadShown]:
    """All threads in queue order, completed ones last."""
    with database.reading() as db:
        found = threads.list_threads(db, user_id=user_id, status=status)
        return [ThreadShown.model_validate(thread) for thread in found]


@router.get("/{thread_id}")
def show(thread_id: RowId, database: Db) -> ThreadShown:
    """One thread."""
    with database.reading() as db:
        return ThreadShown.model_validate(threads.get_thread(db, thread_id))


@router.put("/{thread_id}")
@router.patch("/{thread_id}", include_in_schema=False)
def change(thread_id: RowId, body: ThreadChange, database: Db) -> ThreadShown:
    """Change the fields that are sent."""
    with database.writing() as db:
        return ThreadShown.model_validate(threads.change_thread(db, thread_id, body.model_dump(exclude_unset=True)))


@router.delete("/{thread_id}", status_code=204)
def delete(thread_id: RowId, database: Db) -> None:
    """Remove a thread with its sessions."""
    with database.writing() as db:
        threads.delete_thread(db, thread_id)


@router.post("/{thread_id}/reactivate")
def reactivate(thread_id: RowId, database: Db) -> ThreadShown:
    """Put a completed thread back at the front of the queue."""
    with database.writing() as db:
        return ThreadShown.model_validate(threads.reactivate(db, thread_id))


@queue.get("")
def in_order(database: Db, user_id: OwnerId = None) -> list[ThreadShown]:
    """One user's queue, front first."""
    with database.reading() as db:
        owner = users.named_or_first(db, user_id)
        return [ThreadShown.model_validate(thread) for thread in queues.in_order(db, owner.id)]


@queue.put("/{thread_id}/position")
def to_place(thread_id: RowId, body: NewPlace, database: Db) -> ThreadShown:
    """Move a thread to a place; beyond the end means the end."""
    return _moved(database, thread_id, body.new_position)


@queue.put("/{thread_id}/front")
def to_front(thread_id: RowId, database: Db) -> ThreadShown:
    """Move a thread to the front."""
    return _moved(database, thread_id, 1)


@queue.put("/{thread_id}/back")
def to_back(thread_id: RowId, database: Db) -> ThreadShown:
    """Move a thread to the back."""
    return _moved(database, thread_id, queues.LIFT - 1)


def _moved(database: Db, thread_id: int, place: int) -> ThreadShown:
    with database.writing() as db:
        return ThreadShown.model_validate(threads.move_thread(db, thread_id, place))
