"""What do we know of a database's contents and of what surrounds them?

`DatabaseFacts` is what a manifest records and a preflight compares; `TableSummary` is one table's
count and order-independent content checksum, taken in one snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

_EMPTY: Mapping[str, Any] = MappingProxyType({})

DatabaseKind = Literal["postgresql", "sqlite"]


@dataclass(frozen=True, slots=True)
class TableSummary:
    """One table at one moment.

    `name` is schema-qualified and unquoted (`public.users`; plain `users` on SQLite). `checksum` is hex,
    independent of row order, equal for equal contents on every server major we support.
    """

    name: str
    row_count: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Role:
    """A role by name and attributes; never its password."""

    name: str
    attributes: tuple[str, ...] = ()
    """Upper-case words as `CREATE ROLE` takes them, such as `LOGIN`, `SUPERUSER`."""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """A database and its surroundings, without its rows.

    `settings` are `(role or "", name, value)` from `ALTER DATABASE ... SET` and `ALTER ROLE ... IN DATABASE`;
    `grants` is the database's ACL in PostgreSQL's own text form. Empty where SQLite has no such thing.
    """

    kind: DatabaseKind
    name: str
    server_version: str
    """`17.11` or SQLite's `3.40.1`."""
    server_major: int
    system_identifier: str
    """PostgreSQL's system identifier as text; for SQLite the absolute path."""
    size_bytes: int
    encoding: str = "UTF8"
    locale_provider: str = ""
    collate: str = ""
    ctype: str = ""
    locale: str = ""
    owner: str = ""
    connection_limit: int = -1
    extensions: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    settings: tuple[tuple[str, str, str], ...] = ()
    grants: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerOffers:
    """What a server and the tools beside it can take; for SQLite only the version."""

    kind: DatabaseKind
    server_version: str
    server_major: int
    extensions: frozenset[str] = frozenset()
    """Extensions that could be installed, installed or not."""
    codecs: frozenset[str] = frozenset({"none", "gzip"})
    is_superuser: bool = True


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a foreign file holds, found by reading all of it."""

    plain_size_bytes: int
    """Without compression around it."""
    refusals: tuple[str, ...] = ()
    """Why it must not be loaded: shell commands, programs, other databases; one sentence each."""
    warnings: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    """Extensions that it wants."""
    server_version: str = ""
    """Of the server that it was dumped from, where it says so."""


CopyRole = Literal["scratch", "recovery-point", "kept"]


@dataclass(frozen=True, slots=True)
class DatabaseCopy:
    """A database beside the live one that we made: a scratch copy, a recovery point, or one kept for a look.

    Its description lives in the server (as the database's comment) so that it survives the loss of our files.
    """

    name: str
    role: CopyRole
    live: str
    """The live database it belongs to."""
    change: str
    """The change that made it: `restore`, `transfer`, `migrate`, `rollback`, `drill`."""
    change_id: str
    created_at: datetime
    expires_at: datetime | None = None
    size_bytes: int = 0
