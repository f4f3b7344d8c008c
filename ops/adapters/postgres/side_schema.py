"""How do single tables of a scratch copy come into a new schema of the live database, and nothing else with them?

In the copy, which is ours to change, the tables are moved into a schema of the new name and cut off from all others;
so pg_dump writes their definition as it is wanted. Then one transaction on the live database makes the schema, takes
the rows over and compares them: a failure or a kill leaves no trace there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import psycopg
from psycopg import sql

from ops.adapters.postgres import fingerprint
from ops.adapters.postgres.connect import translated
from ops.errors import DataDiffers, LoadFailed
from ops.model.database import TableSummary
from ops.ports import ToolRunner

# pg_dump wraps its text in two commands for psql since the versions of August 2025; their token is random.
_FOR_PSQL = re.compile(rb"^\\(?:un)?restrict \w+\n", re.MULTILINE)
_EVERYWHERE = """
SELECT pubname::text FROM pg_catalog.pg_publication WHERE puballtables ORDER BY 1
"""
# What ties tables to others, as the statements that cut them off, in this order: a foreign key anywhere can hold a
# partition, and a partition's triggers are its parent's until it has none.
_KEYS = """
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname)
FROM pg_catalog.pg_constraint WHERE contype = 'f' AND conparentid = 0
"""
_PARENTS = """
SELECT format(CASE WHEN c.relispartition THEN 'ALTER TABLE %%1$s DETACH PARTITION %%2$s'
                   ELSE 'ALTER TABLE %%2$s NO INHERIT %%1$s' END, i.inhparent::regclass, i.inhrelid::regclass)
FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE i.inhrelid = ANY(%(oids)s)
"""
_PROGRAMS = """
SELECT format('DROP TRIGGER %%I ON %%s', tgname, tgrelid::regclass)
FROM pg_catalog.pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY(%(oids)s)
UNION ALL
SELECT format('DROP RULE %%I ON %%s', rulename, ev_class::regclass)
FROM pg_catalog.pg_rewrite WHERE ev_class = ANY(%(oids)s)
"""
_SEQUENCES = """
SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND n.nspname = %s ORDER BY 1
"""


def blockers(session: psycopg.Connection, schema: str) -> tuple[str, ...]:
    """Why the schema cannot be made in the database of this session, one sentence each."""
    found = []
    there = session.execute("SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s", [schema]).fetchone()
    if there is not None:
        found.append(f"a schema {schema} is there already")
    found += [
        f"the publication {name} of all tables would send the new ones to its subscribers"
        for (name,) in session.execute(_EVERYWHERE).fetchall()
    ]
    return tuple(found)


def move_aside(session: psycopg.Connection, wanted: Sequence[TableSummary], schema: str) -> dict[str, TableSummary]:
    """Move tables of a copy into a new schema there, cut off from every other table.

    Args:
        session: on the copy.
        wanted: which, and what they hold.
        schema: its name.

    Returns: the same by their bare names, which they have in the schema.

    Raises: LoadFailed: one is not there; psycopg's errors.
    """
    there = {f"{table.schema}.{table.name}": table for table in fingerprint.tables(session)}
    if missing := sorted(table.name for table in wanted if table.name not in there):
        raise LoadFailed(f"{', '.join(missing)} was not loaded")
    session.execute("SET search_path = ''")
    session.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    oids = [there[table.name].oid for table in wanted]
    for ties in (_KEYS, _PARENTS, _PROGRAMS):
        for (statement,) in session.execute(ties, {"oids": oids}).fetchall():
            session.execute(statement)
    for table in wanted:
        moved = there[table.name].identifier
        session.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(moved, sql.Identifier(schema)))
    return {there[table.name].name: table for table in wanted}


def definition(
    tools: ToolRunner, database: str, schema: str, section: str, *, keeps_on: Callable[[], bool] | None = None
) -> bytes:
    """What pg_dump says of a schema, `pre-data` (tables) or `post-data` (indexes).

    Raises: LoadFailed, DeadlinePassed (`keeps_on` said no).
    """
    said = bytearray()
    argv = [
        "pg_dump", "--schema-only", f"--section={section}", f"--schema={schema}", "--no-owner", "--no-privileges",
        "--no-publications", "--no-security-labels", "--no-password", *tools.connection_arguments(database),
    ]  # fmt: skip
    result = tools.run(argv, on_stdout=said.extend, password=tools.server_password(), keeps_on=keeps_on)
    if result.exit_code:
        raise LoadFailed(
            f"pg_dump could not read the definition of the tables: it ended with {result.exit_code}",
            cause=" ".join(result.stderr.split()),
        )
    return _FOR_PSQL.sub(b"", bytes(said))


def take_over(
    copy: psycopg.Connection,
    live: psycopg.Connection,
    schema: str,
    *,
    owner: str,
    before: bytes,
    after: bytes,
    expected: Mapping[str, TableSummary],
) -> None:
    """Make the schema in the live database, take its tables' rows over from the copy, compare, and commit.

    Args:
        copy: a session on the copy, where `move_aside` was.
        live: a session on the live database, in autocommit mode.
        schema: its name.
        owner: whose everything is to be.
        before: the definition of the tables.
        after: that of what is made once the rows are there.
        expected: what the tables hold, by their bare names.

    Raises: DataDiffers, LoadFailed: nothing is there then.
    """
    with translated(f"making the schema {schema}", otherwise=LoadFailed), live.transaction():
        live.execute(before)
        tables = [table for table in fingerprint.tables(copy) if table.schema == schema]
        for table in tables:
            _take_rows(copy, live, table)
        for (name,) in copy.execute(_SEQUENCES, [schema]).fetchall():
            _take_sequence(copy, live, sql.Identifier(schema, name))
        live.execute(after)
        _give_to(live, owner, schema, tables)
        found = dict(zip((table.name for table in tables), fingerprint.summaries_of(live, tables), strict=True))
        _compare(found, expected, schema)


def _take_rows(copy: psycopg.Connection, live: psycopg.Connection, table: fingerprint.Table) -> None:
    """As text: the binary form of an array of an enum names a type by a number that is another one over there."""
    read = sql.SQL("COPY {} TO STDOUT").format(table.identifier)
    write = sql.SQL("COPY {} FROM STDIN").format(table.identifier)
    with copy.cursor() as source, live.cursor() as target, source.copy(read) as rows, target.copy(write) as taken:
        for block in rows:
            taken.write(block)


def _take_sequence(copy: psycopg.Connection, live: psycopg.Connection, sequence: sql.Identifier) -> None:
    row = copy.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sequence)).fetchone()
    live.execute("SELECT pg_catalog.setval(%s::regclass, %s, %s)", [sequence.as_string(), *(row or (1, False))])


def _give_to(live: psycopg.Connection, owner: str, schema: str, tables: Sequence[fingerprint.Table]) -> None:
    """At the end: the owner may lack the right to name a type that a table of ours may have. Sequences follow."""
    given = sql.SQL(" OWNER TO ") + sql.Identifier(owner)
    live.execute(sql.SQL("ALTER SCHEMA ") + sql.Identifier(schema) + given)
    for table in tables:
        live.execute(sql.SQL("ALTER TABLE ") + table.identifier + given)


def _compare(found: Mapping[str, TableSummary], expected: Mapping[str, TableSummary], schema: str) -> None:
    differing = [
        f"{name}: {wanted.row_count} rows in the backup, {found[name].row_count if name in found else 'no table'} here"
        for name, wanted in expected.items()
        if name not in found or replace(found[name], name=wanted.name) != wanted
    ]
    if differing:
        raise DataDiffers(
            f"what came into {schema} is not what the backup holds; nothing of it stays",
            cause="; ".join(differing),
            hint="inv verify --drill, and another backup: inv backups",
        )
