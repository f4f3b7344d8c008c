"""Rolling, rating, and the sessions between."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.dependencies import AnyOwnerId, Db, OwnerId, RowId, ThrowDie
from app.errors import NotFound
from app.schemas import (
    DieShown,
    NewRating,
    NewRoll,
    NewSession,
    RollShown,
    SessionDetail,
    SessionShown,
    ThreadShown,
    Whose,
)
from app.services import reading, users

router = APIRouter()


@router.post("/roll", tags=["reading"])
def roll(database: Db, throw: ThrowDie, body: NewRoll | None = None) -> RollShown:
    """Throw the die: it picks one of the queue's first threads and opens a session with it."""
    wish = body or NewRoll()
    with database.writing() as db:
        rolled = reading.roll(db, wish.user_id, wish.die, throw)
        return RollShown(
            session_id=rolled.session.id,
            thread_id=rolled.thread.id,
            name=rolled.thread.name,
            die_size=rolled.die_size,
            result=rolled.session.dice_roll or 0,
        )


@router.get("/roll/die", tags=["reading"])
def die(database: Db, user_id: OwnerId = None) -> DieShown:
    """The die in the hand."""
    with database.reading() as db:
        owner = users.named_or_first(db, user_id).id
        return DieShown(user_id=owner, die_size=reading.die_in_hand(db, owner))


@router.post("/rate", tags=["reading"])
def rate(body: NewRating, database: Db) -> ThreadShown:
    """Rate what was read: ends the open session, moves its thread, steps the die."""
    with database.writing() as db:
        thread = reading.rate(db, body.user_id, body.rating, issues_read=body.issues_read, finished=body.finished)
        return ThreadShown.model_validate(thread)


@router.post("/skip", tags=["reading"])
def skip(database: Db, body: Whose | None = None) -> SessionShown:
    """End the open session without reading."""
    with database.writing() as db:
        return SessionShown.model_validate(reading.skip(db, body.user_id if body else None))


@router.post("/sessions", status_code=201, tags=["sessions"])
def choose(body: NewSession, database: Db) -> SessionShown:
    """Open a session with a thread chosen by hand; an open one is set aside as skipped."""
    with database.writing() as db:
        return SessionShown.model_validate(reading.choose(db, body.thread_id))


@router.get("/sessions", tags=["sessions"])
def index(
    database: Db,
    user_id: AnyOwnerId = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> list[SessionShown]:
    """Sessions, newest first."""
    with database.reading() as db:
        found = reading.list_sessions(db, user_id=user_id, limit=limit, offset=offset)
        return [SessionShown.model_validate(session) for session in found]


@router.get("/sessions/current", tags=["sessions"])
def current(database: Db, user_id: OwnerId = None) -> SessionShown:
    """The open session; 404 where there is none."""
    with database.reading() as db:
        session = reading.open_session(db, users.named_or_first(db, user_id).id)
        if session is None:
            raise NotFound("no active session found")
        return SessionShown.model_validate(session)


@router.get("/sessions/{session_id}", tags=["sessions"])
def show(session_id: RowId, database: Db) -> SessionDetail:
    """One session with its log."""
    with database.reading() as db:
        return SessionDetail.model_validate(reading.get_session(db, session_id))
