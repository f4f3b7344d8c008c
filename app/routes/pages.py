"""The pages that a person sees: the die, the queue, the history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from sqlalchemy.orm import Session

from app.dependencies import Db
from app.dice import FIRST_DIE
from app.models import User
from app.schemas import MAX_INT
from app.services import queue, reading, users

FOLDER = Path(__file__).parents[1]
router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
templates = Jinja2Templates(FOLDER / "templates")
Owner = Annotated[int | None, Query(ge=1, le=MAX_INT)]


@router.get("/")
def roll(request: Request, database: Db, user_id: Owner = None) -> HTMLResponse:
    """The die, what it may pick, and the open session."""
    with database.reading() as db:
        user = _reader(db, user_id)
        die = reading.die_in_hand(db, user.id) if user else FIRST_DIE
        session = reading.open_session(db, user.id) if user else None
        pool = queue.in_order(db, user.id, limit=die) if user else ()
        return _page(request, db, "roll.html", user, die=die, session=session, pool=pool)


@router.get("/queue")
def in_order(request: Request, database: Db, user_id: Owner = None) -> HTMLResponse:
    """The whole queue."""
    with database.reading() as db:
        user = _reader(db, user_id)
        die = reading.die_in_hand(db, user.id) if user else FIRST_DIE
        return _page(request, db, "queue.html", user, die=die, threads=queue.in_order(db, user.id) if user else ())


@router.get("/history")
def history(request: Request, database: Db, user_id: Owner = None) -> HTMLResponse:
    """The last fifty sessions."""
    with database.reading() as db:
        user = _reader(db, user_id)
        sessions = reading.list_sessions(db, user_id=user.id, limit=50, offset=0) if user else ()
        return _page(request, db, "history.html", user, sessions=sessions)


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """The API's operations, from its own description at /openapi.json."""
    description = request.app.openapi()
    schemas = description["components"]["schemas"]
    context = {"user": None, "users": (), "page": "docs", "paths": description["paths"], "schemas": schemas}
    return templates.TemplateResponse(request, "docs.html", context)


def _reader(db: Session, user_id: int | None) -> User | None:
    everybody = users.list_users(db)
    if user_id is None:
        return everybody[0] if everybody else None
    return users.get_user(db, user_id)


def _page(request: Request, db: Session, template: str, user: User | None, **more: object) -> HTMLResponse:
    context = {"user": user, "users": users.list_users(db), "page": template.removesuffix(".html"), **more}
    return templates.TemplateResponse(request, template, context)
