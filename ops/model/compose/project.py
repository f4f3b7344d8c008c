"""What does a compose file say, once it is fully resolved?

Values only: interpolated, paths absolute, short forms expanded, profiles applied. `Stack` is what
engines, plans and checks work with; how a file becomes one is `load.py`'s question.

Source: the Compose specification; exact semantics as Compose 2.40 has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]
_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Port:
    """One published or exposed port; `published` is text because it may be a range (`8000-8010`) or empty."""

    target: int
    published: str | None = None
    host_ip: str | None = None
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"


@dataclass(frozen=True, slots=True)
class Mount:
    """One entry of `volumes` or `tmpfs`; a bind's `source` is absolute, a volume's is its key (None: anonymous)."""

    kind: Literal["bind", "volume", "tmpfs"]
    target: str
    source: str | None = None
    read_only: bool = False
    create_host_path: bool = True
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HealthTest:
    """A container health check; `test` None inherits the image's, `("NONE",)` switches it off."""

    test: tuple[str, ...] | None = None
    interval_s: float | None = None
    timeout_s: float | None = None
    start_period_s: float | None = None
    retries: int | None = None


@dataclass(frozen=True, slots=True)
class Dependency:
    """That a service needs another one, and in which state."""

    service: str
    condition: Condition = "service_started"
    is_restarted: bool = False
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class Build:
    """How a service's image is built; `context` and `dockerfile` are absolute."""

    context: Path
    dockerfile: Path
    target: str | None = None
    args: Mapping[str, str | None] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True, slots=True)
class SecretMount:
    """A secret given to a service: `name` is the top-level key, `target` the absolute path inside."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Service:
    """One named entry under `services`, resolved."""

    name: str
    image: str | None = None
    build: Build | None = None
    pull_policy: str | None = None
    container_name: str | None = None
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    ports: tuple[Port, ...] = ()
    expose: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _EMPTY)
    """Network key -> extra aliases; `{"default": ()}` where the file names none."""
    network_mode: str | None = None
    depends_on: tuple[Dependency, ...] = ()
    healthcheck: HealthTest | None = None
    restart: str | None = None
    """`no`, `always`, `unless-stopped`, `on-failure` or `on-failure:N`; None is `no`."""
    profiles: tuple[str, ...] = ()
    secrets: tuple[SecretMount, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    user: str | None = None
    working_dir: str | None = None
    hostname: str | None = None
    init: bool | None = None
    read_only: bool = False
    tty: bool = False
    stdin_open: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    shm_size_bytes: int | None = None
    mem_limit_bytes: int | None = None
    cpus: float | None = None
    pids_limit: int | None = None
    stop_grace_period_s: float | None = None
    stop_signal: str | None = None
    log_driver: str | None = None
    log_options: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    config_hashes: tuple[str, ...] = ()
    """Compose's own config hash in each known dialect, the one we write first."""


def image_reference(project: str, service: Service) -> str:
    """The name of the image that a service runs: its own, or the one that Compose gives to what it builds."""
    return service.image or f"{project}-{service.name}"


@dataclass(frozen=True, slots=True)
class Network:
    """A network of the stack; `name` is the engine's name for it."""

    key: str
    name: str
    driver: str | None = None
    is_external: bool = False
    is_internal: bool = False
    labels: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    config_hash: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """A named volume of the stack; `name` is the engine's name for it."""

    key: str
    name: str
    driver: str | None = None
    driver_opts: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    is_external: bool = False
    labels: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    config_hash: str = ""


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a secret's content comes from: a file (absolute) or a variable of the environment."""

    name: str
    file: Path | None = None
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """All services of a compose project that are switched on, in the file's order.

    `services` holds the active ones; `inactive` names those a profile keeps off. `networks` and
    `volumes` hold only what an active service uses.
    """

    project: str
    working_dir: Path
    files: tuple[Path, ...]
    services: Mapping[str, Service]
    networks: Mapping[str, Network] = field(default_factory=lambda: _EMPTY)
    volumes: Mapping[str, Volume] = field(default_factory=lambda: _EMPTY)
    secrets: Mapping[str, SecretSource] = field(default_factory=lambda: _EMPTY)
    inactive: tuple[str, ...] = ()
    unset_variables: tuple[str, ...] = ()
    """Variables that were read, unset and had no default; a strict caller refuses them."""
