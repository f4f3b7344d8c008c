"""How do we wait until services are ready?

By looking again and again, a little less often each time, until the model's strict rule says ready or failed. The
deadline always fails, and whoever reads the failure sees what the service last said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from ops.errors import OpsError, ServiceUnhealthy
from ops.model.compose.project import Stack
from ops.model.engine import ServiceStatus
from ops.model.health import Failed, Ready, Sighting, Waiting, judge, one_shots
from ops.ports import Clock, Engine, Reporter

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 0.3
"""A service is ready this much later for us than it is; a look costs the engine a few milliseconds."""
_GROWTH = 1.3
_LOG_LINES = 20


def wait_until_ready(
    engine: Engine,
    stack: Stack,
    services: Sequence[str],
    *,
    clock: Clock,
    report: Reporter,
    timeout_s: float,
    began_s: float | None = None,
    restarts_before: Mapping[str, int] | None = None,
    while_waiting: Callable[[str], None] = lambda _name: None,
) -> Mapping[str, ServiceStatus]:
    """Wait for all of the services; returns their last status.

    Args:
        engine: where they run.
        stack: what they belong to.
        services: which ones.
        clock: for pauses and the deadline.
        report: progress as the number of services that are ready.
        timeout_s: how long in all.
        began_s: the clock's monotonic time that the timeout counts from; None is now.
        restarts_before: restart counts from before the wait that are no crash; 0 for services not named.
        while_waiting: called at each look with each service that is not ready; what it raises ends the wait.

    Raises:
        ServiceUnhealthy: one failed, or the deadline passed; with state, last probe and last log lines as cause.
    """
    awaited = one_shots(stack)
    known = restarts_before or {}
    seen: dict[str, list[Sighting]] = {name: [] for name in services}
    pending = dict.fromkeys(services)
    deadline = (clock.monotonic() if began_s is None else began_s) + timeout_s
    pause_s = FIRST_PAUSE_S
    while True:
        reasons: dict[str, str] = {}
        for name in pending:
            seen[name].append(Sighting(clock.monotonic(), clock.now(), engine.status(stack, name)))
            verdict = judge(seen[name], is_one_shot=name in awaited, restarts_before=known.get(name, 0))
            if not isinstance(verdict, Ready):
                while_waiting(name)
            match verdict:
                case Failed(reason):
                    raise _unhealthy(engine, stack, seen[name][-1].status, reason)
                case Waiting(reason):
                    reasons[name] = reason
                case Ready():
                    pass
        pending = dict.fromkeys(reasons)
        report.progress("ready", len(seen) - len(pending), len(seen), "services")
        if not pending:
            return {name: sightings[-1].status for name, sightings in seen.items()}
        left_s = deadline - clock.monotonic()
        if left_s <= 0:
            name = next(iter(pending))
            reason = f"was not ready within {timeout_s:g} s: {reasons[name]}"
            raise _unhealthy(engine, stack, seen[name][-1].status, reason, others=list(pending)[1:])
        clock.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * _GROWTH, LONGEST_PAUSE_S)


def _unhealthy(
    engine: Engine, stack: Stack, status: ServiceStatus, reason: str, *, others: Sequence[str] = ()
) -> ServiceUnhealthy:
    also = f" (and {', '.join(others)})" if others else ""
    facts = [f"state {status.state}", f"health {status.health}", f"restarts {status.restart_count}"]
    if status.exit_code is not None:
        facts.append(f"exit code {status.exit_code}")
    lines = [", ".join(facts)]
    if status.probes:
        lines.append(f"last probe: {status.probes[-1].output.strip()}")
    lines += _last_words(engine, stack, status.service)
    return ServiceUnhealthy(
        f"{status.service} {reason}{also}", cause="\n".join(lines), hint=f"inv logs --service {status.service}"
    )


def _last_words(engine: Engine, stack: Stack, service: str) -> list[str]:
    """The service's last log lines; that they cannot be read must not hide why we ask."""
    with suppress(OpsError):
        said = [line.text for line in engine.logs(stack, [service], tail=_LOG_LINES)]
        return ["last log lines:", *(f"  {text}" for text in said)] if said else ["it logged nothing"]
    return []
