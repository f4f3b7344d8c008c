"""What does an engine tell us of a stack: which services run, in what state, on which ports?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

_EMPTY: Mapping[str, Any] = MappingProxyType({})

EngineName = Literal["docker", "embedded", "url"]
RunState = Literal["absent", "created", "running", "restarting", "paused", "exited", "dead"]
HealthState = Literal["none", "starting", "healthy", "unhealthy"]


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """An engine that answered: `endpoint` is its socket, folder or URL without secrets."""

    name: EngineName
    endpoint: str
    version: str
    identity: str = ""
    """What tells this engine from another at the same endpoint (Docker's engine ID)."""


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A port as it is bound right now."""

    host_ip: str
    published: int
    target: int
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Probe:
    """One answer of a health check."""

    exit_code: int
    output: str


_NAMELESS = re.compile("[0-9a-f]{64}")


def is_nameless(volume: str) -> bool:
    """Whether a volume was given no name: the engine calls it by a number then."""
    return _NAMELESS.fullmatch(volume) is not None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service's container (or process) at one moment. `absent` has only `service`."""

    service: str
    state: RunState = "absent"
    health: HealthState = "none"
    container_id: str = ""
    container_name: str = ""
    number: int = 1
    exit_code: int | None = None
    restart_count: int = 0
    started_at: datetime | None = None
    image: str = ""
    image_id: str = ""
    config_hash: str = ""
    spec: str = ""
    """The label `io.ops.spec` that we gave the container (`ops.model.compose.spec`); "" where another made it."""
    ports: tuple[PublishedPort, ...] = ()
    probes: tuple[Probe, ...] = ()
    """The last few answers of the health check, oldest first."""
    error: str = ""
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    is_orphan: bool = False
    """True where the container belongs to the project but the compose file no longer names its service."""


@dataclass(frozen=True, slots=True)
class StackState:
    """Everything an engine holds of one project."""

    project: str
    services: Mapping[str, ServiceStatus] = field(default_factory=lambda: _EMPTY)
    networks: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    """Engine name -> config hash label ("" without one)."""
    volumes: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    image_ids: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    """Image reference of a service -> id, for those present locally."""
    orphans: tuple[ServiceStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line a service printed, without its line end."""

    service: str
    text: str
    at: datetime | None = None
    is_error: bool = False
