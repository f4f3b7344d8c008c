"""Which files beside the live SQLite file did we make, and what is each of them for?

A copy lies in the live file's folder, and a JSON file `<copy>.ops.json` says what it is; a file without one is never
touched. The recovery point of a swap exists before the live file changes. A kill between the two leaves a *pending*
one: if it holds what the live file holds, the swap did not happen and it counts as scratch; if not, it is kept.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ops.adapters.durable_files import flush_folder, replace_text
from ops.adapters.sqlite.fingerprint import table_summaries
from ops.adapters.sqlite.sessions import opened
from ops.errors import Refused
from ops.model.database import DatabaseCopy

MARK = "ops-runner"
_DESCRIPTION = ".ops.json"
_SCHEMA = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
_BESIDE = ("", "-wal", "-shm", "-journal", ".partial", ".partial-journal", ".partial-wal", ".partial-shm")


def path_of(live: Path, name: str) -> Path:
    """Where a copy lies. Raises: Refused, for anything but a plain file name beside the live one."""
    if Path(name).name != name or name in {"", ".", "..", live.name}:
        raise Refused(f"{name!r} cannot name a copy of {live.name}", hint="inv check")
    return live.with_name(name)


def describe(live: Path, copy: DatabaseCopy, *, is_pending: bool = False) -> None:
    """Write what a copy is, replacing what was said before."""
    values: dict[str, Any] = {
        "made_by": MARK,
        "role": copy.role,
        "live": copy.live,
        "change": copy.change,
        "change_id": copy.change_id,
        "created_at": copy.created_at.isoformat(),
        "expires_at": copy.expires_at.isoformat() if copy.expires_at else None,
        "is_pending": is_pending,
    }
    path = path_of(live, copy.name)
    replace_text(path.with_name(path.name + _DESCRIPTION), json.dumps(values, indent=2) + "\n")


def list_copies(live: Path) -> tuple[DatabaseCopy, ...]:
    """Our copies of the live file, oldest first."""
    found = [
        copy
        for path in sorted(live.parent.glob(f"*{_DESCRIPTION}"))
        if (copy := _read(live, path)) is not None and copy.live == live.name
    ]
    return tuple(sorted(found, key=lambda copy: (copy.created_at, copy.name)))


def drop(live: Path, name: str) -> None:
    """Remove a copy, its description last; an absent one is fine. Raises: Refused, for a file that is not ours."""
    path = path_of(live, name)
    description = path.with_name(path.name + _DESCRIPTION)
    if not description.exists():
        if path.exists():
            raise Refused(
                f"{path} is not dropped: it carries no description of ours", hint="look at it, then remove it by hand"
            )
        return
    if all(copy.name != name for copy in list_copies(live)):
        raise Refused(f"{path} is not dropped: its description is not ours", hint=f"cat {description}")
    for ending in _BESIDE:
        path.with_name(path.name + ending).unlink(missing_ok=True)
    flush_folder(live.parent)
    description.unlink(missing_ok=True)
    flush_folder(live.parent)


def _read(live: Path, description: Path) -> DatabaseCopy | None:
    """What a description says; None where it is not ours."""
    path = description.with_name(description.name.removesuffix(_DESCRIPTION))
    try:
        values = json.loads(description.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.get("made_by") != MARK:
            return None
        expires_at = values.get("expires_at")
        copy = DatabaseCopy(
            name=path.name,
            role=values["role"],
            live=values["live"],
            change=values["change"],
            change_id=values["change_id"],
            created_at=datetime.fromisoformat(values["created_at"]),
            expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
            size_bytes=path.stat().st_size if path.exists() else 0,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if values.get("is_pending") and not _holds_something_else(path, live):
        return replace(copy, role="scratch")
    return None if copy.role != "scratch" and not path.exists() else copy


def _holds_something_else(path: Path, live: Path) -> bool:
    if not path.exists():
        return False
    if not live.exists():
        return True
    with opened(path) as kept, opened(live) as current:
        schemas = [session.execute(_SCHEMA).fetchall() for session in (kept, current)]
        return schemas[0] != schemas[1] or table_summaries(kept) != table_summaries(current)
