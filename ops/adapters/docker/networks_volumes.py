"""How do a stack's networks and volumes come and go?

A volume that is there is used as it is, whatever the compose file says of its driver by now: it is never made again.
Removing one is a step of its own that nothing else implies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import docker.errors

from ops.adapters.docker.client import Connection
from ops.adapters.docker.container_config import CONFIG_HASH, NETWORK, PROJECT, VOLUME, project_labels
from ops.adapters.docker.errors import translated
from ops.adapters.docker.looks import remove_left
from ops.adapters.docker.status import inspect_container, labels_of
from ops.errors import ConfigurationError, Refused
from ops.model.compose.project import Network, Stack, Volume
from ops.model.stack_plan import Action
from ops.ports import Reporter


def refuse_missing(connection: Connection, stack: Stack) -> None:
    """Refuse a stack whose external networks or volumes are not there. Raises: ConfigurationError."""
    for network in stack.networks.values():
        if network.is_external and _network(connection, network.name) is None:
            raise _missing("network", network.name)
    for volume in stack.volumes.values():
        if volume.is_external and _volume(connection, volume.name) is None:
            raise _missing("volume", volume.name)


def create_network(connection: Connection, stack: Stack, key: str, report: Reporter) -> None:
    """Make a network of the stack, or take the one that is there.

    Raises: ConfigurationError (external and missing), Refused (the name belongs to somebody else).
    """
    network = stack.networks.get(key) or Network(key, f"{stack.project}_{key}")
    there = _network(connection, network.name)
    if network.is_external:
        if there is None:
            raise _missing("network", network.name)
        return
    if there is not None:
        _refuse_foreign("network", network.name, there.get("Labels") or {}, {**_owner(stack), NETWORK: key})
        return
    own = {**network.labels, **project_labels(stack), NETWORK: key, CONFIG_HASH: network.config_hash}
    with translated(f"create the network {network.name}"):
        # Engines before 25 make a second network of the same name without `check_duplicate`.
        connection.slow().create_network(
            network.name, driver=network.driver, internal=network.is_internal, labels=own, check_duplicate=True
        )
    report.note(f"network {network.name} created")


def remove_network(connection: Connection, stack: Stack, key: str, report: Reporter) -> None:
    """Remove a network of the stack; one that is not there is no failure.

    Raises: Refused, naming the containers that still use it.
    """
    network = stack.networks.get(key)
    name = network.name if network else f"{stack.project}_{key}"
    there = _network(connection, name)
    if there is None or (network and network.is_external):
        return
    _refuse_foreign("network", name, there.get("Labels") or {}, _owner(stack))
    strangers = _disconnect_ours(connection, stack, there["Id"])
    if strangers:
        raise Refused(
            f"the network {name} is still in use",
            cause=f"by {', '.join(strangers)}",
            hint=f"docker network disconnect {name} {strangers[0]}",
        )
    with translated(f"remove the network {name}"), suppress(docker.errors.NotFound):
        connection.slow().remove_network(there["Id"])
    report.note(f"network {name} removed")


def _disconnect_ours(connection: Connection, stack: Stack, network: str) -> list[str]:
    """Disconnect the project's own containers; returns the names of the others."""
    with translated("look who uses a network"):
        described: dict[str, Any] = connection.quick().inspect_network(network)
    strangers = []
    for container, each in (described.get("Containers") or {}).items():
        found = inspect_container(connection, container)
        if found is None or labels_of(found).get(PROJECT) != stack.project:
            strangers.append(str(each["Name"]))
            continue
        with translated(f"disconnect {each['Name']}"), suppress(docker.errors.NotFound):
            connection.slow().disconnect_container_from_network(container, network, force=True)
    return sorted(strangers)


def is_volume_there(connection: Connection, name: str) -> bool:
    """Whether the engine has a volume of that name."""
    return _volume(connection, name) is not None


def create_volume(connection: Connection, stack: Stack, key: str, report: Reporter) -> None:
    """Make a volume of the stack, or take the one that is there with what it holds.

    Raises: ConfigurationError (external and missing), Refused (another project's).
    """
    volume = stack.volumes.get(key) or Volume(key, f"{stack.project}_{key}")
    there = _volume(connection, volume.name)
    if volume.is_external:
        if there is None:
            raise _missing("volume", volume.name)
        return
    if there is not None:
        found = there.get("Labels") or {}
        if not found.get(PROJECT):
            report.warn(f"volume {volume.name} was not made by this stack and is used as it is")
            return
        _refuse_foreign("volume", volume.name, found, _owner(stack))
        return
    own = {**volume.labels, **project_labels(stack), VOLUME: key, CONFIG_HASH: volume.config_hash}
    with translated(f"create the volume {volume.name}"):
        connection.slow().create_volume(
            volume.name, driver=volume.driver, driver_opts=dict(volume.driver_opts) or None, labels=own
        )
    report.note(f"volume {volume.name} created")


def remove_volume(connection: Connection, stack: Stack, key: str, report: Reporter) -> None:
    """Remove a volume of the stack with all it holds; one that is not there is no failure.

    Raises: Refused (in use, or another project's).
    """
    volume = stack.volumes.get(key)
    name = volume.name if volume else f"{stack.project}_{key}"
    there = _volume(connection, name)
    if there is None or (volume and volume.is_external):
        return
    _refuse_foreign("volume", name, there.get("Labels") or {}, _owner(stack))
    remove_left(connection, stack)
    with translated(f"remove the volume {name}"), suppress(docker.errors.NotFound):
        connection.slow().remove_volume(name)
    report.note(f"volume {name} removed")


def _owner(stack: Stack) -> dict[str, str]:
    return {PROJECT: stack.project}


def _network(connection: Connection, name: str) -> dict[str, Any] | None:
    with translated(f"look at the network {name}"):
        listed: list[dict[str, Any]] = connection.quick().networks(names=[name])
    # The engine's filter also finds names that merely contain this one.
    return next((each for each in listed if each["Name"] == name), None)


def _volume(connection: Connection, name: str) -> dict[str, Any] | None:
    with translated(f"look at the volume {name}"):
        try:
            found: dict[str, Any] = connection.quick().inspect_volume(name)
        except docker.errors.NotFound:
            return None
    return found


def _missing(kind: str, name: str) -> ConfigurationError:
    return ConfigurationError(f"the external {kind} {name} is not there", hint=f"docker {kind} create {name}")


def _refuse_foreign(kind: str, name: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    for label, value in wanted.items():
        if found.get(label) != value:
            owner = found.get(label)
            raise Refused(
                f"the {kind} {name} is not this stack's",
                cause=f"its label {label} is {owner}, not {value}" if owner else f"it has no label {label}",
                hint=f"set another project name (name: in the compose file), or declare the {kind} `external: true`",
            )


ACTIONS: Mapping[Action, Callable[[Connection, Stack, str, Reporter], None]] = {
    "create-network": create_network,
    "remove-network": remove_network,
    "create-volume": create_volume,
    "remove-volume": remove_volume,
}
"""A plan's steps that are about networks and volumes; each takes the key in the compose file."""
