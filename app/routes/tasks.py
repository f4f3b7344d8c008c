"""The task board."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.dependencies import Db
from app.schemas import Agent, Claim, NewTask, Notes, Priority, StatusChange, TaskShown, TaskStatus
from app.services import tasks

router = APIRouter(prefix="/api/tasks", tags=["tasks"])
Key = Annotated[str, Path(max_length=50, pattern=r"^[^\x00]+$")]


@router.post("", status_code=201)
def create(body: NewTask, database: Db) -> TaskShown:
    """Put a task on the board; 409 where its id is taken."""
    with database.writing() as db:
        return TaskShown.model_validate(tasks.create_task(db, body.model_dump()))


@router.get("")
def index(
    database: Db,
    status: Annotated[TaskStatus | None, Query()] = None,
    agent: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]+$")] = None,
    priority: Annotated[Priority | None, Query()] = None,
) -> list[TaskShown]:
    """Tasks by their id."""
    with database.reading() as db:
        found = tasks.list_tasks(db, status=status, agent=agent, priority=priority)
        return [TaskShown.model_validate(task) for task in found]


@router.get("/ready")
def ready(database: Db) -> list[TaskShown]:
    """Tasks that can be claimed now, the most urgent first."""
    with database.reading() as db:
        return [TaskShown.model_validate(task) for task in tasks.ready(db)]


@router.get("/stale")
def stale(database: Db) -> list[TaskShown]:
    """Tasks in progress without a heartbeat for 20 minutes."""
    with database.reading() as db:
        return [TaskShown.model_validate(task) for task in tasks.stale(db)]


@router.get("/{task_id}")
def show(task_id: Key, database: Db) -> TaskShown:
    """One task."""
    with database.reading() as db:
        return TaskShown.model_validate(tasks.get_task(db, task_id))


@router.delete("/{task_id}", status_code=204)
def delete(task_id: Key, database: Db) -> None:
    """Take a task off the board; 409 while another one depends on it."""
    with database.writing() as db:
        tasks.delete_task(db, task_id)


@router.post("/{task_id}/claim")
def claim(task_id: Key, body: Claim, database: Db) -> TaskShown:
    """Take a task; 409 where it is taken or waits for others."""
    with database.writing() as db:
        return TaskShown.model_validate(tasks.claim(db, task_id, body.agent_name, body.worktree))


@router.post("/{task_id}/heartbeat")
def heartbeat(task_id: Key, body: Agent, database: Db) -> TaskShown:
    """Say that one is alive; 403 for others than the assignee."""
    with database.writing() as db:
        return TaskShown.model_validate(tasks.heartbeat(db, task_id, body.agent_name))


@router.post("/{task_id}/unclaim")
def unclaim(task_id: Key, body: Agent, database: Db) -> TaskShown:
    """Give a task back; 403 for others than the assignee."""
    with database.writing() as db:
        return TaskShown.model_validate(tasks.unclaim(db, task_id, body.agent_name))


@router.post("/{task_id}/update-notes")
def note(task_id: Key, body: Notes, database: Db) -> TaskShown:
    """Append a line to the notes."""
    with database.writing() as db:
        return TaskShown.model_validate(tasks.add_note(db, task_id, body.notes))


@router.post("/{task_id}/set-status")
def set_status(task_id: Key, body: StatusChange, database: Db) -> TaskShown:
    """Set the status."""
    with database.writing() as db:
        task = tasks.set_status(db, task_id, body.status, reason=body.blocked_reason, by=body.blocked_by)
        return TaskShown.model_validate(task)
