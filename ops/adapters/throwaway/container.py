"""How does a drill get a PostgreSQL server of its own on a Docker engine?

A container of the same image as the database service, with an anonymous volume and no network at all: what a backup
brings along can reach nobody, and nobody reaches it but by execs of ours. It runs under the dead man's pipe: its
standard input is our connection to the engine, so that when we die it ends, and the engine removes it with its volume.
The password comes over that pipe too, so no inspection shows it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import docker.errors

from ops.adapters.docker.client import Connection
from ops.adapters.docker.database import DEFAULT_PORT, Credentials, DatabaseService
from ops.adapters.docker.errors import FOREIGN, translated
from ops.adapters.docker.frames import FrameReader
from ops.adapters.docker.inner_port import inner_port
from ops.adapters.docker.reaper import is_left, run_id
from ops.adapters.docker.status import containers_of, inspect_container, pick
from ops.adapters.docker.tools import DockerTools
from ops.adapters.docker.two_way import TwoWay, attach
from ops.adapters.embedded.process_mark import wait_until
from ops.adapters.embedded.server import settings_of
from ops.adapters.postgres.connect import connect
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.throwaway.local_server import SETTINGS as LOCAL_SETTINGS
from ops.adapters.throwaway.superusers import MAINTENANCE, make_superusers, superuser_of
from ops.errors import BuildFailed, EngineUnreachable, OpsError, RestoreRefused, ServiceUnhealthy
from ops.model.compose.project import Stack
from ops.model.dead_mans_pipe import wrap
from ops.model.endpoint import PostgresEndpoint
from ops.model.manifest import Manifest
from ops.model.secret import Secret
from ops.ports import Clock, Reporter

LABEL = "io.ops.throwaway"
"""Its value names the run that made the container: machine, process, start."""
_CARRIED = frozenset({"shared_preload_libraries", "max_locks_per_transaction"})
"""Settings of the service without which its contents could not be loaded; all others are of its size, not ours."""
_SETTINGS = tuple(one for one in LOCAL_SETTINGS if not one.startswith(("listen_addresses", "unix_socket")))
_ENTRY = 'POSTGRES_PASSWORD=$PGPASSWORD; unset PGPASSWORD; export POSTGRES_PASSWORD; exec docker-entrypoint.sh "$@"'
_INITDB = "--no-sync --auth-host=scram-sha-256"
"""The image would trust whoever comes from its own loopback, and all of our sessions do."""
_START_S = 120.0
_KEPT_BYTES = 4000


@dataclass(frozen=True, slots=True)
class ContainerServers:
    """The `Throwaways` port on a Docker engine.

    Args:
        connection: the engine.
        stack: whose database service's image is taken.
        service: that service.
        clock: for the database's waits.
    """

    connection: Connection
    stack: Stack
    service: str
    clock: Clock

    @contextmanager
    def server(self, manifest: Manifest, report: Reporter) -> Iterator[PostgresDatabase]:
        """Start a container that can take the archive; it and its volume are gone afterwards."""
        user, password = superuser_of(manifest), Secret(secrets.token_urlsafe(24))
        container = self._created(user)
        try:
            with (
                _kept_alive(self.connection, container, password) as said,
                inner_port(self.connection, container, DEFAULT_PORT) as reached,
            ):
                there = _ThrowawayService(
                    self.connection, self.stack, f"the throwaway of {self.service}", {},
                    container_id=container, reached=reached,
                    known=Credentials(user, password, MAINTENANCE, DEFAULT_PORT),
                )  # fmt: skip
                self._wait(there, said)
                endpoint = there.endpoint()
                tools = DockerTools(there)
                database = PostgresDatabase(endpoint, tools, stack=self.stack.project, clock=self.clock)
                _refuse_older(manifest, database, report)
                make_superusers(endpoint, manifest)
                yield database
        finally:
            _remove(self.connection, container)

    def clean(self) -> tuple[str, ...]:
        """Remove containers whose run, on this machine, is gone."""
        with translated("look for throwaway containers"):
            listed = self.connection.quick().containers(all=True, filters={"label": LABEL})
        found = []
        for entry in listed:
            if is_left(str(entry["Labels"].get(LABEL, ""))):
                _remove(self.connection, entry["Id"])
                found.append(f"the throwaway container {entry['Id'][:12]}")
        return tuple(found)

    def _created(self, user: str) -> str:
        settings = {name: value for name, value in settings_of(self._command()).items() if name in _CARRIED}
        given = [*_SETTINGS, *(f"{name}={value}" for name, value in settings.items())]
        server = ["sh", "-c", _ENTRY, "ops-throwaway", "postgres"]
        server += [word for setting in given for word in ("-c", setting)]
        run = run_id()
        body = {
            "Image": self._image(),
            "Entrypoint": list(wrap(server, run_id=run)),
            "Cmd": [],
            "Env": [f"POSTGRES_USER={user}", f"POSTGRES_DB={MAINTENANCE}", f"POSTGRES_INITDB_ARGS={_INITDB}"],
            "Labels": {LABEL: run},
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "Tty": False,
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "AutoRemove": True,
                "NetworkMode": "none",
                "RestartPolicy": {"Name": "no"},
                "ShmSize": 256 << 20,
            },
        }
        with translated("make a throwaway container"):
            made = self.connection.slow().create_container_from_config(body, name=f"ops-throwaway-{run[-12:]}")
        return str(made["Id"])

    def _command(self) -> tuple[str, ...]:
        return tuple(self.stack.services[self.service].command or ())

    def _image(self) -> str:
        """The very image that the database runs on; without a container, the one that the compose file names."""
        found = pick(self.stack, self.service, containers_of(self.connection, self.stack.project, self.service))
        if found is not None:
            return str(found["Image"])
        image = self.stack.services[self.service].image
        if image is None:
            raise BuildFailed(f"{self.service} names no image for a throwaway server", hint="inv up --services db")
        return image

    def _wait(self, there: _ThrowawayService, said: bytearray) -> None:
        """Until it answers over TCP: while the image still makes its data, the server listens on a socket only."""

        def answers() -> bool:
            try:
                connect(there.endpoint()).close()
            except OpsError:
                return not there.is_running()
            return True

        if not wait_until(answers, _START_S) or not there.is_running():
            raise ServiceUnhealthy(
                "the throwaway container did not come up",
                cause=" ".join(said.decode(errors="replace").split())[-1000:] or None,
                hint="docker system df",
            )


@dataclass(frozen=True)
class _ThrowawayService(DatabaseService):
    """The container in place of a service's, so that tools and sessions are the very ones of a restore."""

    container_id: str = ""
    reached: tuple[str, int] = ("", 0)
    """Where its port is reached from here."""
    known: Credentials = field(default_factory=lambda: Credentials("", Secret(""), "", DEFAULT_PORT))

    def container(self) -> dict[str, Any]:
        """Its inspection. Raises: EngineUnreachable (it is gone)."""
        found = inspect_container(self.connection, self.container_id)
        if found is None:
            raise EngineUnreachable("the throwaway container is gone", hint="docker events")
        return found

    def endpoint(self) -> PostgresEndpoint:
        """By execs: it has no network."""
        host, port = self.reached
        return PostgresEndpoint(host, port, self.known.user, self.known.password, self.known.database)

    def credentials(self, container: Mapping[str, Any]) -> Credentials:  # noqa: ARG002 - as it is for a service
        """As whom it was made."""
        return self.known

    def is_running(self) -> bool:
        """Whether it still runs."""
        found = inspect_container(self.connection, self.container_id)
        return found is not None and bool(found["State"]["Running"])


@contextmanager
def _kept_alive(connection: Connection, container: str, password: Secret) -> Iterator[bytearray]:
    """Start the container and hold its dead man's pipe; gives the end of what it says."""
    doing = "start a throwaway container"
    stream = attach(connection.streams(), container, with_stdin=True, doing=doing)
    said = bytearray()
    reader = threading.Thread(target=_listen, args=(stream, said), daemon=True)
    try:
        with translated(doing):
            connection.slow().start(container)
        stream.send(password.reveal().encode() + b"\n")
        reader.start()
        yield said
    finally:
        stream.close()
        if reader.is_alive():
            reader.join(10)


def _listen(stream: TwoWay, said: bytearray) -> None:
    with suppress(OpsError, OSError, ValueError):
        for _, block in FrameReader(stream.receive):
            said += block
            del said[:-_KEPT_BYTES]


def _remove(connection: Connection, container: str) -> None:
    """With its anonymous volume; the engine may be removing it already."""
    with suppress(*FOREIGN):
        connection.slow().kill(container)
    with _gone_or_going(container):
        connection.slow().remove_container(container, v=True, force=True)
    wait_until(lambda: inspect_container(connection, container) is None, 30.0)


@contextmanager
def _gone_or_going(container: str) -> Iterator[None]:
    """As `translated`, but a container that is gone or going is what we want."""
    try:
        yield
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as exc:
        if "already in progress" not in str(exc.explanation or exc):
            with translated(f"remove the throwaway container {container[:12]}"):
                raise


def _refuse_older(manifest: Manifest, database: PostgresDatabase, report: Reporter) -> None:
    facts, offers = manifest.database, database.offers()
    if offers.server_major < facts.server_major:
        raise RestoreRefused(
            f"no server at hand can take {manifest.id}: it is of PostgreSQL {facts.server_version}",
            cause=f"the image of the database service is PostgreSQL {offers.server_version}",
            hint=f"set POSTGRES_IMAGE=postgres:{facts.server_major}",
        )
    if offers.server_major > facts.server_major:
        report.warn(f"{manifest.id} is of PostgreSQL {facts.server_version}; the drill's is {offers.server_version}")
