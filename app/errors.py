"""What can a caller of the API do wrong, and what does the answer look like?

Every error is one JSON object: `{"detail": "..."}`, for input that is not valid also `errors`, a list of
`{field, message, type}`. What was sent is never echoed: it may be anything, and it may be a secret.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

log = logging.getLogger("comic_pile")


class AppError(Exception):
    """A request that cannot be fulfilled; the message is for the caller."""

    status: ClassVar[int] = 400


class NotPossible(AppError):
    """The state of things does not allow it (nothing to roll, no open session)."""

    status = 400


class NotYours(AppError):
    """Only somebody else may do that."""

    status = 403


class NotFound(AppError):
    """There is no such row."""

    status = 404


class Conflict(AppError):
    """It exists already, or somebody else was faster."""

    status = 409


Handler = Callable[[Request, Exception], Awaitable[JSONResponse]]


def add_error_handlers(app: FastAPI) -> None:
    """Answer every failure with one JSON object and the right status."""
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(IntegrityError, _answer(409, "somebody else changed the same thing; try again"))
    app.add_exception_handler(DataError, _answer(422, "a value does not fit the database"))
    for failure in (OperationalError, InterfaceError, ProgrammingError, PoolTimeoutError):
        app.add_exception_handler(failure, _database_failed)
    app.add_exception_handler(Exception, _answer(500, "internal server error"))


async def _app_error(_request: Request, exc: Exception) -> JSONResponse:
    status = exc.status if isinstance(exc, AppError) else 500
    return JSONResponse({"detail": str(exc)}, status)


async def _not_valid(_request: Request, exc: Exception) -> JSONResponse:
    found = exc.errors() if isinstance(exc, RequestValidationError) else []
    errors = [
        {"field": ".".join(str(part) for part in error["loc"][1:]), "message": error["msg"], "type": error["type"]}
        for error in found
    ]
    return JSONResponse({"detail": "validation failed", "errors": errors}, 422)


async def _database_failed(request: Request, exc: Exception) -> JSONResponse:
    if _is_schema_missing(exc):
        detail = "the database lacks a table or column that the application needs: it is not migrated"
    elif isinstance(exc, ProgrammingError):
        return await _answer(500, "internal server error")(request, exc)
    else:
        detail = "the database does not answer"
    return await _answer(503, detail, headers={"Retry-After": "5"})(request, exc)


def _is_schema_missing(exc: Exception) -> bool:
    driver = exc.orig if isinstance(exc, DBAPIError) else None
    undefined = getattr(driver, "sqlstate", None) in {"42P01", "42703"}  # PostgreSQL: table, column
    return undefined or str(driver).startswith(("no such table", "no such column"))  # SQLite


def _answer(status: int, detail: str, *, headers: dict[str, str] | None = None) -> Handler:
    async def handler(request: Request, exc: Exception) -> JSONResponse:
        if status >= 500:
            # Only the driver's own words: SQLAlchemy's would add the statement with its values.
            log.error("%s %s: %s: %s", request.method, request.url.path, type(exc).__name__, getattr(exc, "orig", exc))
        return JSONResponse({"detail": detail}, status, headers=headers)

    return handler
