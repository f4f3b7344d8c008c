"""How does a stack run on a Docker engine?

The Engine port, each method a line or two over the file that answers its question.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import IO

from ops.adapters.docker import (
    container_config,
    execute,
    images,
    logs,
    networks_volumes,
    one_off,
    preflight,
    status,
    terminal,
)
from ops.adapters.docker.client import Connection
from ops.adapters.docker.containers import Containers
from ops.adapters.docker.database import DatabaseService, running_container
from ops.adapters.docker.errors import translated
from ops.adapters.docker.frozen import SILENCE_S
from ops.adapters.docker.tools import DockerTools
from ops.errors import UnknownService
from ops.model.compose.project import Service, Stack
from ops.model.endpoint import PostgresEndpoint
from ops.model.engine import EngineInfo, EngineName, LogLine, ServiceStatus, StackState
from ops.model.stack_plan import Step
from ops.ports import Reporter


class DockerEngine:
    """Runs stacks as containers, in Compose's own form; see `ops.ports.Engine` for the contract.

    Args:
        environment: where DOCKER_HOST and its like are read, and secrets with `environment:`; by default the
            process's own.
        silence_s: for how long a database's container may be paused before what we run in it is given up.
    """

    name: EngineName = "docker"

    def __init__(self, *, environment: Mapping[str, str] | None = None, silence_s: float = SILENCE_S) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._connection = Connection(self._environment)
        self._silence_s = silence_s

    def close(self) -> None:
        """Close the connections; they are opened again if needed."""
        self._connection.close()

    def info(self) -> EngineInfo:
        """Ask the engine who it is."""
        with translated("ask the engine who it is"):
            said = self._connection.quick().info()
        return EngineInfo("docker", self._connection.endpoint, said["ServerVersion"], said.get("ID", ""))

    def left_out(self, stack: Stack) -> Mapping[str, str]:
        """Nothing: every service has a container."""
        del stack
        return {}

    def observe(self, stack: Stack) -> StackState:
        """What exists of the stack now."""
        return status.observe(self._connection, stack)

    def status(self, stack: Stack, service: str) -> ServiceStatus:
        """One service now."""
        _refuse_unknown(stack, [service])
        found = status.pick(stack, service, status.containers_of(self._connection, stack.project, service))
        return status.service_status(found) if found else ServiceStatus(service)

    def preflight(self, steps: Sequence[Step], stack: Stack) -> None:
        """Refuse a plan that cannot be carried out."""
        preflight.check(self._connection, steps, stack, self._environment)

    def apply(self, step: Step, stack: Stack, report: Reporter) -> None:
        """Carry out one step of a plan."""
        beside = networks_volumes.ACTIONS.get(step.action)
        if beside:
            beside(self._connection, stack, step.subject, report)
        elif step.action == "pull-image":
            self.pull(stack, [step.subject], report=report)
        elif step.action == "build-image":
            self.build(stack, [step.subject], no_cache=False, report=report)
        else:
            Containers(self._connection, stack, self._environment, report).apply(step)

    def logs(
        self,
        stack: Stack,
        services: Sequence[str],
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> Iterator[LogLine]:
        """What services (none named: all) printed."""
        _refuse_unknown(stack, services)
        found = status.containers_of(self._connection, stack.project)
        wanted = set(services) or set(stack.services)
        sources = [
            logs.Source(name, each["Id"])
            for each in found
            if (name := status.labels_of(each).get(container_config.SERVICE, "")) in wanted
        ]
        read = logs.followed_lines if follow else logs.past_lines
        yield from read(self._connection, sources, logs.Window.of(tail, since))

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
        """Run a program in a running service."""
        container = running_container(self._connection, stack, service)["Id"]
        doing = f"run {argv[0]} in {service}"
        if interactive and terminal.is_ours():
            return terminal.run(self._connection, container, argv, doing=doing, environment=environment, user=user)
        if interactive:
            stdin, stdout, stderr = sys.stdin.buffer, sys.stdout.buffer, sys.stderr.buffer
        return execute.run(
            self._connection,
            container,
            argv,
            doing=doing,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            environment=environment,
            user=user,
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
        """Run a program in a one-off container of the service's image."""
        preflight.check_files(self._connection, stack, service, self._environment)
        return one_off.run_once(
            self._connection,
            stack,
            service,
            argv,
            secret_environment=self._environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            environment=environment,
        )

    def build(self, stack: Stack, services: Sequence[str], *, no_cache: bool, report: Reporter) -> Mapping[str, str]:
        """Build the images of services (none named: of all that have a build)."""
        _refuse_unknown(stack, services)
        wanted = [stack.services[name] for name in services] or [s for s in stack.services.values() if s.build]
        return {s.name: images.build(self._connection, stack, s, no_cache=no_cache, report=report) for s in wanted}

    def pull(self, stack: Stack, services: Sequence[str], *, report: Reporter) -> Mapping[str, str]:
        """Pull the images of services (none named: of all that have no build)."""
        _refuse_unknown(stack, services)
        wanted = [stack.services[name] for name in services] or [s for s in stack.services.values() if not s.build]
        return {s.name: images.pull(self._connection, stack, s, report=report) for s in wanted}

    def database_endpoint(self, stack: Stack, service: str) -> PostgresEndpoint:
        """How this process reaches the database service now."""
        return self._database(stack, service).endpoint()

    def tools(self, stack: Stack, service: str) -> DockerTools:
        """PostgreSQL's programs in the database's container."""
        return DockerTools(self._database(stack, service), silence_s=self._silence_s)

    def _database(self, stack: Stack, service: str) -> DatabaseService:
        return DatabaseService(self._connection, stack, service, self._environment)


def _refuse_unknown(stack: Stack, names: Sequence[str]) -> None:
    for name in names:
        if name not in stack.services:
            raise UnknownService(
                f"the stack {stack.project} has no service {name}",
                cause=f"it has {', '.join(sorted(stack.services))}",
                hint="inv ps",
            )
