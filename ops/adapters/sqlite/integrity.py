"""Does a SQLite file hold together, and at which revision is it?"""

from __future__ import annotations

import sqlite3

from ops.adapters.sqlite.sessions import damage

_MOST = 20
_VERSION_TABLES = """
SELECT t.name FROM sqlite_master t JOIN pragma_table_xinfo(t.name) c WHERE t.type = 'table'
GROUP BY t.name
HAVING max(c.name = 'version_num') AND (t.name = 'alembic_version' OR count(*) = 1)
ORDER BY t.name <> 'alembic_version'
"""
_SEQUENCES = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"


def version_table(session: sqlite3.Connection) -> str | None:
    """The table that holds Alembic's revisions: by its name, or by its form where it is the only one of that form."""
    found = [str(row[0]) for row in session.execute(_VERSION_TABLES)]
    return found[0] if found and (found[0] == "alembic_version" or len(found) == 1) else None


def revisions(session: sqlite3.Connection) -> tuple[str, ...]:
    """The rows of Alembic's version table, sorted; empty where there is no such table."""
    table = version_table(session)
    if table is None:
        return ()
    quoted = table.replace('"', '""')
    return tuple(sorted(str(row[0]) for row in session.execute(f'SELECT version_num FROM "{quoted}"')))  # noqa: S608 - quoted


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
