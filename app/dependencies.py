"""What do routes need, and where do they get it?"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Path, Query, Request

from app.database import Database
from app.dice import Die
from app.schemas import MAX_INT


def _database(request: Request) -> Database:
    return cast("Database", request.app.state.database)


def _die(request: Request) -> Die:
    return cast("Die", request.app.state.die)


Db = Annotated[Database, Depends(_database)]
ThrowDie = Annotated[Die, Depends(_die)]
RowId = Annotated[int, Path(ge=1, le=MAX_INT)]
OwnerId = Annotated[int | None, Query(ge=1, le=MAX_INT, description="a user's id; without it the first user")]
AnyOwnerId = Annotated[int | None, Query(ge=1, le=MAX_INT, description="only this user's")]
