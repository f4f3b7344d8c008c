"""Which PostgreSQL majors have data in what a service is about to mount?

The mount is read-only, so that a look changes nothing.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import docker.errors

from ops.adapters.docker.client import Connection
from ops.adapters.docker.container_config import volume_name
from ops.adapters.docker.errors import translated
from ops.adapters.docker.looks import look, remove_left
from ops.adapters.docker.networks_volumes import is_volume_there
from ops.adapters.docker.status import containers_of, pick
from ops.model.compose.project import Mount, Service, Stack, image_reference
from ops.model.data_folder import Place, places, refuse_misfit, server_image

_TOP = PurePosixPath("/ops-looks-here")


def check_data(connection: Connection, stack: Stack, service: Service) -> None:
    """Refuse a PostgreSQL service whose mounts hold data that it cannot work on. Raises: Refused, ConfigurationError.

    Where its image is not here yet, its tag tells the major and the present container's image lends the container.
    """
    reference = image_reference(stack.project, service)
    described = _image(connection, reference)
    image = server_image(service, reference, None if described is None else _variables(described))
    if image is None:
        return
    remove_left(connection, stack)
    wanted = places(service, image)
    lent = described or _present_image(connection, stack, service)
    for place in wanted:
        if any(other.is_in_effect for other in wanted) and not place.is_in_effect:
            continue  # another mount takes the data; what lies in this one is not the server's
        found = _majors(connection, stack, service, place, lent["Id"]) if lent else {}
        refuse_misfit(service.name, image, place, found)


def _image(connection: Connection, reference: str) -> dict[str, Any] | None:
    with translated(f"look at the image {reference}"):
        try:
            found: dict[str, Any] = connection.quick().inspect_image(reference)
        except docker.errors.ImageNotFound:
            return None
    return found


def _variables(image: Mapping[str, Any]) -> dict[str, str]:
    entries: Sequence[str] = (image.get("Config") or {}).get("Env") or []
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def _present_image(connection: Connection, stack: Stack, service: Service) -> dict[str, Any] | None:
    present = pick(stack, service.name, containers_of(connection, stack.project, service.name))
    return _image(connection, present["Image"]) if present else None


def _majors(
    connection: Connection, stack: Stack, service: Service, place: Place, image: str
) -> dict[PurePosixPath, int]:
    source = _source(connection, stack, place.mount)
    if source is None:
        return {}
    found = {}
    with look(connection, stack, service, source, image) as container:
        for folder in place.folders:
            major = _major(connection, container, _TOP / folder / "PG_VERSION")
            if major is not None:
                found[folder] = major
                if place.is_in_effect and folder == place.folders[0]:
                    break
    return found


def _source(connection: Connection, stack: Stack, mount: Mount) -> dict[str, Any] | None:
    """The mount for a look; None where there is nothing yet, for mounting would make it."""
    how = {"Target": str(_TOP), "ReadOnly": True}
    if mount.kind == "bind":
        return {"Type": "bind", "Source": mount.source, **how}
    name = volume_name(stack, str(mount.source))
    there = is_volume_there(connection, name)
    return {"Type": "volume", "Source": name, "VolumeOptions": {"NoCopy": True}, **how} if there else None


def _major(connection: Connection, container: str, file: PurePosixPath) -> int | None:
    with translated(f"read {file.name}"):
        try:
            blocks, _ = connection.slow().get_archive(container, str(file))
        except docker.errors.NotFound:
            return None
        packed = b"".join(blocks)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        content = archive.extractfile(archive.getmembers()[0])
        text = content.read().decode(errors="replace").strip() if content else ""
    return int(text.partition(".")[0]) if text.partition(".")[0].isdecimal() else None
