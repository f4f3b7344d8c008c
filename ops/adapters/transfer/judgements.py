"""What of the target's tables must its own server judge: checks, uncommon uniques, uncommon types?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import psycopg

from ops.model.transfer.judgement import Judgement, unique_judgement
from ops.model.transfer.lines import quoted
from ops.model.transfer.schema import Column, Kind

_LOADED = "c.relkind = 'r' AND NOT c.relispartition AND n.nspname || '.' || c.relname = ANY (%(tables)s)"
_NAMES = "array(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0"
_CHECKS = f"""
SELECT n.nspname || '.' || c.relname, k.conname, pg_get_expr(k.conbin, c.oid),
       {_NAMES} AND NOT a.attisdropped AND (a.attnum = ANY (k.conkey) OR 0 = ANY (k.conkey)) ORDER BY a.attnum)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'c' AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) AND {_LOADED} ORDER BY 1, 2
"""  # noqa: S608 - constants
_DOMAINS = f"""
WITH RECURSIVE domains(at, relation, place, base) AS (
    SELECT a.atttypid, a.attrelid, a.attnum, t.typbasetype
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid AND t.typtype = 'd' WHERE {_LOADED}
    UNION ALL SELECT t.oid, d.relation, d.place, t.typbasetype
    FROM domains d JOIN pg_type t ON t.oid = d.base AND t.typtype = 'd')
SELECT n.nspname || '.' || c.relname, k.conname, pg_get_expr(k.conbin, 0), a.attname
FROM domains d JOIN pg_constraint k ON k.contypid = d.at AND k.contype = 'c'
JOIN pg_class c ON c.oid = d.relation JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.place ORDER BY 1, 2, 4
"""  # noqa: S608 - constants
_COLLATION = """(SELECT ' COLLATE ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
    FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace
    WHERE co.oid = i.indcollation[g.n - 1] AND NOT co.collisdeterministic)"""
_INDEXES = f"""
SELECT n.nspname || '.' || c.relname, x.relname,
       {_NAMES} AND (a.attnum = ANY (i.indkey::int2[]) OR a.attnum IN (SELECT d.refobjsubid FROM pg_depend d
           WHERE d.classid = 'pg_class'::regclass AND d.objid = x.oid AND d.refobjid = c.oid)) ORDER BY a.attnum),
       array(SELECT a.attname::text FROM generate_series(1, i.indnkeyatts) g(n)
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[g.n - 1] ORDER BY g.n),
       array(SELECT pg_get_indexdef(x.oid, g.n, false) || coalesce({_COLLATION}, '')
             FROM generate_series(1, i.indnkeyatts) g(n) ORDER BY g.n),
       coalesce(pg_get_expr(i.indpred, c.oid), ''), coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
       i.indexprs IS NOT NULL, EXISTS (SELECT FROM generate_series(1, i.indnkeyatts) g(n) WHERE {_COLLATION} <> '')
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.indisunique AND {_LOADED} ORDER BY 1, 2
"""  # noqa: S608 - constants
_OTHER_EQUALITY: frozenset[Kind] = frozenset({"numeric", "char", "jsonb", "array", "other"})
"""Kinds of which two different texts can be one value."""


def read_judgements(session: psycopg.Connection, tables: Mapping[str, Iterable[Column]]) -> dict[str, list[Judgement]]:
    """All of these tables (`schema.table` and its columns), those of types first."""
    found = {name: [*_forms(columns)] for name, columns in tables.items()}
    names: Mapping[str, Any] = {"tables": [*tables]}
    for table, name, expression, columns in session.execute(_CHECKS, names).fetchall():
        found[table].append(Judgement("check", name, tuple(columns), f"NOT ({expression})", rule=expression))
    for table, name, expression, column in session.execute(_DOMAINS, names).fetchall():
        condition = f"NOT (SELECT {expression} FROM (SELECT {quoted(column)} AS value) AS v)"  # noqa: S608 - the server's
        found[table].append(Judgement("check", name, (column,), condition, rule=expression))
    for table, name, columns, keys, written, only, are_nulls_equal, *strange in session.execute(_INDEXES, names):
        kinds = {column.name: column for column in tables[table]}
        is_plain = not only and not strange[0]
        has_own = any(one in kinds and has_own_equality(kinds[one]) for one in keys)
        if has_own or only or are_nulls_equal or any(strange):
            found[table].append(
                unique_judgement(
                    name, keys if is_plain else columns, written, only=only, are_nulls_equal=are_nulls_equal,
                    is_plain=is_plain,
                )
            )  # fmt: skip
    return found


def has_own_equality(column: Column) -> bool:
    """Whether two different texts can be equal values of this column."""
    return column.kind in _OTHER_EQUALITY or column.base_type.endswith("citext")


def _forms(columns: Iterable[Column]) -> Iterator[Judgement]:
    for column in columns:
        name, type_ = quoted(column.name), column.base_type
        if column.kind == "other":  # format writes as COPY does, a cast to text does not always
            condition = f"{name} IS NOT NULL AND format('%s', {name}::{type_}) COLLATE \"C\" <> {name}"
            yield Judgement("form", type_, (column.name,), condition)
        elif column.is_cut:
            yield Judgement("form", type_, (column.name,), f"{name}::interval <> {name}::{type_}")
