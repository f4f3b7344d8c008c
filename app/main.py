"""How is the application put together?

`uvicorn app.main:app` serves it. Starting opens no connection and changes no schema: a process without a database
is alive, and says at /health/ready what it lacks.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from app import dice
from app.config import Settings
from app.database import Database
from app.errors import add_error_handlers
from app.routes import health, pages, reading, tasks, threads, users
from app.schemas import NotValid


class WithoutTrailingSlash:
    """Serves `/users/` as `/users`, without a redirect that some clients would not follow with their body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under its shorter path."""
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope["path"].endswith("/"):
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await self.app(scope, receive, send)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Leave the container's own health checks, every few seconds, out of the access log."""
    return " /health " not in f"{record.getMessage()} ".replace('"', " ")


def create_app(settings: Settings, *, die: dice.Die = dice.throw) -> FastAPI:
    """The application with these settings; `die` is what decides a roll."""
    logging.getLogger("comic_pile").setLevel(settings.log_level.upper())
    logging.getLogger("uvicorn.access").addFilter(_is_worth_a_line)
    database = Database(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        database.close()

    # FastAPI's own /docs loads its script from a CDN, an empty page without internet; ours is in routes/pages.py.
    app = FastAPI(
        title="comic-pile",
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        responses={422: {"model": NotValid}},
    )
    app.state.database = database
    app.state.die = die
    add_error_handlers(app)
    app.add_middleware(WithoutTrailingSlash)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"]
        )
    for module in (health, users, threads, reading, tasks, pages):
        app.include_router(module.router)
    app.include_router(threads.queue)
    app.mount("/static", StaticFiles(directory=pages.FOLDER / "static"), name="static")
    return app


app = create_app(Settings.from_environment())
