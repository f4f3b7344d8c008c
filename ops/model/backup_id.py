"""What is a backup called, and what are its files called?

An id is the UTC second in which the backup began, `20260131T020000Z`, so ids sort as time does. Ids are unique within
a stack: a second backup in the same second gets the next free second.
"""

from __future__ import annotations

import re
from collections.abc import Container
from datetime import UTC, datetime, timedelta
from typing import Final

from ops.errors import BackupNotFound
from ops.model.manifest import ArchiveFormat

_FORM: Final = "%Y%m%dT%H%M%SZ"
_SHAPE: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SUFFIX: Final[dict[ArchiveFormat, str]] = {"custom": ".dump", "sqlite": ".sqlite"}

ARCHIVE_SUFFIXES: Final = frozenset(_SUFFIX.values())


def new_id(now: datetime, taken: Container[str] = ()) -> str:
    """The id for a backup that begins at `now` (aware); the first free second from there on."""
    at = now.astimezone(UTC)
    while (found := at.strftime(_FORM)) in taken:
        at += timedelta(seconds=1)
    return found


def is_id(text: str) -> bool:
    """Whether `text` is an id: shape and calendar."""
    return _SHAPE.fullmatch(text) is not None and _parsed(text) is not None


def time_of(backup_id: str) -> datetime:
    """The second that an id names, aware UTC.

    Raises: BackupNotFound, because nothing can be called so.
    """
    at = _parsed(backup_id) if _SHAPE.fullmatch(backup_id) else None
    if at is None:
        raise BackupNotFound(
            f"{backup_id!r} is no backup id", cause="ids look like 20260131T020000Z", hint="inv backups"
        )
    return at


def archive_name(backup_id: str, format: ArchiveFormat) -> str:
    """The archive's file name: `<id>.dump`, or `<id>.sqlite`."""
    return f"{backup_id}{_SUFFIX[format]}"


def manifest_name(backup_id: str) -> str:
    """The manifest's file name beside the archive."""
    return f"{backup_id}.json"


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
