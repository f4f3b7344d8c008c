"""How does a process look as a service's status: state, health, ports?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from ops.adapters.embedded.probes import Answer
from ops.adapters.embedded.service_process import ServiceProcess
from ops.model.compose.project import Service, Stack
from ops.model.engine import HealthState, PublishedPort, ServiceStatus

_STARTING_S = 60.0
"""How long a service that does not answer yet counts as starting, at least."""


def status_of(
    stack: Stack,
    service: Service,
    process: ServiceProcess,
    *,
    port_inside: int,
    spec: str,
    ask: Callable[[], Answer],
) -> ServiceStatus:
    """Look at a service's process, and ask it where it runs.

    Args:
        stack: the stack.
        service: its service.
        process: the service's process.
        port_inside: the port that the service has in its container.
        spec: what a plan compares with the service.
        ask: probes the service.
    """
    record = process.record()
    if record is None:
        return ServiceStatus(service.name)
    code = process.exit_code(record)
    answer = ask() if code is None else None
    if answer is not None and not answer.is_good:
        code = process.exit_code(record)  # it may have ended while it was asked
    is_running = code is None
    return ServiceStatus(
        service=service.name,
        state="running" if is_running else "exited",
        health=_health(service, answer, record.started_at) if is_running and answer is not None else "none",
        container_id=f"{service.name}-{record.process.pid}",
        container_name=f"{stack.project}-{service.name}-1",
        exit_code=code,
        started_at=record.started_at,
        image=service.image or "",
        config_hash=next(iter(service.config_hashes), ""),
        spec=spec,
        ports=(PublishedPort("127.0.0.1", int(record.facts["port"]), port_inside),) if is_running else (),
        probes=(answer.probe,) if answer is not None else (),
    )


def _health(service: Service, answer: Answer, started_at: datetime) -> HealthState:
    if answer.is_good:
        return "healthy"
    if answer.is_final or (datetime.now(UTC) - started_at).total_seconds() > _starting_s(service):
        return "unhealthy"
    return "starting"


def _starting_s(service: Service) -> float:
    test = service.healthcheck
    if test is None:
        return _STARTING_S
    declared = (test.start_period_s or 0.0) + (test.retries or 3) * (test.interval_s or 30.0)
    return max(_STARTING_S, declared)
