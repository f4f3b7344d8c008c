"""What is the database service, as a process of this machine?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ops.adapters.embedded import tcp_ports
from ops.adapters.embedded.application import host_environment
from ops.adapters.embedded.cluster import data_major, initialise, login_of, remove_leftovers
from ops.adapters.embedded.probes import ask_database
from ops.adapters.embedded.programs import Programs, server_programs
from ops.adapters.embedded.server import server_launch, settings_of, usable_settings
from ops.adapters.embedded.server_user import server_user
from ops.adapters.embedded.service_process import Record, ServiceProcess
from ops.adapters.embedded.service_status import status_of
from ops.adapters.embedded.start_keys import digested, spec_as_seen
from ops.adapters.embedded.state_folder import StateFolder
from ops.errors import PortTaken
from ops.model.compose.project import Service, Stack, Volume
from ops.model.endpoint import PostgresEndpoint
from ops.model.engine import ServiceStatus
from ops.ports import Reporter

STOP_TIMEOUT_S = 150.0
_PORT = 5432
_HOST = "127.0.0.1"


class DatabaseProcess:
    """PostgreSQL for one stack.

    Args:
        state: where everything is kept.
        service: name of the compose service.
        port: the port to take; None takes 5432 or the next free one, and keeps it.
        host: environment of this machine.
    """

    def __init__(self, state: StateFolder, service: str, *, port: int | None, host: Mapping[str, str]) -> None:
        self._state = state
        self._service = service
        self._wanted_port = port
        self._host = host
        self.process = ServiceProcess(state.run, service)

    def status(self, stack: Stack) -> ServiceStatus:
        """The service now, asked as the real user over TCP."""
        service, record = stack.services[self._service], self.process.record()
        now = self._keys(service) if record is not None else {}
        found = status_of(
            stack,
            service,
            self.process,
            port_inside=_PORT,
            spec=spec_as_seen(service, record.facts.get("keys", {}) if record else {}, now),
            ask=lambda: ask_database(self._psql(stack), self.endpoint(stack)),
        )
        return replace(found, volumes=self._mounted(stack, record) if record is not None else ())

    def endpoint(self, stack: Stack) -> PostgresEndpoint:
        """Where the server is, or would be if it were started now. Raises: ConfigurationError (no password)."""
        login = login_of(stack.services[self._service], stack)
        return PostgresEndpoint(_HOST, self.port(), login.user, login.password, login.database)

    def port(self) -> int:
        """The port of the running server, else the one that the next start would take."""
        record = self.process.running()
        if record is not None:
            return int(record.facts["port"])
        if self._wanted_port is not None:
            return self._wanted_port
        recorded = self._state.database_port()
        return recorded if recorded and tcp_ports.is_free(recorded) else tcp_ports.next_free(_PORT)

    def programs(self, stack: Stack) -> Programs:
        """Programs of the major of the data. Raises: ConfigurationError, Refused."""
        name, _ = self._volume(stack)
        return server_programs(self._host.get("PATH", os.defpath), major=data_major(self._state.volume(name)))

    def _psql(self, stack: Stack) -> str:
        """Of the running server's own folder, which its record names: looking for it would start programs."""
        record = self.process.running()
        known = record.facts.get("programs") if record is not None else None
        return str(Path(known) / "psql") if known else self.programs(stack).path("psql")

    def check(self, stack: Stack) -> None:
        """Refuse a start that could not be. Raises: ConfigurationError, PortTaken, Refused."""
        login_of(stack.services[self._service], stack)
        self.programs(stack)
        if self._wanted_port is not None:
            self._refuse_taken(self._wanted_port)

    def start(self, stack: Stack, report: Reporter) -> None:
        """Start the server, making its data first where there is none; harmless where it runs."""
        if self.process.running() is not None:
            return
        service = stack.services[self._service]
        name, config_hash = self._volume(stack)
        programs = self.programs(stack)
        self._state.make_volume(name, config_hash)
        volume = self._state.volume(name)
        user = server_user(programs, volume, project=stack.working_dir)
        port = self.port()
        self._refuse_taken(port)
        remove_leftovers(volume)
        if data_major(volume) is None:
            report.note(f"{service.name}: making a PostgreSQL {programs.version} data folder in {_short(volume)}")
            initialise(volume, programs, user, login_of(service, stack))
        settings, unknown = usable_settings(programs, settings_of(service.command))
        if unknown:
            report.note(f"{service.name}: not applied on the embedded engine: {', '.join(unknown)}")
        facts = {"port": port, "keys": self._keys(service), "programs": str(programs.folder), "volume": name}
        self.process.start(server_launch(programs, user, volume, port=port, settings=settings, facts=facts))
        self._state.record_database_port(port)

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, the data is written."""
        self.process.stop(timeout_s=STOP_TIMEOUT_S)

    def environment(self, stack: Stack) -> dict[str, str]:
        """For programs run beside the server: its own clients first on PATH, told where it is."""
        there = self.endpoint(stack)
        base = host_environment(self._host)
        return {
            **base,
            "PATH": f"{self.programs(stack).folder}:{base['PATH']}",
            **stack.services[self._service].environment,
            "PGHOST": there.host,
            "PGPORT": str(there.port),
            "PGUSER": there.user,
            "PGPASSWORD": there.password.reveal(),
            "PGDATABASE": there.database,
        }

    def _keys(self, service: Service) -> Mapping[str, str]:
        """The login counts when the data is made and never again, so only settings and port make another server."""
        port = "" if self._wanted_port is None else str(self._wanted_port)
        settings = [f"{name}={value}" for name, value in sorted(settings_of(service.command).items())]
        return digested(self._state, settings, {"DB_PORT": port})

    def _volume(self, stack: Stack) -> tuple[str, str]:
        """Engine name and compose hash of the volume that holds the data."""
        for mount in stack.services[self._service].mounts:
            volume = stack.volumes.get(mount.source or "") if mount.kind == "volume" else None
            if isinstance(volume, Volume) and "postgresql" in mount.target:
                return volume.name, volume.config_hash
        return f"{stack.project}_{self._service}_data", ""

    def _mounted(self, stack: Stack, record: Record) -> tuple[str, ...]:
        """The volume of the server's data; the service's others have no meaning here and are never missed."""
        data, _ = self._volume(stack)
        mounts = stack.services[self._service].mounts
        sources = [mount.source or "" for mount in mounts if mount.kind == "volume"]
        others = [stack.volumes[source].name for source in sources if source in stack.volumes]
        began_with = record.facts.get("volume")
        return (began_with, *(name for name in others if name != data)) if began_with else ()

    def _has(self, port: int) -> bool:
        """Whether it is our own server there, perhaps started at this moment by another run."""
        record = self.process.running()
        return record is not None and record.facts["port"] == port

    def _refuse_taken(self, port: int) -> None:
        if not tcp_ports.is_free(port) and not self._has(port):
            raise PortTaken(
                f"port {port} for {self._service} is in use by {tcp_ports.owner(port)}",
                cause="DB_PORT names it" if self._wanted_port == port else None,
                hint="unset DB_PORT to take the next free one, or: export DB_PORT=PORT, another one",
            )


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
