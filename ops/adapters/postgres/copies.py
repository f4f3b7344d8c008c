"""Which databases beside the live one did we make, and what is each of them for?

A copy describes itself in its comment (`COMMENT ON DATABASE`), so that losing our files loses nothing and any host
finds the leftovers. What carries no description of ours is never dropped - but for an empty database of a scratch
copy's name, which a kill between CREATE DATABASE and its comment leaves.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from ops.errors import Refused
from ops.model.copy_name import is_scratch_name
from ops.model.database import DatabaseCopy

MARK = "ops-runner"

_ALL = """
SELECT d.datname, shobj_description(d.oid, 'pg_database'),
       CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) ELSE 0 END
FROM pg_database d WHERE NOT d.datistemplate AND d.datname <> %s ORDER BY d.datname
"""
_NOT_EMPTY = "SELECT EXISTS (SELECT FROM pg_class WHERE oid >= 16384)"


def describe(copy: DatabaseCopy, stack: str) -> str:
    """The comment that a copy carries."""
    values: dict[str, Any] = {
        "made_by": MARK,
        "stack": stack,
        "role": copy.role,
        "live": copy.live,
        "change": copy.change,
        "change_id": copy.change_id,
        "created_at": copy.created_at.isoformat(),
    }
    if copy.expires_at is not None:
        values["expires_at"] = copy.expires_at.isoformat()
    return json.dumps(values)


def read_description(name: str, comment: str | None, size_bytes: int = 0) -> DatabaseCopy | None:
    """The copy that a comment describes; None where the comment is not ours."""
    try:
        values = json.loads(comment or "")
        if not isinstance(values, dict) or values.get("made_by") != MARK:
            return None
        expires = values.get("expires_at")
        return DatabaseCopy(
            name=name,
            role=values["role"],
            live=values["live"],
            change=values["change"],
            change_id=values["change_id"],
            created_at=datetime.fromisoformat(values["created_at"]),
            expires_at=datetime.fromisoformat(expires) if expires else None,
            size_bytes=size_bytes,
        )
    except (ValueError, KeyError, TypeError):
        return None


def set_description(session: psycopg.Connection, copy: DatabaseCopy, stack: str) -> None:
    """Write a copy's comment."""
    session.execute(
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(copy.name), sql.Literal(describe(copy, stack)))
    )


def list_copies(session: psycopg.Connection, live: str) -> tuple[tuple[DatabaseCopy, ...], tuple[str, ...]]:
    """Our copies of `live`, oldest first, and the names of databases that may be scratch copies without a comment."""
    ours: list[DatabaseCopy] = []
    doubtful: list[str] = []
    for name, comment, size_bytes in session.execute(_ALL, [live]).fetchall():
        copy = read_description(name, comment, size_bytes)
        if copy is not None and copy.live == live:
            ours.append(copy)
        elif comment is None and is_scratch_name(name, live):
            doubtful.append(name)
    return tuple(sorted(ours, key=lambda copy: (copy.created_at, copy.name))), tuple(doubtful)


def is_empty(session: psycopg.Connection) -> bool:
    """Whether nothing was ever made in the database of this session."""
    row = session.execute(_NOT_EMPTY).fetchone()
    return row is not None and not row[0]


def nameless_scratch(name: str, live: str) -> DatabaseCopy:
    """The description that a scratch copy would have had."""
    return DatabaseCopy(name, "scratch", live, "restore", "", datetime.fromtimestamp(0, UTC))


def drop(session: psycopg.Connection, name: str, live: str, copies: tuple[DatabaseCopy, ...]) -> None:
    """Drop one of `copies`, ending the sessions on it, and the loader's roles made for it; absent is fine.

    Raises: Refused for the live database and whatever is not in `copies`.
    """
    if name == live:
        raise Refused(f"{name} is the live database", cause="only copies are dropped", hint="inv backups")
    if name not in {copy.name for copy in copies}:
        there = session.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
        if there is None:
            drop_loaders(session, name)
            return
        raise Refused(
            f"{name} is not a copy that this stack made of {live}",
            cause="its comment does not say so",
            hint=f'look first, then by hand: DROP DATABASE "{name}"',
        )
    session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    drop_loaders(session, name)


def loader_mark(database: str) -> str:
    """The comment of the role that loads a foreign file into `database`."""
    return json.dumps({"made_by": MARK, "loads": database})


def drop_loaders(session: psycopg.Connection, database: str) -> None:
    """Drop the loader's roles of a copy that is gone."""
    found = session.execute(
        "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = %s", [loader_mark(database)]
    ).fetchall()
    for (role,) in found:
        session.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))
