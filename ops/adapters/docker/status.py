"""What do the engine's descriptions of containers say about a stack?

Reads only: lists the project's containers, networks, volumes and images and turns them into `StackState`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from ops.adapters.docker.client import Connection
from ops.adapters.docker.container_config import (
    CONFIG_HASH,
    NETWORK,
    NUMBER,
    ONE_OFF,
    PROJECT,
    SERVICE,
    container_name,
)
from ops.adapters.docker.errors import translated
from ops.model.compose.project import Stack, image_reference
from ops.model.compose.spec import SPEC_LABEL
from ops.model.engine import HealthState, Probe, PublishedPort, RunState, ServiceStatus, StackState

_STATES = {"created", "running", "restarting", "paused", "exited", "dead"}
_HEALTH = {"starting", "healthy", "unhealthy"}
_TEMPORARY = re.compile(r"[0-9a-f]{12}_")
_NEVER = "0001-01-01T"


def is_temporary(name: str, final: str) -> bool:
    """Whether it is the name that a container has while it replaces another one."""
    return bool(_TEMPORARY.fullmatch(name.removesuffix(final))) and name.endswith(final)


def containers_of(connection: Connection, project: str, service: str | None = None) -> list[dict[str, Any]]:
    """Inspections of the project's containers (one-offs left out), oldest first."""
    wanted = [f"{PROJECT}={project}", f"{ONE_OFF}=False"] + ([f"{SERVICE}={service}"] if service else [])
    client = connection.quick()
    with translated(f"list the containers of {project}"):
        listed = client.containers(all=True, filters={"label": wanted})
    found = [inspection for entry in listed if (inspection := inspect_container(connection, entry["Id"]))]
    return sorted(found, key=lambda inspection: str(inspection["Created"]))


def inspect_container(connection: Connection, container: str) -> dict[str, Any] | None:
    """One container's inspection; None where it is gone."""
    import docker.errors

    with translated(f"look at the container {container[:12]}"):
        try:
            return cast("dict[str, Any]", connection.quick().inspect_container(container))
        except docker.errors.NotFound:
            return None


def name_of(inspection: Mapping[str, Any]) -> str:
    """A container's name without the engine's slash."""
    return str(inspection["Name"]).lstrip("/")


def labels_of(inspection: Mapping[str, Any]) -> dict[str, str]:
    """A container's labels."""
    return dict(inspection["Config"].get("Labels") or {})


def pick(stack: Stack, service: str, inspections: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The container that stands for the service: one with a final name before one that was to replace it."""
    described = stack.services.get(service)
    final = container_name(stack, described) if described else ""

    def rank(inspection: Mapping[str, Any]) -> tuple[bool, bool, int]:
        name = name_of(inspection)
        number = labels_of(inspection).get(NUMBER, "1")
        return (is_temporary(name, final or name[13:]), name != final, int(number) if number.isdecimal() else 1)

    mine = [each for each in inspections if labels_of(each).get(SERVICE) == service]
    return min(mine, key=rank, default=None)


def service_status(inspection: Mapping[str, Any], *, is_orphan: bool = False) -> ServiceStatus:
    """One container's description in our words."""
    labels = labels_of(inspection)
    state = inspection["State"]
    run_state = state["Status"] if state["Status"] in _STATES else "dead"
    number = labels.get(NUMBER, "1")
    health = state.get("Health") or {}
    mounts = inspection.get("Mounts") or []
    return ServiceStatus(
        service=labels.get(SERVICE, ""),
        state=cast("RunState", run_state),
        health=cast("HealthState", health["Status"] if health.get("Status") in _HEALTH else "none"),
        container_id=inspection["Id"],
        container_name=name_of(inspection),
        number=int(number) if number.isdecimal() else 1,
        exit_code=state["ExitCode"] if run_state in {"exited", "dead", "restarting"} else None,
        restart_count=inspection.get("RestartCount") or 0,
        started_at=moment(state.get("StartedAt") or _NEVER),
        image=inspection["Config"]["Image"],
        image_id=inspection["Image"],
        config_hash=labels.get(CONFIG_HASH, ""),
        spec=labels.get(SPEC_LABEL, ""),
        ports=published_ports(inspection),
        probes=tuple(Probe(each["ExitCode"], each["Output"].strip()) for each in health.get("Log") or []),
        error=state.get("Error") or "",
        networks=tuple(sorted(inspection["NetworkSettings"].get("Networks") or {})),
        volumes=tuple(sorted(mount["Name"] for mount in mounts if mount.get("Type") == "volume")),
        is_orphan=is_orphan,
    )


def published_ports(inspection: Mapping[str, Any]) -> tuple[PublishedPort, ...]:
    """The bindings that hold right now; none while the container does not run."""
    found = []
    for target, bindings in (inspection["NetworkSettings"].get("Ports") or {}).items():
        number, _, protocol = target.partition("/")
        found += [
            PublishedPort(binding["HostIp"], int(binding["HostPort"]), int(number), protocol or "tcp")
            for binding in bindings or []
        ]
    return tuple(sorted(found, key=lambda port: (port.target, port.published, port.host_ip)))


def moment(text: str) -> datetime | None:
    """The engine's RFC 3339 time with nanoseconds, as aware UTC; None for Go's zero time."""
    if text.startswith(_NEVER):
        return None
    digits = re.fullmatch(r"(.*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", text)
    if not digits:
        return None
    fraction = (digits[2] or "")[:6].ljust(6, "0")
    return datetime.fromisoformat(f"{digits[1]}.{fraction}{digits[3].replace('Z', '+00:00')}")


def observe(connection: Connection, stack: Stack) -> StackState:
    """Everything the engine holds of the stack's project."""
    inspections = containers_of(connection, stack.project)
    chosen = {name: found for name in stack.services if (found := pick(stack, name, inspections))}
    taken = {found["Id"] for found in chosen.values()}
    return StackState(
        project=stack.project,
        services={
            name: service_status(chosen[name]) if name in chosen else ServiceStatus(name) for name in stack.services
        },
        networks=_networks(connection, stack),
        volumes=_volumes(connection, stack),
        image_ids=image_ids(connection, stack),
        orphans=tuple(service_status(each, is_orphan=True) for each in inspections if each["Id"] not in taken),
    )


def image_ids(connection: Connection, stack: Stack) -> dict[str, str]:
    """Image reference -> id, for the references of the stack's services that are here."""
    references = {image_reference(stack.project, service) for service in stack.services.values()}
    return {reference: found for reference in sorted(references) if (found := image_id(connection, reference))}


def image_id(connection: Connection, reference: str) -> str | None:
    """The id of a local image; None where there is none."""
    import docker.errors

    with translated(f"look at the image {reference}"):
        try:
            return str(connection.quick().inspect_image(reference)["Id"])
        except docker.errors.ImageNotFound:
            return None


def _networks(connection: Connection, stack: Stack) -> dict[str, str]:
    names = {network.name for network in stack.networks.values()}
    with translated(f"list the networks of {stack.project}"):
        listed = connection.quick().networks()
    return {
        each["Name"]: (each.get("Labels") or {}).get(CONFIG_HASH, "")
        for each in listed
        if each["Name"] in names or _is_ours(each, stack, NETWORK)
    }


def _volumes(connection: Connection, stack: Stack) -> dict[str, str]:
    names = {volume.name for volume in stack.volumes.values()}
    with translated(f"list the volumes of {stack.project}"):
        listed = connection.quick().volumes()["Volumes"] or []
    return {
        each["Name"]: (each.get("Labels") or {}).get(CONFIG_HASH, "")
        for each in listed
        if each["Name"] in names or _is_ours(each, stack, PROJECT)
    }


def _is_ours(described: Mapping[str, Any], stack: Stack, needed: str) -> bool:
    labels = described.get("Labels") or {}
    return labels.get(PROJECT) == stack.project and needed in labels
