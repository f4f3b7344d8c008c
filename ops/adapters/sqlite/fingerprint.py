"""What is in every table of a SQLite file, as a count and a checksum that does not depend on the order of rows?

Each value is written with its storage class (`i1`, `r1.0`, `t` and `b` with their length), each row hashed by BLAKE2b
to 128 bits, and the hashes summed. So 1, 1.0 and '1' differ, and NULL differs from ''. The order of columns matters.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable

from ops.model.database import TableSummary

_TABLES = """
SELECT name FROM pragma_table_list
WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
ORDER BY name
"""
_MODULUS = 1 << 128


def table_names(session: sqlite3.Connection) -> tuple[str, ...]:
    """The ordinary tables and those that hold a virtual one's rows, sorted by name."""
    return tuple(sorted(str(row[0]) for row in session.execute(_TABLES)))


def table_summaries(
    session: sqlite3.Connection, *, on_table: Callable[[int, int], None] | None = None
) -> tuple[TableSummary, ...]:
    """Count and checksum of every table, sorted by name, in one snapshot.

    Args:
        session: in autocommit mode, or inside the transaction whose snapshot is meant.
        on_table: called after each table with (tables done, tables in all).
    """
    factory = session.text_factory
    own_transaction = not session.in_transaction
    if own_transaction:
        session.execute("BEGIN")
    try:
        names = table_names(session)
        # TEXT as bytearray and BLOB as bytes: told apart, and text that is no UTF-8 does not raise.
        session.text_factory = bytearray
        summaries = []
        for position, name in enumerate(names, start=1):
            summaries.append(_summary(session, name))
            if on_table is not None:
                on_table(position, len(names))
        return tuple(summaries)
    finally:
        session.text_factory = factory
        if own_transaction:
            session.execute("ROLLBACK")


def _summary(session: sqlite3.Connection, name: str) -> TableSummary:
    quoted = name.replace('"', '""')
    cursor = session.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 - a quoted identifier of the file's own
    count = total = 0
    for row in cursor:  # one at a time: hundreds of large ones would not fit into memory
        count += 1
        total += int.from_bytes(hashlib.blake2b(b"".join(map(_canonical, row)), digest_size=16).digest())
    return TableSummary(name, count, f"{total % _MODULUS:032x}")


def _canonical(value: object) -> bytes:
    if value is None:
        return b"n;"
    if isinstance(value, int):
        return b"i%d;" % value
    if isinstance(value, float):
        return b"r" + value.hex().encode() + b";"
    if isinstance(value, bytearray):
        return b"t%d:" % len(value) + value
    if isinstance(value, bytes):
        return b"b%d:" % len(value) + value
    raise TypeError(f"SQLite has no values of type {type(value).__name__}")
