"""As whom is a foreign file loaded, so that nothing in it can reach beyond the scratch database?

A role made for one load: it may log in until tomorrow, owns the scratch database, and has no other right. After the
load its objects go to the live owner and it is dropped; one that a killed run left is dropped with its database.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from psycopg import sql

from ops.adapters.postgres.copies import loader_mark
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret

Connect = Callable[[str | None], psycopg.Connection]
"""Opens a session as ourselves on a database; None is the maintenance database."""


@contextmanager
def loader(connect: Connect, endpoint: PostgresEndpoint, database: str, owner: str) -> Iterator[PostgresEndpoint]:
    """An endpoint of `database` as a new role that owns nothing else.

    At the normal end everything belongs to `owner` and the role is gone. After a failure both stay: the database is
    of no use any more, and `copies.drop` removes them together.
    """
    role, password = f"ops_load_{secrets.token_hex(6)}", secrets.token_urlsafe(24)
    with connect(None) as session:
        _make(session, role, password, database)
    yield replace(endpoint, user=role, password=Secret(password), database=database)
    with connect(database) as session, session.transaction():
        session.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(sql.Identifier(role), sql.Identifier(owner)))
        session.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
        session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def _make(session: psycopg.Connection, role: str, password: str, database: str) -> None:
    name = sql.Identifier(role)
    # The verifier is made here, so that the password itself is in no server log.
    verifier = session.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    with session.transaction():
        session.execute(
            sql.SQL(
                "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}"
            ).format(name, sql.Literal(verifier))
        )
        session.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(name, sql.Literal(loader_mark(database))))
        row = session.execute(
            "SELECT format('%s', now() + interval '1 day'), rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        if row is not None:
            session.execute(sql.SQL("ALTER ROLE {} VALID UNTIL {}").format(name, sql.Literal(row[0])))
            if not row[1]:
                session.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))
        session.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(database), name))
