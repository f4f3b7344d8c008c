"""Which tables does a PostgreSQL database have, and what takes their rows more quickly?

Indexes and foreign keys are dropped before the load and made again from their own definitions after it; afterwards
every one is there as it was, or the transfer fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from ops.adapters.postgres.facts import version_tables
from ops.adapters.postgres.integrity import SEQUENCE_USES
from ops.adapters.transfer.judgements import read_judgements
from ops.errors import DataDiffers
from ops.model.transfer.arrays import ELEMENTS
from ops.model.transfer.checks import MOMENT_DIGITS
from ops.model.transfer.schema import MOMENTS, Column, ForeignKey, Kind, Table

_KINDS: Mapping[str, Kind] = {
    "int2": "int", "int4": "int", "int8": "int", "bool": "bool", "text": "text", "varchar": "text", "bpchar": "char",
    "float8": "float8", "float4": "float4", "numeric": "numeric", "timestamptz": "timestamptz",
    "timestamp": "timestamp", "date": "date", "time": "time", "interval": "interval", "uuid": "uuid", "json": "json",
    "jsonb": "jsonb", "bytea": "bytes", "citext": "text",
}  # fmt: skip
_ALL_FIELDS = 0x7FFF
"""Of an interval. Source: PostgreSQL, utils/timestamp.h, INTERVAL_FULL_RANGE."""
_SIZES = {"int2": 2, "int4": 4, "int8": 8}
_OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname::text, 'pg_')"
_COLUMNS = f"""
SELECT n.nspname, c.relname, a.attname, b.typname, format_type(a.atttypid, a.atttypmod),
       a.attnotnull OR d.is_required, a.attgenerated <> '', d.modifier,
       (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder)::text[] FROM pg_enum e WHERE e.enumtypid = b.oid),
       format_type(b.oid, d.modifier)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN LATERAL (
    WITH RECURSIVE below(type, modifier, is_required, depth) AS (
        SELECT a.atttypid, a.atttypmod, false, 0
        UNION ALL SELECT t.typbasetype, t.typtypmod, w.is_required OR t.typnotnull, depth + 1
        FROM below w JOIN pg_type t ON t.oid = w.type AND t.typtype = 'd')
    SELECT type, modifier, is_required FROM below ORDER BY depth DESC LIMIT 1) d
JOIN pg_type b ON b.oid = d.type
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {_OURS}
ORDER BY 1, 2, a.attnum
"""  # noqa: S608 - a constant
_KEYS = f"""
SELECT n.nspname, c.relname, k.conname, k.contype::text,
       (SELECT array_agg(a.attname::text ORDER BY u.at) FROM unnest(k.conkey) WITH ORDINALITY u(num, at)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.num),
       pn.nspname || '.' || p.relname,
       (SELECT array_agg(a.attname::text ORDER BY u.at) FROM unnest(k.confkey) WITH ORDINALITY u(num, at)
        JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum = u.num)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class p ON p.oid = k.confrelid LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype IN ('p', 'u', 'f') AND k.conparentid = 0 AND {_OURS} ORDER BY 1, 2, 4, 3
"""  # noqa: S608 - a constant
_UNIQUE_INDEXES = f"""
SELECT n.nspname, c.relname, array(SELECT a.attname::text FROM generate_series(1, i.indnkeyatts) g(n)
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[g.n - 1] ORDER BY g.n)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisunique AND NOT i.indisprimary AND i.indpred IS NULL AND 0 <> ALL (i.indkey::int2[]) AND {_OURS}
"""  # noqa: S608 - a constant
_TRIGGERS = f"""
SELECT n.nspname, c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND {_OURS} ORDER BY 1, 2, 3
"""  # noqa: S608 - a constant
_DROPPABLE = f"""
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), k.conname, pg_get_constraintdef(k.oid), k.contype::text
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype IN ('f', 'p', 'u', 'x') AND c.relkind = 'r' AND NOT c.relispartition AND k.convalidated AND {_OURS}
  AND n.nspname || '.' || c.relname = ANY (%(tables)s) ORDER BY 1, 2
"""  # noqa: S608 - a constant
_INDEXES = f"""
SELECT quote_ident(n.nspname) || '.' || quote_ident(x.relname), pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND NOT c.relispartition AND {_OURS} AND n.nspname || '.' || c.relname = ANY (%(tables)s)
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY 1
"""  # noqa: S608 - a constant


def read_tables(session: psycopg.Connection) -> tuple[Table, ...]:
    """All ordinary tables with their columns and keys, sorted by name."""
    columns: dict[tuple[str, str], list[Column]] = {}
    generated: dict[tuple[str, str], list[str]] = {}
    for schema, name, column, type_, shown, is_required, is_generated, *more in session.execute(_COLUMNS):
        here = columns.setdefault((schema, name), [])
        if is_generated:
            generated.setdefault((schema, name), []).append(column)
        else:
            here.append(_column(column, type_, shown, *more, is_nullable=not is_required))
    keys = session.execute(_KEYS).fetchall()
    uniques = session.execute(_UNIQUE_INDEXES).fetchall()
    triggers = session.execute(_TRIGGERS).fetchall()
    versions = version_tables(session)
    judged = read_judgements(session, {f"{schema}.{name}": found for (schema, name), found in columns.items()})
    return tuple(
        Table(
            schema=schema,
            name=name,
            columns=tuple(found),
            generated=tuple(generated.get((schema, name), ())),
            primary_key=next((tuple(key[4]) for key in keys if key[:2] == (schema, name) and key[3] == "p"), ()),
            uniques=(
                *(tuple(key[4]) for key in keys if key[:2] == (schema, name) and key[3] == "u"),
                *(tuple(one[2]) for one in uniques if one[:2] == (schema, name)),
            ),
            foreign_keys=tuple(
                ForeignKey(key[2], tuple(key[4]), key[5], tuple(key[6]))
                for key in keys
                if key[:2] == (schema, name) and key[3] == "f"
            ),
            is_version=(schema, name) in versions,
            triggers=tuple(one[2] for one in triggers if one[:2] == (schema, name)),
            judgements=tuple(judged[f"{schema}.{name}"]),
        )
        for (schema, name), found in sorted(columns.items())
    )


def _column(  # noqa: PLR0917 - as they are asked for
    name: str, type_: str, shown: str, modifier: int, labels: Iterable[str] | None, base_type: str, *,
    is_nullable: bool,
) -> Column:  # fmt: skip
    element = ELEMENTS.get(type_[1:], "") if type_.startswith("_") else ""
    kind: Kind = "array" if element else "enum" if labels else _KINDS.get(type_, "other")
    length = modifier - 4 if modifier > 0 and type_ in {"varchar", "bpchar", "_varchar"} else None
    precision = scale = None
    if modifier > 0 and type_ == "numeric":
        precision = (modifier - 4) >> 16 & 0xFFFF
        scale = ((modifier - 4) & 0x7FF ^ 0x400) - 0x400  # eleven bits with a sign
    if modifier >= 0 and kind in MOMENTS and kind != "date":
        precision = modifier & 0xFFFF if modifier & 0xFFFF <= MOMENT_DIGITS else None  # an interval's has more parts
    size_bytes = _SIZES.get(type_, 0)
    is_cut = kind == "interval" and modifier >= 0 and modifier >> 16 != _ALL_FIELDS
    return Column(
        name, kind, shown, is_nullable, size_bytes, length, precision, scale, tuple(labels or ()), element, base_type,
        is_cut,
    )  # fmt: skip


def total_rows(session: psycopg.Connection) -> int:
    """How many rows all of them have."""
    total = 0
    for table in read_tables(session):
        named = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table.schema, table.name))
        row = session.execute(named).fetchone()
        total += int(row[0]) if row else 0
    return total


@dataclass(frozen=True, slots=True)
class Keys:
    """Constraints and indexes of the tables of a transfer: (table, name, definition, kind) and (name, definition)."""

    constraints: tuple[tuple[str, str, str, str], ...]
    indexes: tuple[tuple[str, str], ...]


def read_keys(session: psycopg.Connection, tables: Iterable[Table]) -> Keys:
    """What would be dropped and made again."""
    names = {"tables": [table.full_name for table in tables]}
    constraints = session.execute(_DROPPABLE, names).fetchall()
    indexes = session.execute(_INDEXES, names).fetchall()
    return Keys(tuple(tuple(row) for row in constraints), tuple(tuple(row) for row in indexes))


def drop_keys(session: psycopg.Connection, keys: Keys) -> None:
    """Drop them: foreign keys first, they need the others."""
    with session.transaction():
        for table, name, _definition, _kind in sorted(keys.constraints, key=lambda one: one[3] != "f"):
            session.execute(_raw(f"ALTER TABLE {table} DROP CONSTRAINT ") + sql.Identifier(name))
        for name, _definition in keys.indexes:
            session.execute(_raw(f"DROP INDEX {name}"))


def statements_for(keys: Keys) -> tuple[list[sql.Composed], list[sql.Composed], list[sql.Composed]]:
    """What makes them again: what can be made side by side, foreign keys unchecked, and their checks, side by side too.

    A foreign key locks both tables while it is made; its check alone keeps no other check waiting.
    """
    made: dict[bool, list[sql.Composed]] = {False: [], True: []}
    checks = []
    for table, name, definition, kind in keys.constraints:
        add = _raw(f"ALTER TABLE {table} ADD CONSTRAINT ") + sql.Identifier(name) + _raw(f" {definition}")
        if kind == "f":
            checks.append(_raw(f"ALTER TABLE {table} VALIDATE CONSTRAINT ") + sql.Identifier(name))
            add += _raw(" NOT VALID")
        made[kind == "f"].append(add)
    indexes = (sql.Composed([_raw(definition)]) for _name, definition in keys.indexes)
    return [*made[False], *indexes], made[True], checks


def refuse_other_keys(session: psycopg.Connection, tables: Iterable[Table], before: Keys) -> None:
    """Every key and index is there as it was. Raises: DataDiffers."""
    now = read_keys(session, tables)
    if (set(now.constraints), set(now.indexes)) != (set(before.constraints), set(before.indexes)):
        lost = {str(one) for one in (*before.constraints, *before.indexes)} - {
            str(one) for one in (*now.constraints, *now.indexes)
        }
        raise DataDiffers("keys or indexes differ after the load; nothing was changed", cause="; ".join(sorted(lost)))


def _raw(text: str) -> sql.SQL:
    """SQL that the server itself wrote (definitions, quoted names)."""
    return sql.SQL(text)


_SEQUENCES = f"""
SELECT sn.nspname, s.relname, tn.nspname, t.relname, a.attname, q.seqincrement, q.seqmax
FROM ({SEQUENCE_USES}) u
JOIN pg_class s ON s.oid = u.sequence AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_sequence q ON q.seqrelid = s.oid
JOIN pg_class t ON t.oid = u.relation AND t.relkind IN ('r', 'p') JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.place AND NOT a.attisdropped
WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
ORDER BY 1, 2
"""  # noqa: S608 - a constant


def set_sequences(session: psycopg.Connection, known: Mapping[str, int]) -> dict[str, int]:
    """Put every sequence behind the highest value of its column, and behind what SQLite gave out already.

    Args:
        session: with the new database.
        known: table name (`schema.table`) -> the last value that SQLite's own sequence gave.

    Returns: sequence -> what it gives next. One of an empty table that gave nothing is left as it is.
    """
    found: dict[str, int] = {}
    lasts: dict[str, int] = {}  # several tables may take their numbers from one sequence
    for schema, sequence, table_schema, table, column, increment, highest in session.execute(_SEQUENCES).fetchall():
        names: dict[str, Any] = {"column": sql.Identifier(column), "table": sql.Identifier(table_schema, table)}
        row = session.execute(sql.SQL("SELECT max({column}) FROM {table}").format(**names)).fetchone()
        used = [one for one in (row[0] if row else None, known.get(f"{table_schema}.{table}")) if one]
        if used and increment > 0:
            name = sql.Identifier(schema, sequence).as_string(session)
            last = lasts[name] = max(lasts.get(name, 1), min(int(max(used)), highest))
            session.execute("SELECT setval(%s::regclass, %s)", [name, last])
            found[f"{schema}.{sequence}"] = last + increment
    return found
