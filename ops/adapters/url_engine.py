"""What can be done with a database that somebody else runs?

Everything about the database, named by `DATABASE_URL`; nothing about services: those methods refuse and say what to do
instead. The scheduler's own container works this way, and therefore needs no Docker socket.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, NoReturn

from ops.adapters.embedded.programs import client_programs
from ops.adapters.local_tools import LocalTools
from ops.adapters.postgres.connect import connect
from ops.errors import Refused
from ops.model.compose.project import Service, Stack
from ops.model.database_url import parse_database_url
from ops.model.endpoint import Endpoint, SqliteEndpoint
from ops.model.engine import EngineInfo, EngineName, LogLine, ServiceStatus, StackState
from ops.model.secret import Secret
from ops.model.stack_plan import Step
from ops.ports import Reporter, ToolRunner


class UrlEngine:
    """A database without services; see the port `Engine` for the methods.

    Args:
        url: the text of `DATABASE_URL`.
        base: absolute folder where relative SQLite paths start; None is the current one.
        search_path: PATH on which `pg_dump` and its kin are looked for.

    Raises: ConfigurationError where the URL names no database.
    """

    name: EngineName = "url"

    def __init__(self, url: Secret, *, base: Path | None = None, search_path: str | None = None) -> None:
        self._endpoint = parse_database_url(url.reveal(), base=base or Path.cwd())
        self._search_path = os.environ.get("PATH", os.defpath) if search_path is None else search_path

    def info(self) -> EngineInfo:
        """The server's own version. Raises: EngineUnreachable, DatabaseRefused."""
        if isinstance(self._endpoint, SqliteEndpoint):
            return EngineInfo("url", str(self._endpoint), f"SQLite {sqlite3.sqlite_version}")
        with connect(self._endpoint) as connection:
            return EngineInfo("url", str(self._endpoint), f"PostgreSQL {_version(connection.info.server_version)}")

    def left_out(self, stack: Stack) -> Mapping[str, str]:
        """All services."""
        return dict.fromkeys(stack.services, "the url engine runs no services")

    def observe(self, stack: Stack) -> StackState:
        """Refused."""
        _refuse(f"looking at the services of {stack.project}")

    def status(self, stack: Stack, service: str) -> ServiceStatus:
        """Refused."""
        _refuse(f"looking at {service} of {stack.project}")

    def preflight(self, steps: Sequence[Step], stack: Stack) -> None:
        """Refused."""
        _refuse(f"{len(steps)} steps for the services of {stack.project}")

    def apply(self, step: Step, stack: Stack, report: Reporter) -> None:
        """Refused."""
        del report
        _refuse(f"{step.action} {step.subject} of {stack.project}")

    def logs(
        self,
        stack: Stack,
        services: Sequence[str],
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> Iterator[LogLine]:
        """Refused."""
        del services, follow, tail, since
        _refuse(f"reading the logs of {stack.project}")

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
        """Refused."""
        del stack, argv, stdin, stdout, stderr, environment, user, interactive
        _refuse(f"running a program in {service}")

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
        """Refused."""
        del stack, argv, stdin, stdout, stderr, environment
        _refuse(f"running a program of {service.name}")

    def build(self, stack: Stack, services: Sequence[str], *, no_cache: bool, report: Reporter) -> Mapping[str, str]:
        """Refused."""
        del services, no_cache, report
        _refuse(f"building images of {stack.project}")

    def pull(self, stack: Stack, services: Sequence[str], *, report: Reporter) -> Mapping[str, str]:
        """Refused."""
        del services, report
        _refuse(f"pulling images of {stack.project}")

    def database_endpoint(self, stack: Stack, service: str) -> Endpoint:
        """What the URL names, whatever the stack calls its database."""
        del stack, service
        return self._endpoint

    def tools(self, stack: Stack, service: str) -> ToolRunner:
        """Installed programs of the server's major, else the wheel's; looked for when the first one is to run.

        Most tasks run none, so a machine without them can do those. Running one raises ConfigurationError (none of
        that major) and EngineUnreachable.

        Raises: Refused (SQLite has no such programs).
        """
        del stack, service
        endpoint = self._endpoint
        if isinstance(endpoint, SqliteEndpoint):
            raise Refused("SQLite needs no programs", cause=f"DATABASE_URL names {endpoint}")

        def folder() -> Path:
            with connect(endpoint) as connection:
                major = connection.info.server_version // 10000
            return client_programs(self._search_path, server_major=major).folder

        return LocalTools(folder, endpoint)


def _version(number: int) -> str:
    """Source: libpq, PQserverVersion: major * 10000 + minor."""
    return f"{number // 10000}.{number % 10000}"


def _refuse(what: str) -> NoReturn:
    raise Refused(
        f"{what} is not possible with OPS_ENGINE=url",
        cause="the database that DATABASE_URL names is run by somebody else, and so are the services around it",
        hint="unset OPS_ENGINE to work with the compose file's services",
    )
