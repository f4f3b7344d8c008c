"""How does a stack run without Docker?

The database service is a real PostgreSQL and the application a process, each with a keeper beside it that outlives
`inv up`; other services are named as left out. All state lies in one folder. Whatever kills us, the next `up` finds
out from records, locks and start times what is there, and goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO

from ops.adapters.embedded.application_process import ApplicationProcess
from ops.adapters.embedded.database_process import DatabaseProcess
from ops.adapters.embedded.programs import server_programs
from ops.adapters.embedded.run_program import run_program
from ops.adapters.embedded.service_log import Follower, follow_logs, read_log
from ops.adapters.embedded.service_process import ServiceProcess
from ops.adapters.embedded.state_folder import StateFolder
from ops.adapters.local_tools import LocalTools
from ops.errors import UnknownService
from ops.model.compose.project import Service, Stack
from ops.model.endpoint import PostgresEndpoint
from ops.model.engine import EngineInfo, EngineName, LogLine, ServiceStatus, StackState
from ops.model.stack_plan import Step
from ops.ports import Reporter, ToolRunner

_STARTS = frozenset({"create", "start", "recreate"})


class EmbeddedEngine:
    """One stack as processes of this machine; see the port `Engine` for the methods.

    Args:
        state_dir: folder that holds all of it; made at the first start.
        working_dir: the project's folder, where the application is started.
        app_command: how the application is started; `{port}` is filled in.
        database_service: compose service that is the database.
        app_service: compose service that is the application.
        app_health_path: where the application answers that it lives.
        database_port: port of the database; None takes 5432 or the next free one.
        app_port: port of the application.
        host: environment of this machine; PATH, HOME and the locale reach the services, nothing else.
    """

    name: EngineName = "embedded"

    def __init__(
        self,
        state_dir: Path,
        *,
        working_dir: Path,
        app_command: Sequence[str],
        database_service: str = "db",
        app_service: str = "app",
        app_health_path: str = "/health",
        database_port: int | None = None,
        app_port: int = 8000,
        host: Mapping[str, str] | None = None,
    ) -> None:
        environment = dict(os.environ if host is None else host)
        self._state = StateFolder(state_dir)
        self._host = environment
        self._database_service = database_service
        self._app_service = app_service
        self._database = DatabaseProcess(self._state, database_service, port=database_port, host=environment)
        self._app = ApplicationProcess(
            self._state,
            app_service,
            command=app_command,
            working_dir=working_dir,
            health_path=app_health_path,
            port=app_port,
            database_service=database_service,
            host=environment,
        )

    def info(self) -> EngineInfo:
        """Who we are; raises ConfigurationError where no PostgreSQL is on this machine."""
        programs = server_programs(self._host.get("PATH", os.defpath))
        return EngineInfo("embedded", str(self._state.path), f"PostgreSQL {programs.version}", self._state.identity())

    def left_out(self, stack: Stack) -> Mapping[str, str]:
        """Everything but database and application."""
        return {
            name: f"the embedded engine runs {self._database_service} and {self._app_service} only"
            for name in stack.services
            if name not in self._ours
        }

    def observe(self, stack: Stack) -> StackState:
        """Both services, the volumes, and processes whose service the file does not name."""
        orphans = tuple(
            ServiceStatus(
                name,
                state="running" if self._process(name).running() else "exited",
                container_id=name,
                container_name=f"{stack.project}-{name}-1",
                is_orphan=True,
            )
            for name in self._ours
            if name not in stack.services and self._process(name).record() is not None
        )
        return StackState(
            project=stack.project,
            services={name: self.status(stack, name) for name in stack.services},
            volumes=self._state.volumes(),
            orphans=orphans,
        )

    def status(self, stack: Stack, service: str) -> ServiceStatus:
        """One service now; services that are left out are absent."""
        if service not in stack.services:
            raise UnknownService(f"there is no service {service!r} in the stack", hint="inv ps")
        if service == self._database_service:
            return self._database.status(stack)
        if service == self._app_service:
            return self._app.status(stack, self._endpoint(stack))
        return ServiceStatus(service)

    def preflight(self, steps: Sequence[Step], stack: Stack) -> None:
        """Refuse what could not be started: ports, programs, majors."""
        for step in steps:
            if step.action in _STARTS and step.subject == self._database_service:
                self._database.check(stack)
            elif step.action in _STARTS and step.subject == self._app_service:
                self._app.check()

    def apply(self, step: Step, stack: Stack, report: Reporter) -> None:
        """Carry out one step; steps about networks and images have nothing to do here."""
        match step.action:
            case "create-volume":
                volume = stack.volumes[step.subject]
                self._state.make_volume(volume.name, volume.config_hash)
            case "remove-volume":
                self._stop(self._database_service, stack)
                self._state.remove_volume(stack.volumes[step.subject].name)
            case "stop":
                self._stop(step.subject, stack)
            case "remove":
                self._stop(step.subject, stack)
                self._process(step.subject).forget()
            case "recreate":
                self._stop(step.subject, stack)
                self._start(step.subject, stack, report)
            case "create" | "start":
                self._start(step.subject, stack, report)
            case _:
                pass

    def logs(
        self,
        stack: Stack,
        services: Sequence[str],
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> Iterator[LogLine]:
        """What both services printed; those left out printed nothing."""
        processes = [self._process(name) for name in services or stack.services if name in self._ours]
        followers = [Follower(process.service, process.log) for process in processes]
        for process in processes:
            yield from read_log(process.service, process.log, tail=tail, since=since)
        if follow:
            yield from follow_logs(followers, lambda: any(process.running() for process in processes))

    def execute(
        self,
        stack: Stack,
        service: str,
        argv: Sequence[str],
        *,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        stderr: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        interactive: bool = False,
    ) -> int:
        """Run a program in a service's environment; `user` has no meaning here, since nothing changes the user."""
        del user
        if service not in self._ours or self._process(service).running() is None:
            raise UnknownService(f"{service} is not running", cause=self._why_not(service), hint="inv up")
        return run_program(
            argv,
            environment={**self._environment(stack, stack.services[service]), **(environment or {})},
            cwd=str(self._app.working_dir),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            interactive=interactive,
        )

    def run_once(
        self,
        stack: Stack,
        service: Service,
        argv: Sequence[str],
        *,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        stderr: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Run a program in a service's environment, whether or not the service runs."""
        return run_program(
            argv or service.command or (),
            environment={**self._environment(stack, service), **(environment or {})},
            cwd=str(self._app.working_dir),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )

    def build(self, stack: Stack, services: Sequence[str], *, no_cache: bool, report: Reporter) -> Mapping[str, str]:
        """Nothing to do, and said so."""
        del stack, services, no_cache
        report.note("nothing to build: the embedded engine runs the application from the tree")
        return {}

    def pull(self, stack: Stack, services: Sequence[str], *, report: Reporter) -> Mapping[str, str]:
        """Nothing to do, and said so."""
        del stack, services
        report.note("nothing to pull: the embedded engine has no images")
        return {}

    def database_endpoint(self, stack: Stack, service: str) -> PostgresEndpoint:
        """The running server on loopback."""
        if service != self._database_service or self._database.process.running() is None:
            raise UnknownService(f"{service} is not running", cause=self._why_not(service), hint="inv up --services db")
        return self._database.endpoint(stack)

    def tools(self, stack: Stack, service: str) -> ToolRunner:
        """The server's own client programs."""
        return LocalTools(self._database.programs(stack).folder, self.database_endpoint(stack, service))

    @property
    def _ours(self) -> tuple[str, str]:
        return self._database_service, self._app_service

    def _process(self, service: str) -> ServiceProcess:
        if service == self._database_service:
            return self._database.process
        if service == self._app_service:
            return self._app.process
        raise UnknownService(f"{service} has no process on the embedded engine", hint="inv ps")

    def _start(self, service: str, stack: Stack, report: Reporter) -> None:
        if service == self._database_service:
            self._database.start(stack, report)
        elif service == self._app_service:
            self._app.start(stack, self._endpoint(stack))
        else:
            raise UnknownService(f"{service} has no process on the embedded engine", hint="inv ps")

    def _stop(self, service: str, stack: Stack) -> None:
        if service == self._database_service:
            self._database.stop()
        elif service == self._app_service:
            self._app.stop(stack)

    def _endpoint(self, stack: Stack) -> PostgresEndpoint | None:
        return self._database.endpoint(stack) if self._database_service in stack.services else None

    def _environment(self, stack: Stack, service: Service) -> Mapping[str, str]:
        if service.name == self._database_service:
            return self._database.environment(stack)
        return self._app.environment(service, self._endpoint(stack))

    def _why_not(self, service: str) -> str | None:
        return None if service in self._ours else "the embedded engine left it out"
