"""Does a loaded database hold together: sequences ahead of their columns, indexes valid, constraints checked?"""

from __future__ import annotations

import psycopg
from psycopg import sql

SEQUENCE_USES = """
SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS place FROM pg_depend d
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
UNION
SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n'
  AND f.adrelid <> d.refobjid
"""
"""Which column takes its numbers from which sequence: it owns it, or its default asks it."""
_SEQUENCES = f"""
SELECT sn.nspname, s.relname, tn.nspname, t.relname, a.attname, q.seqincrement
FROM ({SEQUENCE_USES}) u
JOIN pg_class s ON s.oid = u.sequence AND s.relkind = 'S'
JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_sequence q ON q.seqrelid = s.oid
JOIN pg_class t ON t.oid = u.relation AND t.relkind IN ('r', 'p')
JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.place AND NOT a.attisdropped
WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
ORDER BY 1, 2
"""  # noqa: S608 - a constant
_INVALID_INDEXES = """
SELECT format('index %s of %s is invalid', indexrelid::regclass, indrelid::regclass)
FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive) ORDER BY 1
"""
_UNVALIDATED = """
SELECT format('constraint %s of %s was never validated', conname, conrelid::regclass)
FROM pg_constraint WHERE NOT convalidated AND conrelid <> 0 ORDER BY 1
"""


def integrity_problems(session: psycopg.Connection) -> tuple[str, ...]:
    """One sentence for each thing that does not hold in the session's database. Raises psycopg's errors."""
    found = [*_sequences_behind(session)]
    for query in (_INVALID_INDEXES, _UNVALIDATED):
        found += [row[0] for row in session.execute(query).fetchall()]
    return tuple(found)


def _sequences_behind(session: psycopg.Connection) -> list[str]:
    found: list[str] = []
    for schema, sequence, table_schema, table, column, increment in session.execute(_SEQUENCES).fetchall():
        outermost = sql.SQL("max" if increment > 0 else "min")
        row = session.execute(
            sql.SQL("SELECT last_value, is_called, (SELECT {}({}) FROM {}) FROM {}").format(
                outermost,
                sql.Identifier(column),
                sql.Identifier(table_schema, table),
                sql.Identifier(schema, sequence),
            )
        ).fetchone()
        if row is None or row[2] is None:
            continue
        last, is_called, used = row
        following = last + increment if is_called else last
        if (following <= used) if increment > 0 else (following >= used):
            found.append(
                f"sequence {schema}.{sequence} would give {following}, but {table_schema}.{table}.{column} holds {used}"
            )
    return found
