"""Is a service ready, is it worth waiting, or has it failed?

The strict rule, stricter than Compose's `--wait`: healthy where there is a health check; without one, running for a
while with the same start and no further restart; a service whose completion somebody waits for, ended with 0.
Whatever crashes has failed at once, and running out of time is a failure too (the action's part).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ops.model.compose.project import Stack
from ops.model.engine import ServiceStatus

STABLE_S = 3.0
"""How long a service without a health check must run unchanged: longer than a program that dies of its settings."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One look at a service: `at_s` is monotonic, `at` aware UTC."""

    at_s: float
    at: datetime
    status: ServiceStatus


@dataclass(frozen=True, slots=True)
class Ready:
    """Nothing to wait for any more."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not yet."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It will not get ready by waiting."""

    reason: str


Verdict = Ready | Waiting | Failed


def judge(
    history: Sequence[Sighting], *, is_one_shot: bool = False, restarts_before: int = 0, stable_s: float = STABLE_S
) -> Verdict:
    """Judge a service by what was seen of it since the wait began.

    Args:
        history: looks at the service, oldest first, at least one.
        is_one_shot: somebody waits for its completion; running is not enough, and not needed.
        restarts_before: its restart count before the wait; a service that was just created has 0.
        stable_s: how long one without a health check must run unchanged.
    """
    status = history[-1].status
    if status.state in {"exited", "dead"}:
        return _ended(status, is_one_shot=is_one_shot)
    if status.state == "absent":
        return Failed("does not exist")
    if status.state == "restarting" or status.restart_count > restarts_before:
        return Failed(_crashed(status))
    if status.state != "running" or is_one_shot:
        return Waiting("has not ended yet" if status.state == "running" else status.state)
    return _running(history, stable_s)


def one_shots(stack: Stack) -> frozenset[str]:
    """The services whose completion another service of the stack waits for."""
    return frozenset(
        needed.service
        for service in stack.services.values()
        for needed in service.depends_on
        if needed.condition == "service_completed_successfully"
    )


def _running(history: Sequence[Sighting], stable_s: float) -> Verdict:
    match history[-1].status.health:
        case "healthy":
            return Ready()
        case "unhealthy":
            return Failed("is unhealthy")
        case "starting":
            return Waiting("its health check has not passed yet")
        case _:
            return Ready() if _is_stable(history, stable_s) else Waiting(f"has no health check: {stable_s:g} s to see")


def _ended(status: ServiceStatus, *, is_one_shot: bool) -> Verdict:
    if is_one_shot and status.state == "exited" and status.exit_code == 0:
        return Ready()
    code = "unknown" if status.exit_code is None else status.exit_code
    why = f": {status.error}" if status.error else ""
    return Failed(f"ended with exit code {code}{why}")


def _crashed(status: ServiceStatus) -> str:
    code = "" if status.exit_code is None else f", last with exit code {status.exit_code}"
    times = "time" if status.restart_count == 1 else "times"
    return f"keeps ending: restarted {status.restart_count} {times}{code}"


def _is_stable(history: Sequence[Sighting], stable_s: float) -> bool:
    """By the engine's start time where that makes sense, else by how long we have seen the same start."""
    last = history[-1]
    if last.status.started_at is not None and (last.at - last.status.started_at).total_seconds() >= stable_s:
        return True
    same = [seen for seen in history if seen.status.started_at == last.status.started_at]
    return last.at_s - same[0].at_s >= stable_s
