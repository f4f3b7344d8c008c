"""Where is a database, and as whom do we speak to it?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ops.model.secret import Secret


@dataclass(frozen=True, slots=True)
class PostgresEndpoint:
    """A PostgreSQL database as Python reaches it over TCP (or a Unix socket folder as `host`)."""

    host: str
    port: int
    user: str
    password: Secret
    database: str
    options: tuple[tuple[str, str], ...] = ()
    """Further libpq parameters, such as `sslmode`."""
    silence_s: float = 300.0
    """For how long the server may answer nothing at all before it is given up; a slow answer is waited for."""

    def __str__(self) -> str:
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True, slots=True)
class SqliteEndpoint:
    """A SQLite database file; the path is absolute."""

    path: Path

    def __str__(self) -> str:
        return f"sqlite:///{self.path}"


Endpoint = PostgresEndpoint | SqliteEndpoint
