"""Who reads, and whose queue is meant when nobody is named?"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, NotFound
from app.models import User


def create_user(db: Session, name: str) -> User:
    """Add a user. Raises: Conflict for a name that is taken (the database has the last word)."""
    if db.scalar(select(User.id).where(User.name == name)) is not None:
        raise Conflict(f"user {name!r} exists already")
    user = User(name=name)
    db.add(user)
    db.flush()
    return user


def list_users(db: Session) -> Sequence[User]:
    """All users, by id."""
    return db.scalars(select(User).order_by(User.id)).all()


def get_user(db: Session, user_id: int) -> User:
    """One user. Raises: NotFound."""
    user = db.get(User, user_id)
    if user is None:
        raise NotFound(f"user {user_id} not found")
    return user


def named_or_first(db: Session, user_id: int | None) -> User:
    """The user of that id, without one the first. Raises: NotFound, also where there is no user at all."""
    if user_id is not None:
        return get_user(db, user_id)
    user = db.scalar(select(User).order_by(User.id).limit(1))
    if user is None:
        raise NotFound("there is no user yet: create one with POST /users")
    return user


def lock_queue(db: Session, user_id: int) -> None:
    """Let one transaction at a time change this user's queue and sessions.

    On SQLite the writer's transaction has the whole file already, and the clause is left out.
    """
    db.execute(select(User.id).where(User.id == user_id).with_for_update())
