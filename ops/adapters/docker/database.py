"""How is a stack's database service reached, and as whom?

From here: by the port it really publishes, else by the container's own address where that answers. Who we are is what
the compose file told the image (POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, each also as ..._FILE).
"""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ops.adapters.docker import execute
from ops.adapters.docker.client import Connection
from ops.adapters.docker.frozen import SILENCE_S
from ops.adapters.docker.status import containers_of, pick, published_ports
from ops.errors import ConfigurationError, EngineUnreachable, UnknownService
from ops.model.compose.project import Stack
from ops.model.endpoint import PostgresEndpoint
from ops.model.engine import PublishedPort
from ops.model.secret import Secret

DEFAULT_PORT = 5432
_PROBE_S = 1.0
_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what bindings say, nothing is bound here


@dataclass(frozen=True, slots=True)
class Credentials:
    """As whom the image was told to make its database."""

    user: str
    password: Secret
    database: str
    port: int
    """Inside the container."""


def running_container(connection: Connection, stack: Stack, service: str) -> dict[str, Any]:
    """The inspection of a service's running container.

    Raises: UnknownService, where the stack has no such service or it does not run.
    """
    if service not in stack.services:
        raise UnknownService(
            f"the stack {stack.project} has no service {service}", cause=f"it has {', '.join(sorted(stack.services))}"
        )
    found = pick(stack, service, containers_of(connection, stack.project, service))
    if found is None or not found["State"]["Running"] or found["State"].get("Paused"):
        state = found["State"]["Status"] if found else "absent"
        raise UnknownService(f"{service} is not running", cause=f"its container is {state}", hint="inv up")
    return found


@dataclass(frozen=True, slots=True)
class DatabaseService:
    """A database service of a stack.

    `variables` are those that secrets with `environment:` take their content from.
    """

    connection: Connection
    stack: Stack
    service: str
    variables: Mapping[str, str]

    def container(self) -> dict[str, Any]:
        """Its running container's inspection. Raises: UnknownService."""
        return running_container(self.connection, self.stack, self.service)

    def endpoint(self) -> PostgresEndpoint:
        """How this process reaches the database. Raises: UnknownService, EngineUnreachable."""
        container = self.container()
        known = self.credentials(container)
        for host, port in _published(self.connection, container, known.port):
            return PostgresEndpoint(host, port, known.user, known.password, known.database)
        for address in _addresses(self.connection, container):
            if _answers(address, known.port):
                return PostgresEndpoint(address, known.port, known.user, known.password, known.database)
        raise EngineUnreachable(
            f"there is no way to {self.service} from here",
            cause=f"port {known.port} is not published and {_unreached(container)}",
            hint=f'add  ports: ["127.0.0.1:5432:{known.port}"]  to {self.service}'
            f"{_instead_of(container)}, then: inv up",
        )

    def credentials(self, container: Mapping[str, Any]) -> Credentials:
        """As whom to speak to it. Raises: ConfigurationError (no password)."""
        environment = self.stack.services[self.service].environment

        def value(name: str) -> str:
            path = environment.get(f"{name}_FILE")
            return self._file(container, path) if path else environment.get(name, "")

        user = value("POSTGRES_USER") or "postgres"
        password = value("POSTGRES_PASSWORD")
        if not password and environment.get("POSTGRES_HOST_AUTH_METHOD") != "trust":
            raise ConfigurationError(f"{self.service} has no POSTGRES_PASSWORD", hint="inv config")
        port = environment.get("PGPORT", "")
        return Credentials(
            user, Secret(password), value("POSTGRES_DB") or user, int(port) if port.isdecimal() else DEFAULT_PORT
        )

    def _file(self, container: Mapping[str, Any], path: str) -> str:
        """A file inside the container, read from where it came if we know that, without its last line ends."""
        for mounted in self.stack.services[self.service].secrets:
            source = self.stack.secrets.get(mounted.name)
            if mounted.target != path or source is None:
                continue
            if source.environment is not None and source.environment in self.variables:
                return self.variables[source.environment].rstrip("\n")
            if source.file and source.file.is_file():
                return source.file.read_text(encoding="utf-8").rstrip("\n")
        found = io.BytesIO()
        doing = f"read {path} in {self.service}"
        if (
            execute.run(self.connection, container["Id"], ["cat", path], doing=doing, stdout=found, silence_s=SILENCE_S)
            != 0
        ):
            raise ConfigurationError(f"{self.service}: {path} cannot be read in its container")
        return found.getvalue().decode().rstrip("\n")


def _published(connection: Connection, container: Mapping[str, Any], port: int) -> Iterator[tuple[str, int]]:
    """Where the port is published, in the order to be tried: loopback first."""
    bindings = [each for each in published_ports(container) if each.target == port and each.protocol == "tcp"]
    elsewhere = "" if connection.is_local else urlsplit(connection.endpoint).hostname or ""
    for binding in sorted(bindings, key=_loopback_first):
        if binding.host_ip not in _ANY:
            if connection.is_local or not binding.host_ip.startswith("127."):
                yield binding.host_ip, binding.published
        else:
            yield elsewhere or _ANY[binding.host_ip], binding.published


def _loopback_first(binding: PublishedPort) -> tuple[bool, bool]:
    return (binding.host_ip not in {"127.0.0.1", "", "0.0.0.0"}, ":" in binding.host_ip)  # noqa: S104


def _addresses(connection: Connection, container: Mapping[str, Any]) -> Iterator[str]:
    if connection.is_local and container["HostConfig"].get("NetworkMode") == "host":
        yield "127.0.0.1"
    for network in (container["NetworkSettings"].get("Networks") or {}).values():
        if network.get("IPAddress"):
            yield str(network["IPAddress"])


def _unreached(container: Mapping[str, Any]) -> str:
    mode = container["HostConfig"].get("NetworkMode")
    return "it has no network" if mode == "none" else "the container's own address does not answer"


def _instead_of(container: Mapping[str, Any]) -> str:
    mode = container["HostConfig"].get("NetworkMode")
    return f"  instead of  network_mode: {mode}" if mode in {"none", "host"} else ""


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_PROBE_S):
            return True
    except OSError:
        return False
