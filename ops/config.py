"""Which settings are there, and what are they for this run?

Two sources, each read once: the environment (with the project's `.env` beneath it) into `Settings`, and
`[tool.ops]` of pyproject.toml into `Project`. Everything below `wiring` takes plain values.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import ConfigurationError
from ops.model.secret import Secret

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its name, default as text, what it means."""

    name: str
    default: str
    meaning: str
    choices: tuple[str, ...] = ()
    is_secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("OPS_ENGINE", "auto", "where services run", choices=("auto", "docker", "embedded", "url")),
    Setting("OPS_ENV", "development", "which stack: the same as `--prod`", choices=("development", "production")),
    Setting("OPS_STATE_DIR", ".ops", "folder of recorded engines, locks, journals and the embedded engine's data"),
    Setting("OPS_REQUIRE_DOCKER", "0", "1: tests that need Docker or a browser fail instead of being skipped"),
    Setting("OPS_LOG_FORMAT", "auto", "text, json, or auto: text on a terminal", choices=("auto", "text", "json")),
    Setting("OPS_WAIT_TIMEOUT_S", "180", "seconds that `up` waits until services are ready"),
    Setting("OPS_DUMP_IDLE_TIMEOUT_S", "300", "seconds without a byte, or any answer, after which a dump is ended"),
    Setting("OPS_DUMP_LOCK_WAIT_S", "60", "seconds a dump waits for a table lock before it gives up"),
    Setting(
        "OPS_LOAD_IDLE_TIMEOUT_S",
        "300",
        "seconds without progress after which a load, or without any answer a wait for the server, is ended",
    ),
    Setting("OPS_STATUS_PORT", "9187", "loopback port of the scheduler's health, metrics and status page; 0: none"),
    Setting("OPS_STATUS_HOST", "127.0.0.1", "address of the scheduler's status port; 0.0.0.0 only inside a container"),
    Setting("OPS_NOTIFY_URLS", "", "Apprise URLs for failures, recoveries and the daily summary", is_secret=True),
    Setting(
        "OPS_PING_URL", "", "dead man's switch: base URL to which start, success and fail are sent", is_secret=True
    ),
    Setting("BACKUP_DIR", "backups", "folder of the catalog; each stack has a folder of its own in it"),
    Setting(
        "OPS_BACKUP_RECIPIENTS", "", "age public keys that backups are encrypted to; `none`: plain backups are wanted"
    ),
    Setting(
        "OPS_BACKUP_PASSPHRASE_FILE", "", "file with the passphrase to encrypt backups under, instead of public keys"
    ),
    Setting("OPS_BACKUP_IDENTITY_FILE", "", "file of age secret keys, for restore, verify and drills"),
    Setting("DATABASE_URL", "", "the application's database, and the target of OPS_ENGINE=url", is_secret=True),
    Setting("APP_PORT", "8000", "port of the application on 127.0.0.1 in development"),
    Setting("DB_PORT", "", "port of the database on 127.0.0.1 in development (5432; embedded: the next free one)"),
    Setting("POSTGRES_USER", "comicpile", "the database's superuser in development"),
    Setting(
        "POSTGRES_PASSWORD", "comicpile_password", "its password in development, never in production", is_secret=True
    ),
    Setting("POSTGRES_DB", "comicpile", "the database in development"),
    Setting("PYTHON_IMAGE", "python:3.13-slim", "base image of the application"),
    Setting("POSTGRES_IMAGE", "postgres:17", "image of the database"),
    Setting("POSTGRES_VOLUME", "postgres_data", "volume with the database's data; another major needs another one"),
    Setting("NGINX_IMAGE", "nginx:alpine", "image of the proxy"),
    Setting("COMPOSE_PROJECT_NAME", "", "name of the stack instead of the compose file's `name`"),
)
"""Every setting; docs/configuration.md is generated from this table."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment of this run, read once."""

    engine: str
    environment: str
    state_dir: Path
    log_format: str
    wait_timeout_s: float
    dump_idle_timeout_s: float
    dump_lock_wait_s: float
    load_idle_timeout_s: float
    status_port: int
    status_host: str
    notify_urls: tuple[Secret, ...]
    ping_url: Secret
    backup_dir: Path
    backup_recipients: str
    backup_passphrase_file: str
    backup_identity_file: str
    database_url: Secret
    app_port: int
    db_port: int | None
    variables: Mapping[str, str]
    """Everything, for the compose file's interpolation: the process environment over the env file."""

    @property
    def is_production(self) -> bool:
        """Whether this run is about the production stack."""
        return self.environment == "production"


@dataclass(frozen=True, slots=True)
class Project:
    """`[tool.ops]` of pyproject.toml: what the runner is told of this repository."""

    root: Path
    compose_file: Path
    compose_file_production: Path
    env_file: Path
    env_file_production: Path
    database_service: str
    app_service: str
    app_health_path: str
    alembic_config: Path
    seed_command: tuple[str, ...]
    embedded_app_command: tuple[str, ...]
    retention: Mapping[str, Any]
    schedule: Mapping[str, Any]
    offsite: Mapping[str, Any]
    certificates: Mapping[str, Any]


PROJECT_KEYS: Mapping[str, tuple[Any, str]] = {
    "compose-file": ("docker-compose.yml", "the development stack"),
    "compose-file-production": ("docker-compose.prod.yml", "the production stack, with a project name of its own"),
    "env-file": (".env", "variables of the development stack"),
    "env-file-production": (".env.production", "variables of the production stack"),
    "database-service": ("db", "the service that is the database"),
    "app-service": ("app", "the service that is the application"),
    "app-health-path": ("/health", "where the application answers that it lives"),
    "alembic-config": ("alembic.ini", "the schema history's configuration"),
    "seed-command": ([], "what `inv seed` runs in the application's environment"),
    "embedded.app-command": ([], "how the embedded engine starts the application; `{port}` is filled in"),
}
"""Every key of `[tool.ops]` beside the tables of `TABLES` -> (default, meaning)."""
TABLES = frozenset({"retention", "schedule", "offsite", "certificates"})
"""Tables of `[tool.ops]` that are read where they are used."""


def _number(name: str, text: str, kind: Callable[[str], Any], least: float) -> Any:
    try:
        value = kind(text)
    except ValueError as exc:
        raise ConfigurationError(
            f"{name} is {text!r}", cause="not a number", hint=f"unset {name}, or give it a number"
        ) from exc
    if value < least:
        raise ConfigurationError(f"{name} is {text!r}", cause=f"less than {least}", hint=f"unset {name}")
    return value


def _checked(setting: Setting, variables: Mapping[str, str]) -> str:
    text = variables.get(setting.name, "") or setting.default
    if setting.choices and text not in setting.choices:
        raise ConfigurationError(
            f"{setting.name} is {text!r}",
            cause=f"it must be one of {', '.join(setting.choices)}",
            hint=f"export {setting.name}={setting.choices[0]}",
        )
    return text


def read_settings(variables: Mapping[str, str], *, root: Path, is_production: bool = False) -> Settings:
    """Turn the variables of a run into settings.

    Args:
        variables: the process environment, over the env file's variables.
        root: folder of the project; relative folders are beneath it.
        is_production: `--prod` was given.

    Raises: ConfigurationError for a word or number that a setting does not take.
    """
    text = {setting.name: _checked(setting, variables) for setting in SETTINGS}
    return Settings(
        engine=text["OPS_ENGINE"],
        environment="production" if is_production else text["OPS_ENV"],
        state_dir=root / text["OPS_STATE_DIR"],
        log_format=text["OPS_LOG_FORMAT"],
        wait_timeout_s=_number("OPS_WAIT_TIMEOUT_S", text["OPS_WAIT_TIMEOUT_S"], float, 0),
        dump_idle_timeout_s=_number("OPS_DUMP_IDLE_TIMEOUT_S", text["OPS_DUMP_IDLE_TIMEOUT_S"], float, 1),
        dump_lock_wait_s=_number("OPS_DUMP_LOCK_WAIT_S", text["OPS_DUMP_LOCK_WAIT_S"], float, 1),
        load_idle_timeout_s=_number("OPS_LOAD_IDLE_TIMEOUT_S", text["OPS_LOAD_IDLE_TIMEOUT_S"], float, 1),
        status_port=_number("OPS_STATUS_PORT", text["OPS_STATUS_PORT"], int, 0),
        status_host=text["OPS_STATUS_HOST"],
        notify_urls=tuple(Secret(url) for url in text["OPS_NOTIFY_URLS"].split()),
        ping_url=Secret(text["OPS_PING_URL"]),
        backup_dir=root / text["BACKUP_DIR"],
        backup_recipients=text["OPS_BACKUP_RECIPIENTS"],
        backup_passphrase_file=text["OPS_BACKUP_PASSPHRASE_FILE"],
        backup_identity_file=text["OPS_BACKUP_IDENTITY_FILE"],
        database_url=Secret(text["DATABASE_URL"]),
        app_port=_number("APP_PORT", text["APP_PORT"], int, 1),
        db_port=_number("DB_PORT", text["DB_PORT"], int, 1) if text["DB_PORT"] else None,
        variables=variables,
    )


def read_project(root: Path) -> Project:
    """Read `[tool.ops]` of `root/pyproject.toml`; without the table every key has its default.

    Raises: ConfigurationError for an unreadable file or an unknown key, by its path.
    """
    table = _ops_table(root / "pyproject.toml")
    values = {name: _value(table, name, default) for name, (default, _) in PROJECT_KEYS.items()}
    return Project(
        root=root,
        compose_file=root / values["compose-file"],
        compose_file_production=root / values["compose-file-production"],
        env_file=root / values["env-file"],
        env_file_production=root / values["env-file-production"],
        database_service=values["database-service"],
        app_service=values["app-service"],
        app_health_path=values["app-health-path"],
        alembic_config=root / values["alembic-config"],
        seed_command=tuple(values["seed-command"]),
        embedded_app_command=tuple(values["embedded.app-command"]),
        retention=table.get("retention", {}),
        schedule=table.get("schedule", {}),
        offsite=table.get("offsite", {}),
        certificates=table.get("certificates", {}),
    )


def _ops_table(path: Path) -> Mapping[str, Any]:
    try:
        document = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path.name} cannot be read", cause=str(exc), hint=f"mend {path}") from exc
    table: Mapping[str, Any] = document.get("tool", {}).get("ops", {})
    known = {name.partition(".")[0] for name in PROJECT_KEYS} | TABLES
    for key in table:
        if key not in known:
            raise ConfigurationError(
                f"unknown key tool.ops.{key} in {path.name}",
                cause="it is not one of the runner's settings",
                hint="docs/configuration.md lists them all",
            )
    return table


def _value(table: Mapping[str, Any], name: str, default: Any) -> Any:
    node: Any = table
    for part in name.split("."):
        node = node.get(part, default) if isinstance(node, Mapping) else default
    if not isinstance(node, type(default)):
        raise ConfigurationError(
            f"tool.ops.{name} is {node!r}",
            cause=f"it must be a {type(default).__name__}",
            hint="docs/configuration.md says what it takes",
        )
    return node
