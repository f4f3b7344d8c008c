"""How is the application started here: with which command, which environment, which DATABASE_URL?"""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.adapters.embedded.as_user import command
from ops.adapters.embedded.service_process import Launch
from ops.errors import ConfigurationError
from ops.model.compose.project import Service
from ops.model.database_url import build_database_url, host_of_database_url, move_database_url
from ops.model.endpoint import PostgresEndpoint

DEFAULT_GRACE_S = 10.0
_FROM_THE_HOST = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV", "TERM")


def search_path(host: Mapping[str, str]) -> str:
    """PATH with the programs of our own environment first, so that `python` and `alembic` are the project's."""
    return f"{Path(sys.executable).parent}:{host.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"


def service_environment(
    service: Service, database: PostgresEndpoint | None, *, database_service: str
) -> dict[str, str]:
    """The compose service's variables, with the addresses that hold here.

    A DATABASE_URL that names the database service (or none at all) is pointed at `database`; one that names another
    host is the compose file's business and stays.
    """
    environment = {**service.environment, "PYTHONUNBUFFERED": "1"}
    if database is None:
        return environment
    url = environment.get("DATABASE_URL", "")
    if not url:
        environment["DATABASE_URL"] = build_database_url(database).reveal()
    elif host_of_database_url(url) == database_service:
        environment["DATABASE_URL"] = move_database_url(url, host=database.host, port=database.port).reveal()
    return environment


def host_environment(host: Mapping[str, str]) -> dict[str, str]:
    """What a process needs of this machine's environment; nothing else of it reaches a service."""
    return {"PATH": search_path(host), **{name: host[name] for name in _FROM_THE_HOST if name in host}}


def filled(app_command: Sequence[str], *, port: int, path: str) -> tuple[str, ...]:
    """The configured command with `{port}` filled in and its program found on `path`.

    Raises: ConfigurationError (no command, or no such program).
    """
    if not app_command:
        raise ConfigurationError(
            "the embedded engine does not know how to start the application",
            hint="set app-command under [tool.ops.embedded] in pyproject.toml",
        )
    words = [word.replace("{port}", str(port)) for word in app_command]
    program = shutil.which(words[0], path=path)
    if program is None:
        raise ConfigurationError(
            f"no program {words[0]!r} to start the application with",
            cause="it is neither in our own environment nor on PATH",
            hint="see app-command under [tool.ops.embedded] in pyproject.toml",
        )
    return (program, *words[1:])


def application_launch(
    service: Service, argv: tuple[str, ...], environment: Mapping[str, str], *, cwd: Path, facts: Mapping[str, Any]
) -> Launch:
    """What a keeper starts for the application."""
    stop = signal.Signals.__members__.get(service.stop_signal or "", signal.SIGTERM)
    return Launch(
        argv=(*command(None, None, death_signal=stop), *argv),
        environment=environment,
        cwd=str(cwd),
        facts=facts,
        stop_signal=stop,
        last_signal=signal.SIGKILL,
        grace_s=service.stop_grace_period_s if service.stop_grace_period_s is not None else DEFAULT_GRACE_S,
    )
