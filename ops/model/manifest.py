"""What does a manifest say, and which JSON is it?

A manifest is what makes an archive a backup. It holds no secret, is versioned, and any `1.x` manifest stays
readable by every later version. The JSON is described in docs/format.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, NamedTuple

from ops.model.database import DatabaseFacts, TableSummary
from ops.model.secret import MASK

Codec = Literal["none", "gzip", "lz4", "zstd"]
ArchiveFormat = Literal["custom", "sqlite"]
Environment = Literal["development", "production"]
Reason = Literal[
    "manual", "scheduled", "before-migrate", "before-restore", "before-rollback", "before-transfer", "before-deploy"
]

MANIFEST_VERSION = 1

_SECRET_NAME: Final = re.compile(r"secret|passw|token|credential|(^|[._])key", re.IGNORECASE)


class DatabaseIdentity(NamedTuple):
    """Which database a backup is of: backups are kept, compared and counted only among those of the same one.

    The server's system identifier and SQLite's folder are no part of it: a database stays the same one when it moves
    to another server, major or place.
    """

    environment: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.name or 'any database'} ({', '.join(filter(None, (self.kind, self.environment)))})"


@dataclass(frozen=True, slots=True)
class Drill:
    """One restore of the archive into a throwaway server, compared with the manifest."""

    at: datetime
    duration_s: float
    server_version: str
    by: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything known of one backup. Times are aware UTC, sizes bytes, durations seconds."""

    id: str
    """Sortable UTC, `20260131T020000Z`; unique within its stack."""
    stack: str
    environment: Environment
    reason: Reason
    archive: str
    """File name beside the manifest."""
    format: ArchiveFormat
    codec: Codec
    size_bytes: int
    sha256: str
    """Of the file as it lies on disk (encrypted where it is encrypted)."""
    plain_size_bytes: int
    plain_sha256: str
    """Of the archive before encryption; equal to the two above without it."""
    database: DatabaseFacts
    tables: tuple[TableSummary, ...]
    revisions: tuple[str, ...]
    """Alembic's version table in the dump's snapshot; empty where there is none."""
    tool_version: str
    started_at: datetime
    finished_at: datetime
    restore_by_hand: str
    """The shell line that restores it without us."""
    note: str = ""
    encryption: Literal["age"] | None = None
    pinned: bool = False
    pin_note: str = ""
    expires_at: datetime | None = None
    """When the pin of a recovery point ends by itself; None: never, or not pinned."""
    verified_at: datetime | None = None
    drill: Drill | None = None
    suspicious: tuple[str, ...] = ()
    """Why the backup looks wrong beside its predecessor (size or rows collapsed)."""
    acknowledged: bool = False
    offsite: tuple[str, ...] = ()
    """Names of the off-site targets that hold a verified copy."""
    version: int = MANIFEST_VERSION

    @property
    def identity(self) -> DatabaseIdentity:
        """Which database it is of."""
        return DatabaseIdentity(self.environment, self.database.kind, self.database.name)


def is_of(manifest: Manifest, database: DatabaseIdentity | None) -> bool:
    """Whether a backup is one of that database; what is "" of it may be anything, and for None all are."""
    return database is None or all(
        wanted in {"", is_so} for wanted, is_so in zip(database, manifest.identity, strict=True)
    )


def of_database(manifests: Iterable[Manifest], database: DatabaseIdentity | None) -> tuple[Manifest, ...]:
    """The backups of one database, in their order."""
    return tuple(one for one in manifests if is_of(one, database))


def without_secrets(facts: DatabaseFacts) -> DatabaseFacts:
    """The facts with the values of settings that are named like secrets masked.

    Some programs keep theirs there (`ALTER DATABASE x SET app.jwt_secret = ...`); a restore cannot put such a value
    back and says so.
    """
    return replace(
        facts,
        settings=tuple(
            (role, name, MASK if _SECRET_NAME.search(name) else value) for role, name, value in facts.settings
        ),
    )
