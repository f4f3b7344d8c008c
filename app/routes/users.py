"""Users."""

from __future__ import annotations

from fastapi import APIRouter

from app.dependencies import Db, RowId
from app.schemas import NewUser, UserShown
from app.services import users

router = APIRouter(prefix="/users", tags=["users"])


@router.post("", status_code=201)
def create(body: NewUser, database: Db) -> UserShown:
    """Create a user; 409 where the name is taken."""
    with database.writing() as db:
        return UserShown.model_validate(users.create_user(db, body.name))


@router.get("")
def index(database: Db) -> list[UserShown]:
    """All users."""
    with database.reading() as db:
        return [UserShown.model_validate(user) for user in users.list_users(db)]


@router.get("/{user_id}")
def show(user_id: RowId, database: Db) -> UserShown:
    """One user."""
    with database.reading() as db:
        return UserShown.model_validate(users.get_user(db, user_id))
