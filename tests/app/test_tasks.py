"""Does the task board give each task to one agent, in the right order?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from app.database import Database
from app.models import Task


def add(client: TestClient, task_id: str, **fields: Any) -> dict[str, Any]:
    answer = client.post("/api/tasks", json={"task_id": task_id, "title": f"do {task_id}", **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def claim(client: TestClient, task_id: str, agent: str = "ann") -> int:
    return client.post(f"/api/tasks/{task_id}/claim", json={"agent_name": agent, "worktree": "w"}).status_code


def done(client: TestClient, task_id: str) -> None:
    assert client.post(f"/api/tasks/{task_id}/set-status", json={"status": "done"}).status_code == 200


def test_a_task_starts_pending_with_all_of_its_columns(client: TestClient) -> None:
    task = add(client, "T-1", description="x", dependencies="T-0", estimated_effort="1 h", instructions="y")

    assert len(task) == 18
    assert (task["status"], task["priority"], task["completed"], task["assigned_agent"]) == (
        "pending", "MEDIUM", False, None,
    )  # fmt: skip
    assert client.get("/api/tasks/T-1").json() == task
    assert client.get("/api/tasks").json() == [task]


def test_a_task_id_is_taken_once(client: TestClient) -> None:
    add(client, "T-1")

    assert client.post("/api/tasks", json={"task_id": "T-1", "title": "again"}).status_code == 409


@pytest.mark.parametrize("body", [{}, {"task_id": "T-1"}, {"task_id": "T-1", "title": "t", "priority": "URGENT"}])
def test_what_is_no_task_is_refused(client: TestClient, body: dict[str, str]) -> None:
    assert client.post("/api/tasks", json=body).status_code == 422


def test_ready_tasks_come_by_urgency_and_wait_for_what_they_need(client: TestClient) -> None:
    add(client, "T-1", priority="LOW")
    add(client, "T-2", priority="HIGH", dependencies="T-1, T-3")
    add(client, "T-3", priority="HIGH")
    add(client, "T-4", dependencies="T-999")

    def ready() -> list[str]:
        return [task["task_id"] for task in client.get("/api/tasks/ready").json()]

    assert ready() == ["T-3", "T-1"]
    assert claim(client, "T-2") == 409
    done(client, "T-1")
    assert ready() == ["T-3"]
    done(client, "T-3")
    assert ready() == ["T-2"]
    assert claim(client, "T-2") == 200
    assert ready() == []


def test_a_claimed_task_belongs_to_its_agent(client: TestClient) -> None:
    add(client, "T-1")
    assert claim(client, "T-1") == 200

    task = client.get("/api/tasks/T-1").json()
    assert (task["status"], task["assigned_agent"], task["worktree"]) == ("in_progress", "ann", "w")
    assert claim(client, "T-1", "bob") == 409
    assert client.post("/api/tasks/T-1/heartbeat", json={"agent_name": "bob"}).status_code == 403
    assert client.post("/api/tasks/T-1/heartbeat", json={"agent_name": "ann"}).json()["last_heartbeat"] is not None
    assert client.post("/api/tasks/T-1/unclaim", json={"agent_name": "bob"}).status_code == 403
    given_back = client.post("/api/tasks/T-1/unclaim", json={"agent_name": "ann"}).json()
    assert (given_back["status"], given_back["assigned_agent"]) == ("pending", None)
    assert claim(client, "T-1", "bob") == 200


def test_of_many_who_claim_at_once_one_gets_the_task(client: TestClient) -> None:
    add(client, "T-1")

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: claim(client, "T-1", f"agent {number}"), range(16)))

    assert sorted(statuses) == [200, *[409] * 15]


def test_notes_are_appended_with_their_time(client: TestClient) -> None:
    add(client, "T-1")

    for text in ("first", "second"):
        answer = client.post("/api/tasks/T-1/update-notes", json={"notes": text})

    first, second = answer.json()["status_notes"].splitlines()
    assert (first[0], first.endswith("] first"), second.endswith("] second")) == ("[", True, True)


def test_only_a_blocked_task_keeps_a_reason_and_completed_follows_done(client: TestClient) -> None:
    add(client, "T-1")
    path = "/api/tasks/T-1/set-status"

    blocked = client.post(path, json={"status": "blocked", "blocked_reason": "rain", "blocked_by": "T-9"}).json()
    finished = client.post(path, json={"status": "done", "blocked_reason": "rain"}).json()
    reopened = client.post(path, json={"status": "pending"}).json()

    assert (blocked["blocked_reason"], blocked["blocked_by"], blocked["completed"]) == ("rain", "T-9", False)
    assert (finished["blocked_reason"], finished["completed"], reopened["completed"]) == (None, True, False)
    assert client.post(path, json={"status": "lost"}).status_code == 422


def test_tasks_are_narrowed_down(client: TestClient) -> None:
    add(client, "T-1", priority="HIGH")
    add(client, "T-2")
    claim(client, "T-2")

    def found(**query: str) -> list[str]:
        return [task["task_id"] for task in client.get("/api/tasks", params=query).json()]

    assert found(priority="HIGH") == ["T-1"]
    assert found(status="in_progress") == found(agent="ann") == ["T-2"]
    assert client.get("/api/tasks", params={"status": "lost"}).status_code == 422


def test_an_agent_that_went_silent_makes_its_task_stale(client: TestClient, database_url: str) -> None:
    add(client, "T-1")
    add(client, "T-2")
    claim(client, "T-1")
    claim(client, "T-2")
    database = client.app.state.database  # type: ignore[attr-defined]
    assert isinstance(database, Database)
    with database.writing() as db:
        silent = datetime.now(UTC) - timedelta(minutes=21)
        db.execute(update(Task).where(Task.task_id == "T-2").values(last_heartbeat=silent))

    assert [task["task_id"] for task in client.get("/api/tasks/stale").json()] == ["T-2"]


def test_a_task_that_others_need_stays(client: TestClient) -> None:
    add(client, "T-1")
    add(client, "T-2", dependencies="T-1")

    assert client.delete("/api/tasks/T-1").status_code == 409
    assert client.delete("/api/tasks/T-2").status_code == 204
    assert client.delete("/api/tasks/T-1").status_code == 204
    assert client.get("/api/tasks").json() == []
