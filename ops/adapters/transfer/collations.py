"""How is a file read whose texts are ordered by a collation that only its own application has?

A collation orders indexes and says which texts are equal; it changes no value. So in our copy each such name becomes
BINARY and its indexes are made again: nothing then asks for it, Alembic on its way to the head included.
"""

from __future__ import annotations

import re
from pathlib import Path

from ops.adapters.sqlite import sessions
from ops.errors import DatabaseRefused
from ops.model.transfer.lines import quoted

_KNOWN = frozenset({"binary", "nocase", "rtrim"})
"""Source: sqlite.org, datatype3, 7."""
_QUOTED = r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^]]*\]"""
_COMMENT = r"--[^\n]*|/\*.*?(?:\*/|\Z)"
_COLLATE = re.compile(
    rf"(?<![\w$])COLLATE(?![\w$])(?:\s|{_COMMENT})*({_QUOTED}|[^\W\d][\w$]*)|{_QUOTED}|{_COMMENT}",
    re.IGNORECASE | re.DOTALL,
)
"""A collation with its name; or what may hold that word without being one."""
_ORDERED_TABLES = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND wr"


def forget_unknown(copy: Path) -> None:
    """Let our copy be ordered by bytes wherever it was by a collation that SQLite does not bring.

    Raises: DatabaseRefused, where a table without row ids is itself kept in such an order; sqlite3's errors.
    """
    with sessions.opened(copy) as session:
        found = session.execute(
            "SELECT rowid, type, tbl_name, sql FROM sqlite_master WHERE sql LIKE '%COLLATE%'"
        ).fetchall()
        changed = [one for one in found if _forgotten(one[-1]) != one[-1]]
        if not changed:
            return
        ordered = {name for (name,) in session.execute(_ORDERED_TABLES)}
        for _, type_, table, sql in changed:
            if type_ == "table" and table in ordered:
                raise DatabaseRefused(
                    f"the table {table} is kept in the order of {', '.join(_unknown(sql))}, a collation that only the"
                    " file's own application has",
                    cause="it is WITHOUT ROWID, so its rows are found by that order alone",
                    hint="let that application write it without the collation, or with row ids, into a copy",
                )
        session.execute("PRAGMA writable_schema = ON")
        session.executemany(
            "UPDATE sqlite_master SET sql = ? WHERE rowid = ?",
            [(_forgotten(sql), place) for place, _, _, sql in changed],
        )
    with sessions.opened(copy) as session:  # which reads the new schema
        session.execute("PRAGMA synchronous = OFF")
        for table in sorted({table for _, _, table, _ in changed}):
            session.execute(f"REINDEX main.{quoted(table)}")


def _unknown(sql: str) -> list[str]:
    names = (name for name in _COLLATE.findall(sql) if name and not _is_known(name))
    return [name[1:-1] if name[0] in "\"'[`" else name for name in names]


def _is_known(name: str) -> bool:
    return name.strip("\"'[]`").lower() in _KNOWN


def _forgotten(sql: str) -> str:
    return _COLLATE.sub(lambda one: "COLLATE BINARY" if one[1] and not _is_known(one[1]) else one[0], sql)
