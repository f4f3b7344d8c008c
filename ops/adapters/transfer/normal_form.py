"""How are a person's rules applied to our copy, and values written in another form turned into the one form?

Only the copy changes, and everything after it works on the copy: what was changed is counted here and nowhere else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from ops.adapters.transfer.set_aside import SetAside
from ops.model.transfer.checks import is_rounded, shape
from ops.model.transfer.fault import Fix
from ops.model.transfer.lines import as_argument, literal, quoted
from ops.model.transfer.rules import Rule, Rules
from ops.model.transfer.schema import MOMENTS, Column, ForeignKey, Kind, Pair

SHOWN_ROWS = 20
_DONE = {"drop": "dropped", "quarantine": "quarantined", "null": "parent set to NULL"}
_YES = ("t", "true", "yes", "y", "on", "1")
_NO = ("f", "false", "no", "n", "off", "0")
_FREED: frozenset[Kind] = frozenset({"int", "bool", "uuid"})
"""Kinds whose form a declared type of SQLite could take away again."""
_AS_WRITTEN = ("CHAR", "CLOB", "TEXT", "BLOB")
_OLD = "ops: as declared "


def apply_rules(session: sqlite3.Connection, pairs: Sequence[Pair], rules: Rules, listed: SetAside) -> tuple[Fix, ...]:
    """Apply the rules of every column, then those for orphans, until nothing changes any more."""
    found: list[Fix] = []
    session.execute("BEGIN")
    for pair in pairs:
        for column, name in pair.columns:
            for words, new, where in _steps(column, quoted(name), rules.of(pair.source.name, name)):
                found += _update(session, pair, name, words, new=new, where=where)
    found += _settle_orphans(session, pairs, rules, listed)
    session.execute("COMMIT")
    return tuple(found)


def unify(session: sqlite3.Connection, pair: Pair, names: Collection[str]) -> tuple[Fix, ...]:
    """Bring the values of these columns that are written in another form into the one of their kind."""
    found: list[Fix] = []
    session.execute("BEGIN")
    for column, name in pair.columns:
        step = _unified(column, quoted(name)) if name in names else None
        if step is not None and _row_ids(session, pair, step[1]):
            if column.kind in _FREED and not _is_free(session, pair, name):
                _free(session, pair, name)
            found += _update(session, pair, name, "written in another form", new=step[0], where=step[1])
    session.execute("COMMIT")
    return tuple(found)


def _steps(column: Column, name: str, rule: Rule) -> Iterator[tuple[str, str, str]]:
    """What a rule does, as (words, new value, condition)."""
    is_text, data = f"typeof({name}) = 'text'", f"CAST({name} AS BLOB)"
    if rule.charset:
        new = f"ops_decode({data}, {literal(rule.charset)})"
        yield f"read as {rule.charset}", new, f"{is_text} AND NOT ops_is_utf8({data}) AND {new} IS NOT NULL"
    if rule.nul:
        instead = "" if rule.nul == "strip" else "\ufffd"
        new = f"CAST(ops_without_nul({data}, {literal(instead)}) AS TEXT)"
        yield f"NUL characters: {rule.nul}", new, f"{is_text} AND instr({name}, char(0)) > 0"
    if rule.empty:
        yield "empty text as NULL", "NULL", f"{is_text} AND {name} = '' COLLATE BINARY"
    if rule.booleans and column.kind == "bool":
        said = f"lower(trim({name}))"
        yes, no = (", ".join(map(literal, words)) for words in (_YES, _NO))
        yield (
            "word as boolean",
            f"CASE WHEN {said} IN ({yes}) THEN 1 ELSE 0 END",
            f"{is_text} AND {said} IN ({yes}, {no})",
        )
    if rule.zone and column.kind == "timestamptz":
        moment = f"ops_moment({as_argument(name)}, 'timestamptz', {literal(rule.zone)})"
        skipped = f"{name} || ' in ' || {literal(rule.zone)}"
        # A time that the clock skipped must not be taken for UTC: it gets a form that is refused.
        yield f"in {rule.zone}", f"coalesce({moment}, {skipped})", is_text
    if rule.epoch and column.kind in MOMENTS:
        new = f"ops_epoch({as_argument(name)}, {literal(rule.epoch)})"
        number = f"typeof({name}) IN ('integer', 'real')"
        if column.kind == "date":
            new = f"ops_moment({new}, 'date', '')"
        yield f"{rule.epoch} since 1970", new, f"{number} AND {new} IS NOT NULL"
    if rule.round:
        yield from _rounding(column, name)


def _rounding(column: Column, name: str) -> Iterator[tuple[str, str, str]]:
    number = f"CAST({name} AS REAL)"
    if column.kind in {"float8", "float4"}:
        yield "rounded", number, f"typeof({name}) = 'integer' AND {is_rounded(name)}"
    if column.kind == "float4":
        new, is_number = f"ops_single({number})", f"typeof({name}) IN ('integer', 'real')"
        yield "rounded", new, f"{is_number} AND ops_float4({number}) IS NULL AND {new} IS NOT NULL"
    if column.kind == "numeric" and column.scale is not None:
        new = f"ops_round({as_argument(name)}, {column.scale})"
        exact = f"ops_numeric({as_argument(name)}, {column.precision}, {column.scale})"
        yield "rounded", new, f"{exact} IS NULL AND {new} IS NOT NULL"


def _unified(column: Column, name: str) -> tuple[str, str] | None:
    """The new value and the condition of a kind that can be written in several forms."""
    if column.kind in MOMENTS:
        new = f"ops_moment({as_argument(name)}, {literal(column.kind)}, '')"
    elif column.kind == "uuid":
        new = f"ops_uuid({as_argument(name)}, typeof({name}))"
        return new, f"typeof({name}) IN ('text', 'blob') AND NOT {shape(column, name)} AND {new} IS NOT NULL"
    elif column.kind in {"int", "bool"}:
        return f"CAST({name} AS INTEGER)", f"typeof({name}) = 'real' AND {name} = CAST({name} AS INTEGER)"
    else:
        return None
    return new, f"typeof({name}) = 'text' AND NOT {shape(column, name)} AND {new} IS NOT NULL"


def _is_free(session: sqlite3.Connection, pair: Pair, name: str) -> bool:
    """Whether SQLite turns no value of this column into a number. Source: sqlite.org, datatype3, 3.1."""
    named = "SELECT upper(type) FROM pragma_table_info(?) WHERE name = ?"
    (declared,) = session.execute(named, [pair.source.name, name]).fetchone()
    return not declared or ("INT" not in declared and any(word in declared for word in _AS_WRITTEN))


def _free(session: sqlite3.Connection, pair: Pair, name: str) -> None:
    """Let a column of our copy hold values as they are.

    One that is declared REAL turns 1 into 1.0 again, and a NUMERIC one a UUID that is all digits into a number. The
    old column stays, under another name, with whatever keys and indexes it is in.
    """
    table, new, old = quoted(pair.source.name), quoted(name), quoted(_OLD + name)
    (is_strict,) = session.execute("SELECT strict FROM pragma_table_list(?)", [pair.source.name]).fetchone()
    session.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")
    session.execute(f"ALTER TABLE {table} ADD COLUMN {new} {'ANY' * is_strict}")
    session.execute(f"UPDATE {table} SET {new} = {old}")  # noqa: S608 - quoted


def _update(session: sqlite3.Connection, pair: Pair, name: str, words: str, *, new: str, where: str) -> list[Fix]:
    table = quoted(pair.source.name)
    rows = _row_ids(session, pair, where)
    if not rows:
        return []
    done = session.execute(f"UPDATE OR IGNORE {table} SET {quoted(name)} = {new} WHERE {where}")  # noqa: S608 - quoted
    return [Fix(pair.source.name, name, words, done.rowcount, rows)]


def _row_ids(session: sqlite3.Connection, pair: Pair, where: str) -> tuple[int, ...]:
    names = f"{pair.source.row_id} FROM {quoted(pair.source.name)}"
    found = session.execute(f"SELECT {names} WHERE {where} LIMIT {SHOWN_ROWS}")
    return tuple(row[0] for row in found)


def is_orphan(pair: Pair, key: ForeignKey, parent: Pair) -> str:
    """SQLite: true for a row (of the table as `c`) whose parent is missing."""
    columns = [f"c.{quoted(pair.name_of(one))}" for one in key.columns]
    theirs = [f"p.{quoted(parent.name_of(one))}" for one in key.parent_columns]
    # Not by the collation of the columns: for PostgreSQL `A` is no parent of `a`.
    same = " AND ".join(f"{one} = {other} COLLATE BINARY" for one, other in zip(theirs, columns, strict=True))
    there = " AND ".join(f"{one} IS NOT NULL" for one in columns)
    return f"{there} AND NOT EXISTS (SELECT 1 FROM {quoted(parent.source.name)} AS p WHERE {same})"  # noqa: S608 - quoted


def _settle_orphans(session: sqlite3.Connection, pairs: Sequence[Pair], rules: Rules, listed: SetAside) -> list[Fix]:
    """A dropped row can leave orphans of its own: go on until there are none, and add up."""
    by_name = {pair.table.full_name: pair for pair in pairs}
    keys = [
        (pair, key, by_name[key.parent]) for pair in pairs for key in pair.table.foreign_keys if key.parent in by_name
    ]
    ruled = [
        (pair, key, parent, rule) for pair, key, parent in keys if (rule := _orphan_rule(pair, key, rules)) != "abort"
    ]
    found: dict[tuple[str, str, str], Fix] = {}
    is_changed = bool(ruled)
    while is_changed:
        is_changed = False
        for pair, key, parent, rule in ruled:
            fix = _settle(session, pair, key, parent, rule, listed)
            if fix.count:
                is_changed = True
                before = found.get((fix.table, fix.column, fix.rule))
                count, rows = (before.count, before.rows) if before else (0, ())
                found[fix.table, fix.column, fix.rule] = replace(
                    fix, count=count + fix.count, rows=(*rows, *fix.rows)[:SHOWN_ROWS]
                )
    return list(found.values())


def _orphan_rule(pair: Pair, key: ForeignKey, rules: Rules) -> str:
    said = (rules.of(pair.source.name, pair.name_of(column)).orphans for column in key.columns)
    return next((word for word in said if word != "abort"), "abort")


def _settle(  # noqa: PLR0917 - what, where, how
    session: sqlite3.Connection, pair: Pair, key: ForeignKey, parent: Pair, rule: str, listed: SetAside
) -> Fix:
    table, names = quoted(pair.source.name), [pair.name_of(column) for column in key.columns]
    where = is_orphan(pair, key, parent)
    row_id = pair.source.row_id
    orphans = f"SELECT c.{row_id} FROM {table} AS c WHERE {where}"  # noqa: S608 - quoted
    rows = tuple(row[0] for row in session.execute(f"{orphans} LIMIT {SHOWN_ROWS}"))
    words = f"its {parent.source.name} is missing: {rule}"
    listed.add(session, pair, where, _DONE[rule], f"{', '.join(names)}: {words}")
    if rule in {"drop", "quarantine"}:
        done = session.execute(f"DELETE FROM {table} WHERE {row_id} IN ({orphans})")  # noqa: S608 - quoted
    else:
        blank = ", ".join(f"{quoted(name)} = NULL" for name in names)
        done = session.execute(f"UPDATE OR IGNORE {table} SET {blank} WHERE {row_id} IN ({orphans})")  # noqa: S608 - quoted
    return Fix(
        pair.source.name, ", ".join(names), words, done.rowcount, rows, is_row_dropped=rule == "drop",
        is_row_quarantined=rule == "quarantine", is_listed=True,
    )  # fmt: skip
