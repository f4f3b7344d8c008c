"""Does the database service take the login that the compose file gives?

Asked before anything is replaced where it runs, and as soon as it answers where it does not: data that exists keeps its
password whatever the compose file says, so a new container would only ask it with the wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from ops.actions.preview_stack import StackPreview
from ops.errors import ConfigurationError, EngineUnreachable, UnknownService
from ops.model.compose.project import Stack
from ops.model.stack_plan import Step


@dataclass(frozen=True, slots=True)
class Login:
    """A database service, and how to log in there."""

    service: str
    check: Callable[[], None]
    """Raises: DatabaseRefused; EngineUnreachable, UnknownService or ConfigurationError where it cannot be told now."""

    def ask(self) -> None:
        """Log in. Where it cannot be told now nothing happens: the health check will tell. Raises: DatabaseRefused."""
        with suppress(EngineUnreachable, UnknownService, ConfigurationError):
            self.check()

    def ask_before(self, plan: StackPreview) -> None:
        """Log in where the service runs and the plan changes something. Raises: DatabaseRefused."""
        status = plan.state.services.get(self.service)
        if status is not None and status.state == "running" and any(step.is_change for step in plan.steps):
            self.ask()

    def is_asked_among(self, steps: Iterable[Step], stack: Stack) -> bool:
        """Whether these steps find its data there: data that is being made knows what it is made with."""
        service = stack.services.get(self.service)
        mounted = {mount.source for mount in service.mounts if mount.kind == "volume"} if service else set()
        return not any(step.action == "create-volume" and step.subject in mounted for step in steps)
