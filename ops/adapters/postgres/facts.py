"""What surrounds the rows of a PostgreSQL database?

What `pg_dump` without `--create` leaves out is read here: settings, grants, connection limit, locale, and the
roles that the contents need - by name and attributes, never with a password.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from ops.model.database import DatabaseFacts, Role

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}

# to_jsonb: the locale's column is called daticulocale before 17.
_DATABASE = """
SELECT d.datname, current_setting('server_version'), current_setting('server_version_num')::int,
       (SELECT system_identifier::text FROM pg_control_system()), pg_database_size(d.oid),
       pg_encoding_to_char(d.encoding), d.datlocprovider::text, d.datcollate, d.datctype,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', ''),
       pg_get_userbyid(d.datdba), d.datconnlimit, d.datacl::text[]
FROM pg_database d WHERE d.datname = current_database()
"""
_EXTENSIONS = "SELECT extname, extversion FROM pg_extension ORDER BY extname"
_SETTINGS = """
SELECT coalesce(r.rolname, ''), item.setting
FROM pg_db_role_setting s
JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
LEFT JOIN pg_roles r ON r.oid = s.setrole
CROSS JOIN LATERAL unnest(s.setconfig) WITH ORDINALITY AS item (setting, position)
ORDER BY 1, item.position
"""
# The bootstrap superuser is pinned and so never in pg_shdepend: owners are asked for as well.
_ROLES = """
SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolcanlogin, rolreplication, rolbypassrls, rolinherit
FROM pg_roles
WHERE oid IN (
    SELECT refobjid FROM pg_shdepend s, pg_database d
    WHERE s.refclassid = 'pg_authid'::regclass AND d.datname = current_database()
      AND (s.dbid = d.oid OR (s.classid = 'pg_database'::regclass AND s.objid = d.oid))
    UNION SELECT datdba FROM pg_database WHERE datname = current_database()
    UNION SELECT relowner FROM pg_class WHERE oid >= 16384
    UNION SELECT nspowner FROM pg_namespace WHERE oid >= 16384
    UNION SELECT setrole FROM pg_db_role_setting s, pg_database d
    WHERE s.setdatabase = d.oid AND d.datname = current_database()
) AND rolname !~ '^pg_'
ORDER BY rolname
"""
_VERSION_TABLES = """
SELECT n.nspname FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'version_num' AND NOT a.attisdropped
WHERE c.relname = 'alembic_version' AND c.relkind = 'r' AND c.relpersistence <> 't'
ORDER BY n.nspname <> 'public', n.nspname
"""


def read_facts(session: psycopg.Connection) -> DatabaseFacts:
    """The facts of the database that `session` is connected to; inside a transaction, of its snapshot.

    Raises psycopg's errors; callers wrap it in `connect.translated`.
    """
    row = session.execute(_DATABASE).fetchone()
    if row is None:
        raise ValueError("the session's own database is not in pg_database")
    return DatabaseFacts(
        kind="postgresql",
        name=row[0],
        server_version=row[1].split()[0],
        server_major=row[2] // 10000,
        system_identifier=row[3],
        size_bytes=row[4],
        encoding=row[5],
        locale_provider=_PROVIDERS[row[6]],
        collate=row[7],
        ctype=row[8],
        locale=row[9],
        owner=row[10],
        connection_limit=row[11],
        extensions=dict(session.execute(_EXTENSIONS).fetchall()),
        settings=tuple(
            (role, name, value)
            for role, setting in session.execute(_SETTINGS).fetchall()
            for name, _, value in [setting.partition("=")]
        ),
        grants=tuple(row[12] or ()),
        roles=_roles(session),
    )


def read_revisions(session: psycopg.Connection) -> tuple[str, ...]:
    """The rows of `alembic_version`, sorted; empty where there is no such table.

    The one in `public` wins; without one there, those of all other schemas together.
    """
    schemas = [row[0] for row in session.execute(_VERSION_TABLES).fetchall()]
    found: set[str] = set()
    for schema in schemas[:1] if "public" in schemas else schemas:
        query = sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(schema, "alembic_version"))
        found.update(row[0] for row in session.execute(query).fetchall())
    return tuple(sorted(found))


def _roles(session: psycopg.Connection) -> tuple[Role, ...]:
    words = ("SUPERUSER", "CREATEDB", "CREATEROLE", "LOGIN", "REPLICATION", "BYPASSRLS")
    return tuple(
        Role(name, tuple(word for word, has in zip(words, flags[:-1], strict=True) if has) + _inherits(flags[-1]))
        for name, *flags in session.execute(_ROLES).fetchall()
    )


def _inherits(flag: bool) -> tuple[str, ...]:
    return () if flag else ("NOINHERIT",)
