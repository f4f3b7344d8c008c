"""Is the process alive, and can it serve?"""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.dependencies import Db
from app.readiness import readiness
from app.schemas import Health, Readiness

router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> Health:
    """Answer as long as the process lives; the database is not asked."""
    return Health(status="healthy")


@router.get("/health/ready", responses={503: {"model": Readiness}})
def ready(database: Db, response: Response) -> Readiness:
    """Answer 200 when the database is reachable and at the head revision, else 503 with the reason."""
    result = readiness(database)
    response.status_code = 200 if result.status == "ready" else 503
    response.headers["Cache-Control"] = "no-store"
    return result
