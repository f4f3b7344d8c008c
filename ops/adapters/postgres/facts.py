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
SELECT n.nspname, c.relname FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
GROUP BY n.nspname, c.relname
HAVING bool_or(a.attname = 'version_num')
   AND (c.relname = 'alembic_version' OR bool_and(a.atttypid IN ('varchar'::regtype, 'text'::regtype)) AND count(*) = 1)
ORDER BY c.relname <> 'alembic_version', n.nspname <> 'public', n.nspname, c.relname
"""
_USUAL_NAME = "alembic_version"


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


def version_tables(session: psycopg.Connection) -> tuple[tuple[str, str], ...]:
    """Schema and name of the tables that hold Alembic's revisions; by their name, or by their form where it is another.

    The `alembic_version` in `public` wins; without one there, those of all other schemas together. Where no table has
    that name, the one table that has only the column `version_num` (`version_table` in env.py); of several, none.
    """
    found = [(row[0], row[1]) for row in session.execute(_VERSION_TABLES).fetchall()]
    usual = [place for place in found if place[1] == _USUAL_NAME]
    if not usual:
        return tuple(found) if len(found) == 1 else ()
    return tuple(usual[:1] if usual[0][0] == "public" else usual)


def read_revisions(session: psycopg.Connection) -> tuple[str, ...]:
    """The rows of Alembic's version tables, sorted; empty where there is none."""
    found: set[str] = set()
    for place in version_tables(session):
        query = sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(*place))
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
