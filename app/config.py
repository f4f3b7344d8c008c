"""Which settings does the application have, and what are they when nobody sets them?

The environment is read here and nowhere else, once, into a frozen value. All names are listed in docs/app.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

DEFAULT_DATABASE_URL = "sqlite:///./comic_pile.db"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set from outside; the defaults suit a developer with a SQLite file."""

    database_url: str = DEFAULT_DATABASE_URL
    environment: str = "development"
    log_level: str = "info"
    cors_origins: tuple[str, ...] = ()
    pool_size: int = 5
    """Connections that a process keeps open."""
    max_overflow: int = 10
    """Further connections under load; together they bound what a process may hold."""
    pool_pre_ping: bool = True
    """Ask a pooled connection for a sign of life before use: survives a restart of the database."""
    pool_recycle_s: int = 1800
    """Replace a connection of this age; -1 keeps it for ever."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings; an empty variable counts as unset.

        Raises: ValueError, naming the variable, for a value that is no number or no yes/no.
        """
        env = {name: value for name, value in (os.environ if environ is None else environ).items() if value.strip()}
        return cls(
            database_url=database_url(env),
            environment=env.get("ENVIRONMENT", "development"),
            log_level=env.get("LOG_LEVEL", "info").lower(),
            cors_origins=tuple(origin.strip() for origin in env.get("CORS_ORIGINS", "").split(",") if origin.strip()),
            pool_size=_number(env, "DB_POOL_SIZE", 5, minimum=1),
            max_overflow=_number(env, "DB_MAX_OVERFLOW", 10, minimum=0),
            pool_pre_ping=_yes_or_no(env, "DB_POOL_PRE_PING", default=True),
            pool_recycle_s=_number(env, "DB_POOL_RECYCLE_S", 1800, minimum=-1),
        )


def database_url(environ: Mapping[str, str] | None = None) -> str:
    """DATABASE_URL, else the SQLite file `comic_pile.db` in the working directory; Alembic asks here too."""
    return (os.environ if environ is None else environ).get("DATABASE_URL", "").strip() or DEFAULT_DATABASE_URL


def _number(env: Mapping[str, str], name: str, default: int, *, minimum: int) -> int:
    text = env.get(name, str(default)).strip()
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"{name} must be a whole number, not {text!r}") from None
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, not {value}")
    return value


def _yes_or_no(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = env.get(name, str(default)).strip().lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(f"{name} must be true or false, not {text!r}")
    return text in _TRUE
