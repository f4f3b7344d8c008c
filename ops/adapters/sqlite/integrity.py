"""Does a SQLite file hold together, and at which revision is it?"""

from __future__ import annotations

import sqlite3

from ops.adapters.sqlite.sessions import damage

_MOST = 20
_VERSION_TABLES = """
SELECT m.name, m.name = 'alembic_version' FROM sqlite_master AS m
WHERE m.type = 'table' AND (m.name = 'alembic_version' OR (instr(m.sql, m.name || '_pkc') > 0
      AND (SELECT group_concat(name) FROM pragma_table_info(m.name)) = 'version_num'))
ORDER BY m.name
"""
_SEQUENCES = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"


def revisions(session: sqlite3.Connection) -> tuple[str, ...]:
    """The rows of Alembic's version table, sorted; empty where there is no such table."""
    found: set[str] = set()
    for name in version_tables(session):
        quoted = '"' + name.replace('"', '""') + '"'
        found.update(str(row[0]) for row in session.execute(f"SELECT version_num FROM {quoted}"))  # noqa: S608
    return tuple(sorted(found))


def version_tables(session: sqlite3.Connection) -> tuple[str, ...]:
    """Alembic's version table: `alembic_version`, else the tables that Alembic makes under another name."""
    rows = session.execute(_VERSION_TABLES).fetchall()
    return tuple(str(name) for name, _ in [row for row in rows if row[1]] or rows)


def problems(session: sqlite3.Connection) -> tuple[str, ...]:
    """Damage, orphans and sequences behind their tables: one sentence each."""
    return (*damage(session), *_orphans(session), *_sequences_behind(session))


def _orphans(session: sqlite3.Connection) -> tuple[str, ...]:
    found = session.execute(f"SELECT * FROM pragma_foreign_key_check LIMIT {_MOST}").fetchall()  # noqa: S608 - a number
    return tuple(
        f"row {rowid} of {table} points to a row of {parent} that is not there" for table, rowid, parent, _ in found
    )


def _sequences_behind(session: sqlite3.Connection) -> tuple[str, ...]:
    if session.execute(_SEQUENCES).fetchone() is None:
        return ()
    behind = []
    for name, last in session.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
        quoted = str(name).replace('"', '""')
        try:
            highest = session.execute(f'SELECT max(rowid) FROM "{quoted}"').fetchone()[0]  # noqa: S608 - quoted
        except sqlite3.OperationalError:
            continue  # a line that outlived its table
        if highest is not None and highest > last:
            behind.append(f"the sequence of {name} stands at {last}, its highest id is {highest}")
    return tuple(behind)
