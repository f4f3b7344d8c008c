"""Which statements of a migration destroy data, break a running application, or lock a table for long?

The built-in core of the gate: it works on SQL text alone. Rules have the names of squawk's where squawk has the
same one, so that both lists merge without repeating a finding. What a step makes itself (tables, columns) is
exempt in that step: nobody uses it yet. A statement that cannot be judged (`DO`, `MERGE`) counts as destructive.

Source: PostgreSQL manual, ALTER TABLE (which forms rewrite or scan), 13.3 Explicit Locking.
"""

from __future__ import annotations

from collections.abc import Callable

from ops.model.lint_finding import LintFinding, Reading
from ops.model.sql_lint_alter import lint_alter
from ops.model.sql_statements import Statement, split
from ops.model.sql_words import Words


def lint(sql: str) -> tuple[LintFinding, ...]:
    """Findings of one step's SQL, in the order of its statements."""
    return tuple(read(sql).findings)


def touched_tables(sql: str) -> tuple[str, ...]:
    """Existing tables that a step's SQL changes or locks, in order of appearance."""
    return tuple(read(sql).touched)


def read(sql: str) -> Reading:
    """Read the SQL of one step."""
    reading = Reading()
    for statement in split(sql):
        if not is_bookkeeping(statement):
            words = Words(statement.tokens, statement.line)
            first = words.tokens[0].text
            words.place = 1
            _RULES.get(first, _nothing)(words, reading)
    return reading


def is_bookkeeping(statement: Statement) -> bool:
    """Whether it is Alembic's own write to its version table."""
    texts = {token.text for token in statement.tokens}
    return "version_num" in texts and statement.tokens[0].text in {"create", "insert", "update", "delete"}


def _nothing(_words: Words, _reading: Reading) -> None:
    """Other statements need no remark."""


def _begin(_words: Words, reading: Reading) -> None:
    reading.is_in_transaction = True


def _end(_words: Words, reading: Reading) -> None:
    reading.is_in_transaction = False


def _create(words: Words, reading: Reading) -> None:
    words.skip("or replace", "global", "local", "temporary", "temp", "unlogged")
    if words.take("table") or words.take("materialized", "view"):
        if not words.take("if", "not", "exists"):
            reading.new_tables.add(words.name())
    elif words.take("unique", "index") or words.take("index"):
        _create_index(words, reading)


def _create_index(words: Words, reading: Reading) -> None:
    is_concurrent = words.take("concurrently")
    words.skip("if not exists")
    index = "" if words.take("on") else words.name()
    words.skip("on", "only")
    table = words.name()
    reading.touch(table)
    if not is_concurrent:
        reading.find(
            "require-concurrent-index-creation", "warning",
            f"index {index} blocks writes to {table} while it is built; use postgresql_concurrently=True",
            words, table=table,
        )  # fmt: skip
    elif reading.is_in_transaction:
        reading.find(
            "ban-concurrent-index-creation-in-transaction", "warning",
            f"index {index} cannot be built concurrently inside a transaction; use autocommit_block()",
            words, table=table,
        )  # fmt: skip


def _drop(words: Words, reading: Reading) -> None:
    if words.take("table") or words.take("schema") or words.take("database"):
        kind = words.tokens[words.place - 1].text
        words.skip("if exists")
        for name in words.names():
            reading.touch(name if kind == "table" else "")
            if f"_alembic_tmp_{name}" in reading.new_tables:
                message = f"{name} is rebuilt: columns that the new table lacks are gone"
                reading.find("table-rebuild", "destructive", message, words, table=name)
                continue
            rule = f"ban-drop-{kind}"
            reading.find(rule, "destructive", f"{kind} {name} and all its rows are dropped", words, table=name)
    elif words.take("owned"):
        reading.find("drop-owned", "destructive", "everything a role owns is dropped", words)
    elif words.take("index") and not words.take("concurrently"):
        words.skip("if exists")
        index = words.name()
        reading.find(
            "require-concurrent-index-deletion", "warning",
            f"dropping index {index} waits for every query on its table; use postgresql_concurrently=True", words,
        )  # fmt: skip


def _truncate(words: Words, reading: Reading) -> None:
    words.skip("table", "only")
    for table in words.names():
        reading.touch(table)
        rule = "ban-truncate-cascade" if words.has("cascade") else "truncate"
        reading.find(rule, "destructive", f"all rows of {table} are deleted", words, table=table)


def _delete(words: Words, reading: Reading) -> None:
    words.skip("from", "only")
    table = words.name()
    reading.touch(table)
    reading.find("delete-rows", "destructive", f"rows of {table} are deleted", words, table=table)


def _update(words: Words, reading: Reading) -> None:
    words.skip("or replace", "only")
    table = words.name()
    reading.touch(table)
    while words.place < len(words.tokens) and not words.take("set"):
        words.place += 1
    for column in _columns_set(words):
        reading.find(
            "update-rows", "destructive", f"values of {table}.{column} are overwritten", words,
            table=table, column=column,
        )  # fmt: skip


def _columns_set(words: Words) -> list[str]:
    columns = []
    for part in words.parts():
        if part.take("("):
            columns += part.names()
        else:
            columns.append(part.name().rpartition(".")[2])
    return [column for column in columns if column]


def _insert(words: Words, reading: Reading) -> None:
    is_replace = words.take("or", "replace")
    words.skip("into")
    table = words.name()
    reading.touch(table)
    if is_replace or words.has("do", "update"):
        reading.find("update-rows", "destructive", f"rows of {table} may be overwritten", words, table=table)


def _opaque(words: Words, reading: Reading) -> None:
    what = words.tokens[0].text.upper()
    reading.find("opaque-statement", "destructive", f"{what} cannot be judged: read it before you say yes", words)


def _vacuum(words: Words, reading: Reading) -> None:
    if words.has("full"):
        reading.find("table-rewrite", "warning", "VACUUM FULL locks the table while it is rewritten", words)


def _cluster(words: Words, reading: Reading) -> None:
    reading.find("table-rewrite", "warning", "CLUSTER locks the table while it is rewritten", words)


def _reindex(words: Words, reading: Reading) -> None:
    if not words.has("concurrently"):
        reading.find("reindex", "warning", "REINDEX blocks writes; use REINDEX ... CONCURRENTLY", words)


_RULES: dict[str, Callable[[Words, Reading], None]] = {
    "begin": _begin,
    "start": _begin,
    "commit": _end,
    "end": _end,
    "rollback": _end,
    "create": _create,
    "alter": lint_alter,
    "drop": _drop,
    "truncate": _truncate,
    "delete": _delete,
    "update": _update,
    "insert": _insert,
    "replace": _insert,
    "merge": _opaque,
    "do": _opaque,
    "call": _opaque,
    "with": _opaque,
    "vacuum": _vacuum,
    "cluster": _cluster,
    "reindex": _reindex,
}
