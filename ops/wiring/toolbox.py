"""Which tools does one run of a task work with, and when is each of them built?

Each property builds its tool at the first use, so that `inv ps` never imports a database driver.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ops.adapters.engine_record import EngineRecordFile
from ops.adapters.system_clock import SystemClock
from ops.config import Project, Settings, read_project, read_settings
from ops.errors import EngineUnreachable, Refused, UnknownService
from ops.model.engine_choice import EngineChoice, EngineRecord, check_identity, choose_engine
from ops.output import ConsoleReporter, address_commands
from ops.wiring.engines import build_engine
from ops.wiring.masked_log import open_log
from ops.wiring.project_files import project_root, read_env_file

if TYPE_CHECKING:
    from ops.adapters.file_lock import StackLock
    from ops.adapters.journal_file import JournalFile
    from ops.model.compose.project import Stack
    from ops.model.database import DatabaseKind
    from ops.model.endpoint import Endpoint
    from ops.model.engine import EngineName
    from ops.model.manifest import Environment
    from ops.ports import Archives, Database, Engine, Migrator, ToolRunner


@contextlib.contextmanager
def open_toolbox(
    *,
    is_production: bool = False,
    profiles: Sequence[str] = (),
    services: Sequence[str] = (),
    is_strict: bool = False,
) -> Iterator[Toolbox]:
    """Read the settings of this run and give its tools.

    Args:
        is_production: the production stack.
        profiles: profiles of the compose file to switch on.
        services: services to switch on although their profile is off.
        is_strict: unset variables and missing host files are errors: for tasks that start or change something.

    Raises: ConfigurationError.
    """
    # Whatever the umask was: folders on the way to our files are nobody else's to write in.
    os.umask(os.umask(0o077) | 0o022)
    root = project_root(Path.cwd())
    project = read_project(root)
    wants_production = is_production or os.environ.get("OPS_ENV") == "production"
    env_file = project.env_file_production if wants_production else project.env_file
    variables = {**read_env_file(env_file, os.environ), **os.environ}
    settings = read_settings(variables, root=root, is_production=wants_production)
    is_by_url = settings.engine == "url" and not {"OPS_ENGINE", "DATABASE_URL"}.isdisjoint(os.environ)
    # Not where the env file says OPS_ENV: the next command reads it too, and --prod would read another file.
    address_commands(is_production=wants_production, is_by_url=is_by_url)
    yield Toolbox(project, settings, env_file, tuple(profiles), tuple(services), is_strict=is_strict)


def _stack_without_a_file(project: Project, variables: Mapping[str, str]) -> Stack:
    from ops.model.compose.project import Stack

    return Stack(variables.get("COMPOSE_PROJECT_NAME") or project.root.name.lower(), project.root, (), {})


class Toolbox:
    """The tools of one run."""

    def __init__(
        self,
        project: Project,
        settings: Settings,
        env_file: Path,
        profiles: tuple[str, ...],
        services: tuple[str, ...],
        *,
        is_strict: bool,
    ) -> None:
        self.project = project
        self.settings = settings
        self.clock = SystemClock()
        self.log = open_log(settings.variables)
        self.report = ConsoleReporter(self.log)
        self._env_file = env_file
        self._profiles = profiles
        self._services = services
        self._is_strict = is_strict

    @property
    def who(self) -> str:
        """Who we are, `user@host`: for locks and proofs."""
        return f"{getpass.getuser()}@{socket.gethostname()}"

    @property
    def by(self) -> str:
        """Who we are and in which process, `user@host pid`: a run without an end in the journal may yet live."""
        return f"{self.who} {os.getpid()}"

    @property
    def environment(self) -> Environment:
        """Which of the stack's environments a backup is of."""
        return "production" if self.settings.is_production else "development"

    @cached_property
    def stack(self) -> Stack:
        """The compose file of this run, resolved. Raises: ConfigurationError."""
        from ops.adapters.compose_files import passed_over, read_stack

        settings = self.settings
        file = self.project.compose_file_production if settings.is_production else self.project.compose_file
        if settings.engine == "url" and not file.exists():
            return _stack_without_a_file(self.project, settings.variables)
        for sentence in passed_over(file, settings.variables) if self._is_strict else ():
            self.report.warn(sentence)
        return read_stack(
            [file],
            working_dir=file.parent,
            environment=os.environ,
            env_file=self._env_file if self._env_file.is_file() else Path(os.devnull),
            profiles=self._profiles,
            services=self._services,
            is_strict=self._is_strict,
        )

    def again(self, *, profiles: tuple[str, ...] | None = None) -> Toolbox:
        """The same tools, none of them built yet: for a process of its own, or with other profiles switched on."""
        switched_on = self._profiles if profiles is None else profiles
        return Toolbox(
            self.project, self.settings, self._env_file, switched_on, self._services, is_strict=self._is_strict
        )

    @property
    def named_services(self) -> tuple[str, ...]:
        """The services that the person named; none means all."""
        return self._services

    @property
    def live_name(self) -> str:
        """The live database's name."""
        from ops.model.endpoint import SqliteEndpoint

        endpoint = self.endpoint
        return endpoint.path.name if isinstance(endpoint, SqliteEndpoint) else endpoint.database

    @cached_property
    def named_endpoint(self) -> Endpoint | None:
        """The live database as DATABASE_URL names it; None where an engine has it. Raises: ConfigurationError."""
        from ops.model.database_url import parse_database_url

        if self.engine_choice.engine != "url" or not self.settings.database_url:
            return None
        return parse_database_url(self.settings.database_url.reveal(), base=self.project.root)

    @property
    def database_kind(self) -> DatabaseKind:
        """What kind of database the live one is, by the settings: nothing needs to answer."""
        from ops.model.endpoint import SqliteEndpoint

        return "sqlite" if isinstance(self.named_endpoint, SqliteEndpoint) else "postgresql"

    @cached_property
    def stack_name(self) -> str:
        """The project's name; for a database that somebody else runs too."""
        return self.stack.project

    @cached_property
    def state_folder(self) -> Path:
        """Where this stack's engine, locks and journal are remembered."""
        return self.settings.state_dir / self.stack_name

    @cached_property
    def engine_record(self) -> EngineRecordFile:
        """The record of the engine this stack runs on."""
        return EngineRecordFile(self.state_folder)

    @cached_property
    def engine_choice(self) -> EngineChoice:
        """Which engine, and why."""
        return choose_engine(
            self.settings.engine,  # type: ignore[arg-type]  # read_settings checked the word
            self.engine_record.read(),
            is_production=self.settings.is_production,
            does_docker_answer=self._does_docker_answer,
        )

    @cached_property
    def engine(self) -> Engine:
        """The engine of this stack. Raises: EngineUnreachable where it is another one than recorded."""
        engine = self._build_engine(self.engine_choice.engine)
        recorded = self.engine_record.read()
        if recorded is not None and self.engine_choice.engine == recorded.engine:
            check_identity(engine.info(), recorded)
        return engine

    def _build_engine(self, name: EngineName) -> Engine:
        return build_engine(name, self.settings, self.project, self.state_folder)

    def _does_docker_answer(self) -> bool:
        try:
            self._build_engine("docker").info()
        except EngineUnreachable:
            return False
        return True

    def record_engine(self) -> None:
        """Write down the engine at the first `up`; later calls change nothing."""
        if self.engine_record.read() is None and self.engine_choice.engine != "url":
            info = self.engine.info()
            self.engine_record.write(EngineRecord(info.name, info.endpoint, info.identity, self.clock.now()))

    @cached_property
    def endpoint(self) -> Endpoint:
        """The live database as this process reaches it. Raises: UnknownService, EngineUnreachable."""
        from ops.model.endpoint import PostgresEndpoint

        found = self.engine.database_endpoint(self.stack, self.project.database_service)
        if isinstance(found, PostgresEndpoint):
            return replace(found, silence_s=self.settings.load_idle_timeout_s)
        return found

    @cached_property
    def tools(self) -> ToolRunner:
        """PostgreSQL's programs next to the database."""
        return self.engine.tools(self.stack, self.project.database_service)

    @cached_property
    def database(self) -> Database:
        """The live database."""
        from ops.model.endpoint import SqliteEndpoint

        endpoint = self.endpoint
        if isinstance(endpoint, SqliteEndpoint):
            from ops.adapters.sqlite.database import SqliteDatabase

            return SqliteDatabase(endpoint, clock=self.clock, by=self.who)
        from ops.adapters.postgres.database import PostgresDatabase

        return PostgresDatabase(endpoint, self.tools, stack=self.stack_name, clock=self.clock)

    @cached_property
    def archives(self) -> Archives:
        """The catalog of this stack."""
        from ops.adapters.archive_folder import ArchiveFolder

        return ArchiveFolder(self.settings.backup_dir, self.stack_name)

    @cached_property
    def journal(self) -> JournalFile:
        """The journal of changes of this stack."""
        from ops.adapters.journal_file import JournalFile

        return JournalFile(self.state_folder / "changes.jsonl")

    @cached_property
    def lock(self) -> StackLock:
        """The lock of this stack."""
        from ops.adapters.file_lock import StackLock

        return StackLock(self.state_folder, self.who, self.clock)

    @cached_property
    def migrator(self) -> Migrator:
        """The schema history: from the tree in development, from the deployed image in production."""
        from ops.wiring.migrator import build_migrator

        return build_migrator(self)

    def known_services(self, names: Sequence[str]) -> tuple[str, ...]:
        """The named services, all of them where none is named. Raises: UnknownService."""
        for name in names:
            if name not in self.stack.services:
                raise UnknownService(
                    f"the stack {self.stack_name} has no service {name}",
                    cause=f"it has {', '.join(self.stack.services)}",
                    hint="inv ps",
                )
        return tuple(names) or tuple(self.stack.services)

    def confirm(self, question: str, *, is_confirmed: bool, expected: str = "yes") -> None:
        """Ask before something is destroyed.

        Raises: Refused (14) where the answer is not the expected word, or nobody is there to answer.
        """
        if is_confirmed:
            return
        if not sys.stdin.isatty():
            raise Refused(
                "nobody is there to confirm", cause=question, hint="look at --dry-run, then run it again with --yes"
            )
        sys.stderr.write(f"{question}\ntype {expected!r} to go on: ")
        sys.stderr.flush()
        if sys.stdin.readline().strip() != expected:
            raise Refused("not confirmed", cause="the answer was not the expected word", hint="nothing was changed")
