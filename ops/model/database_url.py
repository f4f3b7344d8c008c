"""Which database does a `DATABASE_URL` name, and how is one written?

SQLAlchemy's form: `postgresql+psycopg://user:password@host:port/database?option=value` and `sqlite:///file`, with
user, password and database percent-encoded. Errors never repeat the URL, because it holds a password.

Source: SQLAlchemy 2.0, "Database URLs" and "SQLite, URI Connections"; libpq, "Connection URIs".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ops.errors import ConfigurationError
from ops.model.endpoint import Endpoint, PostgresEndpoint, SqliteEndpoint
from ops.model.secret import Secret

DEFAULT_PORT = 5432
_EXAMPLE = "write postgresql+psycopg://user:password@host:5432/database, or sqlite:///FILE"


def parse_database_url(url: str, *, base: Path) -> Endpoint:
    """Read a URL.

    Args:
        url: the text of `DATABASE_URL`.
        base: absolute folder that a relative SQLite path starts at.

    Raises:
        ConfigurationError: not a URL of PostgreSQL or of a SQLite file.
    """
    scheme, separator, rest = url.strip().partition("://")
    dialect = scheme.partition("+")[0].lower()
    if not separator:
        raise ConfigurationError("the database URL has no scheme", hint=_EXAMPLE)
    if dialect == "sqlite":
        return _sqlite(rest, base)
    if dialect in {"postgresql", "postgres"}:
        return _postgres(rest)
    raise ConfigurationError(
        f"the database URL names {dialect!r}, which is neither postgresql nor sqlite", hint=_EXAMPLE
    )


def build_database_url(endpoint: Endpoint, *, driver: str | None = "psycopg") -> Secret:
    """Write the URL of an endpoint; `driver` is SQLAlchemy's name of the PostgreSQL driver (None: no driver)."""
    if isinstance(endpoint, SqliteEndpoint):
        return Secret(f"sqlite:///{endpoint.path}")
    scheme = f"postgresql+{driver}" if driver else "postgresql"
    password = endpoint.password.reveal()
    login = _quoted(endpoint.user) + (f":{_quoted(password)}" if password else "")
    address, options = _address(endpoint.host, endpoint.port), endpoint.options
    if endpoint.host.startswith("/"):
        address, options = f":{endpoint.port}", (("host", endpoint.host), *options)
    return Secret(f"{scheme}://{login}@{address}/{_quoted(endpoint.database)}{_query(options)}")


def move_database_url(url: str, *, host: str, port: int) -> Secret:
    """The same URL with another address: scheme, login, database and options stay as they are written."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    return Secret(parts._replace(netloc=f"{login}{at}{_address(host, port)}").geturl())


def host_of_database_url(url: str) -> str:
    """The host that a URL names, "" without one (SQLite, a socket)."""
    try:
        return urlsplit(url.strip()).hostname or ""
    except ValueError:
        return ""


def _sqlite(rest: str, base: Path) -> SqliteEndpoint:
    path, _, query = rest.removeprefix("/").partition("?")
    if path.startswith("file:") and dict(parse_qsl(query)).get("uri", "") in {"true", "1"}:
        path = re.sub(r"^//[^/]*/", "/", unquote(path.removeprefix("file:")))
    if not rest.startswith("/") or path in {"", ":memory:"}:
        raise ConfigurationError(
            "the database URL names no SQLite file", hint="DATABASE_URL=sqlite:///file.db, or sqlite:////absolute/path"
        )
    return SqliteEndpoint(base / path)


def _postgres(rest: str) -> PostgresEndpoint:
    try:
        parts = urlsplit(f"postgresql://{rest}")
        port = parts.port or DEFAULT_PORT
        host = unquote(parts.hostname or "")
    except ValueError as exc:
        raise ConfigurationError(
            "the database URL cannot be read", cause="its host or port is malformed", hint=_EXAMPLE
        ) from exc
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    user = unquote(parts.username or "") or options.pop("user", "")
    password = unquote(parts.password or "") or options.pop("password", "")
    if not user:
        raise ConfigurationError("the database URL names no user", hint=_EXAMPLE)
    return PostgresEndpoint(
        host=options.pop("host", "") or host or "localhost",
        port=int(options.pop("port", "") or port),
        user=user,
        password=Secret(password),
        database=unquote(parts.path.removeprefix("/")) or options.pop("dbname", "") or user,
        options=tuple(options.items()),
    )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _query(options: Sequence[tuple[str, str]]) -> str:
    return f"?{urlencode(options, quote_via=quote)}" if options else ""
