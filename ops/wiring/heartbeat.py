"""When did the scheduler's loop last come round, wherever it runs: on this machine or as a service of the stack?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.model.readiness import HEARTBEAT_WARNING_S
from ops.wiring.scheduler_service import scheduler_service

if TYPE_CHECKING:
    from ops.wiring.toolbox import Toolbox


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
    """A service that does not run has no age: no heartbeat."""
    found = scheduler_service(tools)
    age_s = None if found is None or found.status is None else found.status.get("heartbeat_age_s")
    return None if age_s is None else float(age_s)
