"""What does a container need around its creation: an image, its networks, its secrets, the volumes it inherits?"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import docker.errors

from ops.adapters.docker import container_config
from ops.adapters.docker.client import Connection
from ops.adapters.docker.container_config import Placement
from ops.adapters.docker.errors import translated
from ops.adapters.docker.status import containers_of, image_id, pick
from ops.errors import BuildFailed, ConfigurationError, Refused
from ops.model.compose.project import Service, Stack, image_reference

_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
"""How the engine names volumes that nobody named."""


def make(
    connection: Connection,
    stack: Stack,
    service: Service,
    *,
    placement: Placement,
    name: str,
    secrets: Mapping[str, str],
) -> str:
    """Create a service's container under a name, whole but not started; returns its id."""
    body = container_config.creation(stack, service, placement)
    with translated(f"create {service.name}"):
        container = str(connection.slow().create_container_from_config(body, name=name)["Id"])
    try:
        connect_networks(connection, stack, service, container)
        give_secrets(connection, stack, service, container, secrets)
    except BaseException:
        with suppress(docker.errors.APIError):
            connection.slow().remove_container(container, v=True, force=True)
        raise
    return container


def needed_image(connection: Connection, stack: Stack, service: Service) -> str:
    """The id of the service's local image. Raises: BuildFailed, with the command that provides it."""
    reference = image_reference(stack.project, service)
    found = image_id(connection, reference)
    if found is None:
        raise BuildFailed(
            f"{service.name}: there is no image {reference} here",
            hint=f"inv build --services {service.name}" if service.build else f"inv pull --services {service.name}",
        )
    return found


def placement_of(connection: Connection, stack: Stack, service: Service) -> Placement:
    """What a new container of the service needs to know of the engine."""
    return Placement(needed_image(connection, stack, service), parent_id=parent_of(connection, stack, service))


def parent_of(connection: Connection, stack: Stack, service: Service) -> str:
    """The container whose network `network_mode: service:NAME` shares; empty without."""
    kind, _, name = (service.network_mode or "").partition(":")
    if kind != "service":
        return ""
    found = pick(stack, name, containers_of(connection, stack.project, name))
    if found is None:
        raise ConfigurationError(f"{service.name} shares the network of {name}, which has no container")
    return str(found["Id"])


def connect_networks(
    connection: Connection, stack: Stack, service: Service, container: str, *, with_aliases: bool = True
) -> None:
    """Attach a container to the networks after its first one, which it was created with."""
    for name, settings in list(container_config.endpoints(stack, service).items())[1:]:
        with translated(f"connect {service.name} to the network {name}"):
            connection.slow().connect_container_to_network(
                container, name, aliases=settings["Aliases"] if with_aliases else None
            )


def give_secrets(
    connection: Connection, stack: Stack, service: Service, container: str, secrets: Mapping[str, str]
) -> None:
    """Copy secrets that come from variables into a container before its start, as Compose does (mode 0444)."""
    for mounted in service.secrets:
        source = stack.secrets.get(mounted.name)
        if source is None or source.environment is None:
            continue
        if service.read_only:
            raise Refused(
                f"{service.name} is read-only, so secret {mounted.name} cannot be copied into it",
                hint="give the secret as a file",
            )
        content = secrets.get(source.environment)
        if content is None:
            raise ConfigurationError(
                f"{service.name}: secret {mounted.name} needs the variable {source.environment}, which is not set"
            )
        with translated(f"give {service.name} its secret {mounted.name}"):
            connection.slow().put_archive(container, "/", _one_file_tar(mounted.target, content.encode()))


def _one_file_tar(path: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.size, entry.mode = len(content), 0o444
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def anonymous_volumes(old: Mapping[str, Any], service: Service) -> dict[str, str]:
    """Path -> volume of the old container's anonymous volumes that the new one has nothing of its own for."""
    own = {mount.target for mount in service.mounts if mount.kind != "volume" or mount.source is not None}
    return {
        mount["Destination"]: mount["Name"]
        for mount in old.get("Mounts") or []
        if mount.get("Type") == "volume" and mount["Destination"] not in own and _ANONYMOUS.fullmatch(mount["Name"])
    }
