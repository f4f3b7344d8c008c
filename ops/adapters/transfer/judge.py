"""What does the target's server say about the rows of our copy, before any of them is loaded?

Only tables with something to judge are looked at, and of them only the columns that it is about: those go into a
temporary table beside the target's own, in a transaction that is rolled back. Rows with a value that was found faulty
already are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from ops.adapters.postgres.table_locks import named_when_held
from ops.adapters.transfer.judged_rows import GIVEN, ROW_NAME, TYPED, give_rows, make_typed, raw, sound_rows
from ops.adapters.transfer.printed import set_settings
from ops.model.transfer.fault import Fault, FaultCount
from ops.model.transfer.judgement import Judgement
from ops.model.transfer.lines import literal
from ops.model.transfer.schema import Column, Pair

LISTED = 20
LOCK_WAIT_S = 30.0
"""For how long a table of the target, of which only the columns are looked at, may be held by somebody."""
_NOT_SQL = ("0A", "42")
"""SQLSTATE classes of a statement that cannot be run at all, whatever rows there are."""
_NOT_HERE = (*_NOT_SQL, "25", "P0")
"""As those, where a database is read only, or has event triggers that forbid it."""
_SERVER = ("08", "53", "57", "58")
_BODY = """
#variable_conflict use_column
BEGIN
    IF (SELECT {condition} FROM (SELECT one.*) AS t) THEN RETURN ''; END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN RETURN SQLERRM;
END
"""


@dataclass(slots=True)
class Judged:
    """What was found."""

    faults: list[Fault]
    counts: list[FaultCount]
    warnings: list[str]


def judge(copy: Path, session: psycopg.Connection, pairs: Sequence[Pair], faulty: Sequence[FaultCount]) -> Judged:
    """Judge all rows of the tables that have something to judge.

    Args:
        copy: our copy of the source, every value in the form of its kind.
        session: with a database that has the target's tables.
        pairs: all tables.
        faulty: the columns in which faults were found already.

    Raises: DeadlinePassed (somebody holds a table), psycopg's and sqlite3's errors.
    """
    found = Judged([], [], [])
    for pair in (one for one in pairs if one.table.judgements and one.source.rows):
        bad = {one.column for one in faulty if one.table == pair.source.name}
        read = _columns_read(pair)
        try:
            with session.transaction(force_rollback=True), sound_rows(copy, pair, read, bad) as reading:
                set_settings(session)
                with named_when_held(session, f"judging rows of {pair.table.shown}", wait_s=LOCK_WAIT_S):
                    give_rows(session, pair, read, *reading)
                _judge_table(session, pair, read, found)
        except psycopg.Error as exc:
            if (exc.sqlstate or "")[:2] not in _NOT_HERE:
                raise
            found.warnings.append(_unjudged(pair.table.shown, exc))
    return found


def _unjudged(what: str, error: psycopg.Error) -> str:
    return f"{what} cannot be judged before the load: {error.diag.message_primary}"


def _columns_read(pair: Pair) -> tuple[Column, ...]:
    """The columns that a judgement reads; all of them, where it reads a generated one."""
    wanted = {name for one in pair.table.judgements for name in one.columns}
    if wanted.intersection(pair.table.generated):
        return pair.table.columns
    return tuple(column for column in pair.table.columns if column.name in wanted)


def _judge_table(session: psycopg.Connection, pair: Pair, read: Sequence[Column], found: Judged) -> None:
    forms = [one for one in pair.table.judgements if one.kind == "form"]
    for one in forms:
        bad = _judge_one(session, pair, one, GIVEN, found)
        if bad:  # what cannot be read as its type cannot be judged further
            session.execute(raw(f"DELETE FROM {GIVEN} WHERE {ROW_NAME} IN (SELECT {ROW_NAME} FROM ({bad}) AS b)"))  # noqa: S608
    make_typed(session, pair, read)
    for one in pair.table.judgements:
        if one not in forms:
            _judge_one(session, pair, one, TYPED, found)


def _judge_one(session: psycopg.Connection, pair: Pair, one: Judgement, relation: str, found: Judged) -> str:
    """Judge one thing; gives the SQL that lists the rows that are not taken, empty where all are."""
    try:
        bad, rows = _listed(session, one, relation)
    except psycopg.Error as exc:
        if _is_ours(exc):
            raise
        found.warnings.append(_unjudged(f"{one.name} of {pair.table.shown}", exc))
        return ""
    if not rows:
        return ""
    names = ", ".join(pair.name_of(name) if name not in pair.table.generated else name for name in one.columns)
    found.counts.append(FaultCount(pair.source.name, names or one.name, rows[0][2]))
    found.faults += [Fault(pair.source.name, names or one.name, row, one.reason(said)) for row, said, _ in rows]
    return bad


def _listed(session: psycopg.Connection, one: Judgement, relation: str) -> tuple[str, list[tuple[int, str, int]]]:
    """The SQL and what it lists: row id, the server's words, how many rows there are in all."""
    if one.is_unique:
        counted = f"SELECT {ROW_NAME}, count(*) OVER (PARTITION BY {', '.join(one.keys)}) AS n FROM {relation}"  # noqa: S608
        bad = f"SELECT {ROW_NAME}, '' AS why FROM ({counted} WHERE {one.condition}) AS c WHERE n > 1"  # noqa: S608
        return bad, _rows(session, bad)
    bad = f"SELECT {ROW_NAME}, '' AS why FROM {relation} WHERE {one.condition}"  # noqa: S608 - the server's own words
    try:
        return bad, _rows(session, bad)
    except psycopg.Error as exc:
        if _is_ours(exc) or (exc.sqlstate or "")[:2] in _NOT_SQL:
            raise
    return _listed_one_by_one(session, one, relation)


def _listed_one_by_one(
    session: psycopg.Connection, one: Judgement, relation: str
) -> tuple[str, list[tuple[int, str, int]]]:
    """As `_listed`, where a row makes the server raise: a division by zero, a text that is no address."""
    body = literal(_BODY.format(condition=one.condition))
    with session.transaction():
        session.execute(raw("DROP FUNCTION IF EXISTS pg_temp.ops_why"))
        session.execute(raw(f"CREATE FUNCTION pg_temp.ops_why(one {relation}) RETURNS text LANGUAGE plpgsql AS {body}"))
    bad = f"SELECT {ROW_NAME}, why FROM (SELECT {ROW_NAME}, pg_temp.ops_why(r) AS why FROM {relation} AS r) AS c"  # noqa: S608
    bad += " WHERE why IS NOT NULL"
    return bad, _rows(session, bad)


def _rows(session: psycopg.Connection, listing: str) -> list[tuple[int, str, int]]:
    query = f"SELECT {ROW_NAME}, why, count(*) OVER () FROM ({listing}) AS l ORDER BY 1 LIMIT {LISTED}"  # noqa: S608 - ours
    with session.transaction():
        return session.execute(raw(query)).fetchall()


def _is_ours(error: psycopg.Error) -> bool:
    """Whether it is about the session or the server, not about a row or a statement."""
    return (error.sqlstate or "08")[:2] in _SERVER
