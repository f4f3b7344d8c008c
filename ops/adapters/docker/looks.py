"""How is it seen what a mount holds, without starting anything?

A container that is never started is enough: the engine hands out files of its mounts all the same. It carries the name
of our run, so that one which a killed run left is known: it would keep its volume from being removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ops.adapters.docker.client import Connection
from ops.adapters.docker.container_config import ONE_OFF, PROJECT, SERVICE, project_labels
from ops.adapters.docker.errors import FOREIGN, translated
from ops.adapters.docker.reaper import is_left, run_id
from ops.model.compose.project import Service, Stack

LABEL = "io.ops.look"


@contextmanager
def look(connection: Connection, stack: Stack, service: Service, source: dict[str, Any], image: str) -> Iterator[str]:
    """Give a container that holds a mount and never runs; gone afterwards.

    Args:
        connection: the engine.
        stack, service: whose mount it is.
        source: the mount, as the engine wants it.
        image: any image that is here.

    Raises: EngineUnreachable, ConfigurationError.
    """
    body = {
        "Image": image,
        "Labels": {**project_labels(stack), SERVICE: service.name, ONE_OFF: "True", LABEL: run_id()},
        "HostConfig": {"Mounts": [source], "NetworkMode": "none"},
    }
    with translated(f"look at the data of {service.name}"):
        container = str(connection.slow().create_container_from_config(body)["Id"])
    try:
        yield container
    finally:
        _remove(connection, container)


def remove_left(connection: Connection, stack: Stack) -> None:
    """Remove those whose run, on this machine, is gone. Raises: EngineUnreachable."""
    with translated("look for containers of killed runs"):
        listed = connection.quick().containers(all=True, filters={"label": [LABEL, f"{PROJECT}={stack.project}"]})
    for entry in listed:
        if is_left(str(entry["Labels"].get(LABEL, ""))):
            _remove(connection, entry["Id"])


def _remove(connection: Connection, container: str) -> None:
    with suppress(*FOREIGN):
        connection.slow().remove_container(container, v=True, force=True)
