"""Which steps of a plan could not be carried out, before the first of them has changed anything?

A port that somebody else has, a name that belongs to a foreign container, a bind whose source is missing (the engine
would make a folder of root's there), a secret without its file, a volume with data of another PostgreSQL major.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.adapters.docker import host_ports, networks_volumes
from ops.adapters.docker.client import Connection
from ops.adapters.docker.container_config import PROJECT, SERVICE, container_name
from ops.adapters.docker.data_folders import check_data
from ops.adapters.docker.errors import translated
from ops.errors import ConfigurationError, PortTaken, Refused
from ops.model.compose.project import Port, Service, Stack
from ops.model.stack_plan import Step

_STARTS = {"create", "recreate", "start"}
Freed = frozenset[tuple[str, str]] | set[tuple[str, str]]
"""Projects and services whose containers will have let go of their ports."""


@dataclass(frozen=True, slots=True)
class _Other:
    """A container that is there: what it is called, what it belongs to, what it publishes."""

    name: str
    project: str
    service: str
    is_running: bool
    ports: tuple[tuple[int, str], ...]

    def is_of(self, stack: Stack, service: Service) -> bool:
        return (self.project, self.service) == (stack.project, service.name)

    def __str__(self) -> str:
        return f"container {self.name}" + (f" of project {self.project}" if self.project else "")


def check(connection: Connection, steps: Sequence[Step], stack: Stack, secrets: Mapping[str, str]) -> None:
    """Refuse a plan that cannot be carried out.

    Raises: PortTaken, ConfigurationError, Refused.
    """
    starting = [stack.services[s.subject] for s in steps if s.action in _STARTS and s.subject in stack.services]
    # Whose ports are free by the time they are needed: those of containers that the plan itself takes away or starts.
    freed = {(stack.project, step.subject) for step in steps if step.is_change}
    if not starting:
        return
    networks_volumes.refuse_missing(connection, stack)
    others = _containers(connection)
    for service in starting:
        check_files(connection, stack, service, secrets)
        _check_name(stack, service, others)
        check_data(connection, stack, service)
        for port in service.ports:
            _check_port(connection, service.name, port, others, freed)


def check_files(connection: Connection, stack: Stack, service: Service, secrets: Mapping[str, str]) -> None:
    """Refuse a service whose files on this machine are missing."""
    for mount in service.mounts:
        if mount.kind == "bind" and mount.source and connection.is_local and not Path(mount.source).exists():
            raise ConfigurationError(
                f"{service.name}: {mount.source} is not there to be mounted at {mount.target}",
                cause="the engine would make an empty folder of root's in its place",
                hint=f"put the file there, or: mkdir -p {mount.source}",
            )
    for mounted in service.secrets:
        source = stack.secrets.get(mounted.name)
        if source and source.file and connection.is_local and not source.file.is_file():
            raise ConfigurationError(
                f"{service.name}: the file of secret {mounted.name} is not there: {source.file}",
                hint=f"install -m 600 /dev/null {source.file} (then write the secret into it)",
            )
        if source and source.environment and source.environment not in secrets:
            raise ConfigurationError(
                f"{service.name}: secret {mounted.name} needs the variable {source.environment}, which is not set",
                hint=f"export {source.environment}=...",
            )


def _containers(connection: Connection) -> list[_Other]:
    with translated("list all containers"):
        listed: Iterable[dict[str, Any]] = connection.quick().containers(all=True)
    return [
        _Other(
            name=(each["Names"] or ["/?"])[0].lstrip("/"),
            project=(each.get("Labels") or {}).get(PROJECT, ""),
            service=(each.get("Labels") or {}).get(SERVICE, ""),
            is_running=each["State"] in {"running", "restarting", "paused"},
            ports=tuple((p["PublicPort"], p["Type"]) for p in each.get("Ports") or [] if "PublicPort" in p),
        )
        for each in listed
    ]


def _check_name(stack: Stack, service: Service, others: Iterable[_Other]) -> None:
    name = container_name(stack, service)
    for other in others:
        if other.name == name and not other.is_of(stack, service):
            raise Refused(
                f"{service.name}: the name {name} belongs to another container",
                cause=str(other) if other.project else "it was not made from a compose file",
                hint=f"docker rename {name} {name}-old (or set container_name)",
            )


def _check_port(connection: Connection, name: str, port: Port, others: Iterable[_Other], freed: Freed) -> None:
    if not port.published or not port.published.isdecimal() or port.published == "0":
        return
    number = int(port.published)
    holders = [each for each in others if each.is_running and (number, port.protocol) in each.ports]
    for holder in holders:
        if (holder.project, holder.service) not in freed:
            raise PortTaken(
                f"port {number} of {name} is taken", cause=f"{holder} has it", hint=f"docker stop {holder.name}"
            )
    if not holders and connection.is_local and host_ports.is_taken(port.host_ip, number, port.protocol):
        raise PortTaken(
            f"port {number} of {name} is taken",
            cause=f"{host_ports.owner(number)} listens on it",
            hint=f"end that program, or publish another port (ss -ltnp 'sport = :{number}')",
        )
