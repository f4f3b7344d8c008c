"""What does a test say when it means: a user with some threads?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi.testclient import TestClient


class LoadedDie:
    """A die that falls as it is told; without orders it shows 1."""

    def __init__(self) -> None:
        self.falls: list[int] = []
        self.asked: list[int] = []

    def __call__(self, faces: int) -> int:
        """Fall once: 1 to `faces`."""
        self.asked.append(faces)
        return self.falls.pop(0) if self.falls else 1


@dataclass(frozen=True, slots=True)
class Reader:
    """A user and the client that speaks for them."""

    client: TestClient
    die: LoadedDie
    id: int

    def threads(self, *names: str) -> list[int]:
        """Add threads at the end of the queue; their ids."""
        return [self.client.post("/threads", json={"name": name, "user_id": self.id}).json()["id"] for name in names]

    def queue(self) -> list[str]:
        """The names in the queue, front first; the places must be 1, 2, 3, ..."""
        rows = self.client.get("/queue/threads", params={"user_id": self.id}).json()
        assert [row["queue_position"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["name"] for row in rows]

    def roll(self, falls: int = 1) -> dict[str, Any]:
        """Roll; the die falls as told."""
        self.die.falls.append(falls)
        answer = self.client.post("/roll", json={"user_id": self.id})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def rate(self, rating: float, **more: Any) -> dict[str, Any]:
        """Rate the open session; its thread as it is then."""
        answer = self.client.post("/rate", json={"rating": rating, "user_id": self.id, **more})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def session(self, session_id: int) -> dict[str, Any]:
        """One session with its log."""
        return dict(self.client.get(f"/sessions/{session_id}").json())

    def in_hand(self) -> int:
        """The die in the hand."""
        return int(self.client.get("/roll/die", params={"user_id": self.id}).json()["die_size"])
