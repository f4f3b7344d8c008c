"""When did the scheduler's loop last come round, wherever it runs: on this machine or as a service of the stack?"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from ops.errors import OpsError
from ops.model.readiness import HEARTBEAT_WARNING_S

if TYPE_CHECKING:
    from ops.model.compose.project import Service
    from ops.wiring.toolbox import Toolbox

COMMAND = ("inv", "scheduler")


def heartbeat_age_s(tools: Toolbox) -> float | None:
    """Seconds since then; None where no scheduler ever ran here and none runs as a service."""
    here = _of_this_machine(tools)
    if here is not None and here <= HEARTBEAT_WARNING_S:
        return here
    there = _of_the_service(tools)
    return here if there is None else there


def _of_this_machine(tools: Toolbox) -> float | None:
    from ops.adapters.schedule_state import ScheduleState

    beat = ScheduleState(tools.state_folder).heartbeat()
    return None if beat is None else (tools.clock.now() - beat.at).total_seconds()


def _of_the_service(tools: Toolbox) -> float | None:
    """Its state is in its own volume, so it is asked itself. A service that does not run has no age: no heartbeat."""
    if tools.engine_choice.engine != "docker":
        return None
    everything = tools.again(profiles=("*",))
    for name, service in everything.stack.services.items():
        if _runs_the_scheduler(service) and everything.engine.status(everything.stack, name).state == "running":
            return _asked(everything, name)
    return None


def _runs_the_scheduler(service: Service) -> bool:
    words = tuple(service.command or ())
    return any(words[start : start + 2] == COMMAND for start in range(len(words)))


def _asked(tools: Toolbox, name: str) -> float | None:
    said = io.BytesIO()
    argv = [*COMMAND, "--status", "--json"]
    try:
        code = tools.engine.execute(tools.stack, name, argv, stdout=said)
        age = json.loads(said.getvalue())["heartbeat_age_s"] if code == 0 else None
    except (OpsError, ValueError, KeyError) as exc:
        tools.report.warn(f"the service {name} cannot be asked for its scheduler: {exc}")
        return None
    return None if age is None else float(age)
