"""How is an empty database made beside the live one, and which roles does its content need?"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql

from ops.adapters.postgres.copies import set_description
from ops.model.database import DatabaseCopy, DatabaseFacts, Role

_LOCALE_WORD = {"builtin": "BUILTIN_LOCALE", "icu": "ICU_LOCALE"}


def create_database(session: psycopg.Connection, copy: DatabaseCopy, like: DatabaseFacts, stack: str) -> None:
    """Make the database from template0 with the encoding, locale and owner of `like`, and describe it at once.

    The session is in autocommit mode on the maintenance database. Raises psycopg's errors.
    """
    session.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 {}").format(sql.Identifier(copy.name), _options(like))
    )
    set_description(session, copy, stack)


def _options(like: DatabaseFacts) -> sql.Composed:
    given = [
        ("ENCODING", like.encoding),
        ("LOCALE_PROVIDER", like.locale_provider),
        ("LC_COLLATE", like.collate),
        ("LC_CTYPE", like.ctype),
        (_LOCALE_WORD.get(like.locale_provider, ""), like.locale),
    ]
    parts: list[sql.Composable] = [
        sql.SQL(word) + sql.SQL(" ") + sql.Literal(value) for word, value in given if word and value
    ]
    if like.owner:
        parts.append(sql.SQL("OWNER ") + sql.Identifier(like.owner))
    return sql.SQL(" ").join(parts)


def make_missing_roles(session: psycopg.Connection, roles: Sequence[Role]) -> tuple[str, ...]:
    """Make the roles that are not there, without login, rights or password; returns their names."""
    made: list[str] = []
    for role in roles:
        if session.execute("SELECT FROM pg_roles WHERE rolname = %s", [role.name]).fetchone() is None:
            session.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role.name)))
            made.append(role.name)
    return tuple(made)
