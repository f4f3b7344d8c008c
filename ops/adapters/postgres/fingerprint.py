"""What is in every table, as a count and a checksum that does not depend on the order of rows?

Each row is written as PostgreSQL writes a record (`ROW(t.*)::text`) under fixed settings and hashed to 64 bits by
`hashtextextended`; a checksum is the exact sum of the hashes. So equal contents give equal checksums on majors 17 and
18, and two multisets of rows that differ by accident agree with a chance of about 2^-64. It is no
proof against somebody who wants two tables to agree. The order of a table's *columns* does matter; `pg_dump` keeps it.
Generated columns are part of a row.

Tables that an extension owns are left out (its own script fills them), as are materialised views, foreign tables
and temporary ones. Sequences are not part of a snapshot and therefore not here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from ops.model.database import TableSummary

LARGE_OBJECTS = "pg_largeobject"
"""The pseudo-table under which large objects are summed up, present when there is at least one."""

# Whatever changes how a value is written as text, and what could end or bend a long read.
_SETTINGS = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "jit": "off",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "row_security": "off",
    "search_path": "",
    "statement_timeout": "0",
    "xmlbinary": "base64",
}
_TABLES = """
SELECT c.oid, n.nspname, c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  )
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
"""
_SIZES = "SELECT oid, pg_table_size(oid) FROM unnest(%s::oid[]) AS oid"
# One use of the hash, and no subquery: so the server may share the work among parallel workers.
_SUM = """
SELECT count(*), coalesce(sum(hashtextextended(ROW(ops_row.*)::text COLLATE "C", 0)), 0) FROM ONLY {} AS ops_row
"""
# lo_get needs no superuser, unlike reading the catalog's pages; 64 KiB a time keeps the server's memory flat.
_LARGE_OBJECTS = """
SELECT (SELECT count(*) FROM pg_largeobject_metadata),
       sum(hashtextextended(ROW(m.oid, part, lo_get(m.oid, part * 65536, 65536))::text COLLATE "C", 0))
FROM pg_largeobject_metadata m
CROSS JOIN LATERAL (SELECT lo_open(m.oid, 262144) AS handle OFFSET 0) o
CROSS JOIN LATERAL (SELECT lo_lseek64(o.handle, 0, 2) AS size OFFSET 0) s
CROSS JOIN LATERAL (SELECT lo_close(o.handle + 0 * (s.size % 2)::int) AS closed OFFSET 0) c
CROSS JOIN LATERAL generate_series(0, (s.size + 0 * c.closed) / 65536) AS part
"""
_MODULUS = 1 << 128


@dataclass(frozen=True, slots=True)
class Table:
    """One table whose rows belong to the database's contents."""

    oid: int
    schema: str
    name: str

    @property
    def identifier(self) -> sql.Identifier:
        """Its name as SQL must write it."""
        return sql.Identifier(self.schema, self.name)


def tables(session: psycopg.Connection) -> tuple[Table, ...]:
    """The ordinary tables, leaf partitions included, sorted by name; takes no lock on any of them."""
    return tuple(Table(*row) for row in session.execute(_TABLES).fetchall())


def table_summaries(
    session: psycopg.Connection, *, on_progress: Callable[[int, int], None] | None = None
) -> tuple[TableSummary, ...]:
    """Count and checksum of every ordinary table in the session's current snapshot, sorted by name.

    The caller is inside `connect.in_snapshot(session)`; session settings are changed for the transaction only.
    A role that may not read a table, or from which row security hides rows, gets an error, never part of the rows.

    Args:
        session: inside a transaction.
        on_progress: called after each table with (bytes done, bytes in all) on the server's disk.

    Raises psycopg's errors; callers wrap it in `connect.translated`.
    """
    _fix_settings(session)
    found = tables(session)
    sizes: dict[int, int] = dict(session.execute(_SIZES, [[table.oid for table in found]]).fetchall())
    total, done = sum(sizes.values()), 0
    summaries = []
    for table in found:
        summaries.append(_summary_of(session, table))
        done += sizes[table.oid]
        if on_progress is not None:
            on_progress(done, total)
    return tuple(sorted([*summaries, *_large_objects(session)], key=lambda summary: summary.name))


def summaries_of(session: psycopg.Connection, wanted: Sequence[Table]) -> tuple[TableSummary, ...]:
    """Count and checksum of these tables, in their order; the caller is inside a transaction, as above."""
    _fix_settings(session)
    return tuple(_summary_of(session, table) for table in wanted)


def _fix_settings(session: psycopg.Connection) -> None:
    for name, value in _SETTINGS.items():
        session.execute("SELECT pg_catalog.set_config(%s, %s, true)", [name, value])


def _summary_of(session: psycopg.Connection, table: Table) -> TableSummary:
    row = session.execute(sql.SQL(_SUM).format(table.identifier)).fetchone()
    return _summary(f"{table.schema}.{table.name}", row)


def _large_objects(session: psycopg.Connection) -> tuple[TableSummary, ...]:
    if session.execute("SELECT FROM pg_largeobject_metadata LIMIT 1").fetchone() is None:
        return ()
    return (_summary(LARGE_OBJECTS, session.execute(_LARGE_OBJECTS).fetchone()),)


def _summary(name: str, row: tuple[int, int] | None) -> TableSummary:
    if row is None:
        raise ValueError(f"no summary of {name}")
    count, hash_sum = row
    return TableSummary(name, count, f"{int(hash_sum) % _MODULUS:032x}")
