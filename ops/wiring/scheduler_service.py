"""Does a service of the compose file run the scheduler, and what does it say of itself?

Its state is in a volume of its own, so it is asked itself: inside of its container, through the engine. That works
whether or not its port is published, and with an engine on another machine.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.errors import OpsError

if TYPE_CHECKING:
    from ops.model.compose.project import Service
    from ops.model.scheduler_status import SchedulerStatus
    from ops.wiring.toolbox import Toolbox

COMMAND = ("inv", "scheduler")


@dataclass(frozen=True, slots=True)
class SchedulerService:
    """The service, its container's state, and what `inv scheduler --status --json` said in it."""

    name: str
    state: str
    status: Mapping[str, Any] | None = None
    """None where it does not run, or could not be asked (which was warned of)."""


def scheduler_service(tools: Toolbox) -> SchedulerService | None:
    """Look for it, whatever its profile, and ask it; None where no service of this engine runs the scheduler."""
    if tools.engine_choice.engine != "docker":
        return None
    everything = tools.again(profiles=("*",))
    for name, service in everything.stack.services.items():
        if _runs_the_scheduler(service):
            state = everything.engine.status(everything.stack, name).state
            return SchedulerService(name, state, _asked(everything, name) if state == "running" else None)
    return None


def status_document(tools: Toolbox, here: SchedulerStatus) -> Mapping[str, Any]:
    """The status of the scheduler that lives - of this machine, else of the service - and where it was looked for."""
    from ops.model.scheduler_status import status_json

    looked_at = [f"the state folder {tools.state_folder}"]
    there = None if here.is_alive else _service_or_warning(tools)
    if there is not None:
        looked_at.append(f"the service {there.name}, which is {there.state}")
    found = there.status if there is not None and there.status is not None else status_json(here)
    return {**found, "looked_at": looked_at}


def _service_or_warning(tools: Toolbox) -> SchedulerService | None:
    try:
        return scheduler_service(tools)
    except OpsError as error:
        tools.report.warn(f"whether a service runs the scheduler cannot be found out: {error.message}")
        return None


def _runs_the_scheduler(service: Service) -> bool:
    words = tuple(service.command or ())
    return any(words[start : start + 2] == COMMAND for start in range(len(words)))


def _asked(tools: Toolbox, name: str) -> Mapping[str, Any] | None:
    said = io.BytesIO()
    argv = [*COMMAND, "--status", "--json"]
    try:
        code = tools.engine.execute(tools.stack, name, argv, stdout=said)
        if code == 0 and isinstance(document := json.loads(said.getvalue()), dict):
            return document
        why = f"`{' '.join(argv)}` ended with {code} in it" if code else "its answer is no status"
    except (OpsError, ValueError) as exc:
        why = str(exc)
    tools.report.warn(f"the service {name} cannot be asked for its scheduler: {why}")
    return None
