"""Who was told, kept in memory; `problem` makes every telling fail."""

from __future__ import annotations

from ops.errors import Degraded


class FakeNotifier:
    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem
        self.sent: list[tuple[str, str, str]] = []
        """Kind, title, body."""

    def send(self, title: str, body: str, kind: str) -> None:
        if self.problem is not None:
            raise self.problem
        self.sent.append((kind, title, body))

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.sent]


class FakeSwitch:
    def __init__(self, problem: str = "") -> None:
        self.problem = problem
        self.pings: list[str] = []

    def ping(self, event: str, message: str = "") -> None:
        if self.problem:
            raise Degraded(self.problem)
        self.pings.append(event)
