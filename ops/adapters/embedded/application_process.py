"""What is the application service, as a process of this machine?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.adapters.embedded import tcp_ports
from ops.adapters.embedded.application import (
    DEFAULT_GRACE_S,
    application_launch,
    filled,
    host_environment,
    search_path,
    service_environment,
)
from ops.adapters.embedded.probes import ask_application
from ops.adapters.embedded.service_process import ServiceProcess
from ops.adapters.embedded.service_status import status_of
from ops.adapters.embedded.start_keys import digested, spec_as_seen
from ops.adapters.embedded.state_folder import StateFolder
from ops.errors import PortTaken
from ops.model.compose.project import Service, Stack
from ops.model.endpoint import PostgresEndpoint
from ops.model.engine import ServiceStatus


class ApplicationProcess:
    """The application of one stack.

    Args:
        state: where everything is kept.
        service: name of the compose service.
        command: how to start it; `{port}` is filled in.
        working_dir: where it is started.
        health_path: what is asked to tell whether it lives.
        port: the port to take.
        database_service: name of the compose service that a DATABASE_URL may name.
        host: environment of this machine.
    """

    def __init__(
        self,
        state: StateFolder,
        service: str,
        *,
        command: Sequence[str],
        working_dir: Path,
        health_path: str,
        port: int,
        database_service: str,
        host: Mapping[str, str],
    ) -> None:
        self._state = state
        self._service = service
        self._command = tuple(command)
        self.working_dir = working_dir
        self._health_path = health_path
        self._port = port
        self._database_service = database_service
        self._host = host
        self.process = ServiceProcess(state.run, service)

    def status(self, stack: Stack, database: PostgresEndpoint | None) -> ServiceStatus:
        """The service now, asked over HTTP."""
        service, record = stack.services[self._service], self.process.record()
        now = self._keys(service, database) if record is not None else {}
        port = int(record.facts["port"]) if record is not None else self._port
        return status_of(
            stack,
            service,
            self.process,
            port_inside=next((published.target for published in service.ports), self._port),
            spec=spec_as_seen(service, record.facts.get("keys", {}) if record else {}, now),
            ask=lambda: ask_application(port, self._health_path),
        )

    def check(self) -> None:
        """Refuse a start that could not be. Raises: ConfigurationError, PortTaken."""
        filled(self._command, port=self._port, path=search_path(self._host))
        self._refuse_taken()

    def start(self, stack: Stack, database: PostgresEndpoint | None) -> None:
        """Start the application; harmless where it runs."""
        if self.process.running() is not None:
            return
        service = stack.services[self._service]
        argv = filled(self._command, port=self._port, path=search_path(self._host))
        self._state.prepare()
        self._refuse_taken()
        facts = {"port": self._port, "keys": self._keys(service, database)}
        environment = self.environment(service, database)
        self.process.start(application_launch(service, argv, environment, cwd=self.working_dir, facts=facts))

    def stop(self, stack: Stack) -> None:
        """Ask it to end, and end it after the service's grace period."""
        service = stack.services.get(self._service)
        grace_s = service.stop_grace_period_s if service is not None else None
        self.process.stop(timeout_s=(DEFAULT_GRACE_S if grace_s is None else grace_s) + 5.0)

    def environment(self, service: Service, database: PostgresEndpoint | None) -> dict[str, str]:
        """All variables that the application, and programs run beside it, are given."""
        own = service_environment(service, database, database_service=self._database_service)
        return {**host_environment(self._host), **own}

    def _keys(self, service: Service, database: PostgresEndpoint | None) -> Mapping[str, str]:
        own = service_environment(service, database, database_service=self._database_service)
        return digested(self._state, [*self._command, str(self._port)], own)

    def _refuse_taken(self) -> None:
        if tcp_ports.is_free(self._port):
            return
        record = self.process.running()  # after the port: another run may have started it at this moment
        if record is None or record.facts["port"] != self._port:
            raise PortTaken(
                f"port {self._port} for {self._service} is in use by {tcp_ports.owner(self._port)}",
                hint="end it, or: export APP_PORT=PORT, another one",
            )
