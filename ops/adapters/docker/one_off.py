"""How does a program run in a new container that nobody sees afterwards?

The engine removes the container itself when it ends, so a kill of ours leaves none behind. We attach before we start it
and ask for its exit code before it can have one: the engine answers the wait's headers at once and its body at the end.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import IO, Any

from ops.adapters.docker import container_config, networks_volumes, raw
from ops.adapters.docker.client import Connection
from ops.adapters.docker.errors import FOREIGN, translated
from ops.adapters.docker.new_container import connect_networks, give_secrets, placement_of
from ops.adapters.docker.pump import pump
from ops.adapters.docker.two_way import attach
from ops.model.compose.project import Service, Stack


def run_once(
    connection: Connection,
    stack: Stack,
    service: Service,
    argv: Sequence[str],
    *,
    secret_environment: Mapping[str, str],
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a program in a one-off container of the service; returns its exit code.

    Raises: BuildFailed (no image), ConfigurationError (cannot be started), EngineUnreachable.
    """
    doing = f"run {argv[0]} in a one-off container of {service.name}"
    service = replace(service, environment={**service.environment, **(environment or {})})
    slug = secrets.token_hex(32)
    _make_what_it_needs(connection, stack, service)
    placement = placement_of(connection, stack, service)
    body = container_config.one_off(stack, service, placement, argv, slug)
    body |= {
        "OpenStdin": stdin is not None,
        "StdinOnce": stdin is not None,
        "AttachStdin": stdin is not None,
        "Tty": False,
    }
    with translated(doing):
        container = connection.slow().create_container_from_config(
            body, name=f"{stack.project}-{service.name}-run-{slug[:12]}"
        )["Id"]
    try:
        connect_networks(connection, stack, service, container, with_aliases=False)
        give_secrets(connection, stack, service, container, secret_environment)
        return _run(connection, container, doing, stdin=stdin, stdout=stdout, stderr=stderr)
    except BaseException:
        with suppress(*FOREIGN):
            connection.slow().remove_container(container, v=True, force=True)
        raise


class _Quiet:
    """A network that is made in passing is not worth a line beside the program's own output."""

    def note(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def progress(self, step: str, done: int, total: int | None, unit: str = "bytes") -> None: ...

    def finished(self, event: str, **fields: object) -> None: ...


def _make_what_it_needs(connection: Connection, stack: Stack, service: Service) -> None:
    """Networks and named volumes: the engine would refuse the one and make the other without Compose's labels."""
    for key in () if service.network_mode else service.networks:
        networks_volumes.create_network(connection, stack, key, _Quiet())
    for mount in service.mounts:
        if mount.kind == "volume" and mount.source is not None:
            networks_volumes.create_volume(connection, stack, mount.source, _Quiet())


def _run(
    connection: Connection,
    container: str,
    doing: str,
    *,
    stdin: IO[bytes] | None,
    stdout: IO[bytes] | None,
    stderr: IO[bytes] | None,
) -> int:
    stream = attach(connection.streams(), container, with_stdin=stdin is not None, doing=doing)
    try:
        with translated(doing):
            waiting = raw.post_stream(connection.streams(), f"/containers/{container}/wait", {"condition": "removed"})
    except BaseException:
        stream.close()
        raise
    try:
        with translated(doing):
            connection.slow().start(container)
        pump(stream, stdin=stdin, stdout=stdout, stderr=stderr)
        with translated(doing):
            answer: dict[str, Any] = waiting.json()
    finally:
        stream.close()
        waiting.close()
    return int(answer["StatusCode"])
