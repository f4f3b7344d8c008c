"""Which work is on the board, and who does it?

A task is claimed by one agent at a time, once all it depends on is done. Whoever claims, says goodbye or reports goes
through the row's lock, so two who ask at once get one yes and one no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from app.errors import Conflict, NotFound, NotYours
from app.models import Task

STALE_AFTER = timedelta(minutes=20)
_BY_PRIORITY = case({"HIGH": 0, "MEDIUM": 1, "LOW": 2}, value=Task.priority, else_=3)


def list_tasks(
    db: Session, *, status: str | None = None, agent: str | None = None, priority: str | None = None
) -> Sequence[Task]:
    """Tasks by their task id, narrowed down."""
    query = select(Task).order_by(Task.task_id)
    for column, wanted in ((Task.status, status), (Task.assigned_agent, agent), (Task.priority, priority)):
        if wanted is not None:
            query = query.where(column == wanted)
    return db.scalars(query).all()


def get_task(db: Session, task_id: str, *, locked: bool = False) -> Task:
    """One task; `locked` keeps everybody else from changing it meanwhile. Raises: NotFound."""
    query = select(Task).where(Task.task_id == task_id)
    task = db.scalar(query.with_for_update() if locked else query)
    if task is None:
        raise NotFound(f"task {task_id} not found")
    return task


def create_task(db: Session, fields: Mapping[str, Any]) -> Task:
    """Put a task on the board. Raises: Conflict for a task id that is taken."""
    if db.scalar(select(Task.id).where(Task.task_id == fields["task_id"])) is not None:
        raise Conflict(f"task {fields['task_id']} exists already")
    task = Task(**fields)
    db.add(task)
    db.flush()
    return task


def dependencies(task: Task) -> list[str]:
    """The ids of the tasks that this one waits for."""
    return [name.strip() for name in (task.dependencies or "").split(",") if name.strip()]


def unmet(db: Session, *candidates: Task) -> dict[str, list[str]]:
    """For each task what it still waits for; a dependency that does not exist is never met."""
    wanted = {name for task in candidates for name in dependencies(task)}
    done = set(db.scalars(select(Task.task_id).where(Task.task_id.in_(wanted), Task.status == "done")))
    return {task.task_id: [name for name in dependencies(task) if name not in done] for task in candidates}


def ready(db: Session) -> list[Task]:
    """Tasks that can be claimed now, the most urgent first."""
    query = select(Task).where(Task.status == "pending", Task.assigned_agent.is_(None), Task.blocked_reason.is_(None))
    candidates = db.scalars(query.order_by(_BY_PRIORITY, Task.task_id)).all()
    waiting = unmet(db, *candidates)
    return [task for task in candidates if not waiting[task.task_id]]


def stale(db: Session) -> Sequence[Task]:
    """Tasks in progress whose agent has been silent for 20 minutes."""
    limit = datetime.now(UTC) - STALE_AFTER
    query = select(Task).where(Task.status == "in_progress", Task.last_heartbeat < limit)
    return db.scalars(query.order_by(Task.last_heartbeat)).all()


def claim(db: Session, task_id: str, agent: str, worktree: str | None) -> Task:
    """Give a task to an agent. Raises: NotFound, Conflict (taken, not pending, or waiting for others)."""
    task = get_task(db, task_id, locked=True)
    if task.assigned_agent is not None:
        raise Conflict(f"task {task_id} is claimed by {task.assigned_agent}")
    if task.status != "pending":
        raise Conflict(f"task {task_id} is {task.status}, not pending")
    if missing := unmet(db, task)[task_id]:
        raise Conflict(f"task {task_id} waits for {', '.join(missing)}")
    task.assigned_agent, task.worktree, task.status = agent, worktree, "in_progress"
    task.last_heartbeat = datetime.now(UTC)
    _note(task, f"claimed by {agent}")
    db.flush()
    return task


def heartbeat(db: Session, task_id: str, agent: str) -> Task:
    """Record that the agent is alive. Raises: NotFound, NotYours."""
    task = _of(db, task_id, agent)
    task.last_heartbeat = datetime.now(UTC)
    db.flush()
    return task


def unclaim(db: Session, task_id: str, agent: str) -> Task:
    """Give a task back. Raises: NotFound, NotYours."""
    task = _of(db, task_id, agent)
    task.assigned_agent = task.worktree = task.last_heartbeat = None
    if task.status == "in_progress":
        task.status = "pending"
    _note(task, f"unclaimed by {agent}")
    db.flush()
    return task


def add_note(db: Session, task_id: str, text: str) -> Task:
    """Append a line with its time to the notes. Raises: NotFound."""
    task = get_task(db, task_id, locked=True)
    _note(task, text)
    db.flush()
    return task


def set_status(db: Session, task_id: str, status: str, *, reason: str | None = None, by: str | None = None) -> Task:
    """Set the status; `completed` follows `done`, and only `blocked` keeps a reason. Raises: NotFound."""
    task = get_task(db, task_id, locked=True)
    task.status, task.completed = status, status == "done"
    task.blocked_reason, task.blocked_by = (reason, by) if status == "blocked" else (None, None)
    db.flush()
    return task


def delete_task(db: Session, task_id: str) -> None:
    """Take a task off the board. Raises: NotFound, Conflict while another one depends on it."""
    task = get_task(db, task_id, locked=True)
    waiting = [other.task_id for other in list_tasks(db) if task_id in dependencies(other)]
    if waiting:
        raise Conflict(f"task {task_id} is needed by {', '.join(waiting)}")
    db.delete(task)


def _of(db: Session, task_id: str, agent: str) -> Task:
    task = get_task(db, task_id, locked=True)
    if task.assigned_agent != agent:
        raise NotYours(f"task {task_id} is not {agent}'s")
    return task


def _note(task: Task, text: str) -> None:
    line = f"[{datetime.now(UTC).isoformat(timespec='seconds')}] {text}"
    task.status_notes = f"{task.status_notes}\n{line}" if task.status_notes else line
