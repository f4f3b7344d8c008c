"""Which statements of a migration destroy data, break a running application, or lock a table for long?

The built-in core of the gate: it works on SQL text alone. Rules have the names of squawk's where squawk has the
same one, so that both lists merge without repeating a finding. What a step makes itself (tables, columns) is
exempt in that step: nobody uses it yet. A statement that cannot be judged (`DO`, `MERGE`) counts as destructive.

Source: PostgreSQL manual, ALTER TABLE (which forms rewrite or scan), 13.3 Explicit Locking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from ops.model.sql_statements import Statement, Token, split

Level = Literal["destructive", "warning"]

_KEYWORDS_OF_CONSTRAINTS = {"constraint", "primary", "unique", "foreign", "check", "exclude", "like"}
_TYPES_THAT_HOLD_EVERYTHING = {"text", "varchar", "bigint", "character varying"}
_VOLATILE = {"random", "gen_random_uuid", "uuid_generate_v4", "clock_timestamp", "timeofday", "nextval"}


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One thing a person should know about one statement of a migration."""

    rule: str
    level: Level
    message: str
    line: int = 0
    """Of the step's SQL, counted from 1; 0 where unknown."""
    table: str = ""
    column: str = ""
    source: str = "ops"
    """Who found it: `ops` or `squawk`."""

    @property
    def is_destructive(self) -> bool:
        """Whether data may be gone afterwards that a downgrade does not bring back."""
        return self.level == "destructive"


@dataclass(slots=True)
class Reading:
    """What is known while the statements of one step are read in order."""

    findings: list[LintFinding] = field(default_factory=list)
    new_tables: set[str] = field(default_factory=set)
    new_columns: set[tuple[str, str]] = field(default_factory=set)
    touched: dict[str, None] = field(default_factory=dict)
    is_in_transaction: bool = False

    def find(self, rule: str, level: Level, message: str, at: Words, *, table: str = "", column: str = "") -> None:
        """Note a finding, unless the step made the table or column itself."""
        if table in self.new_tables or (column and (table, column) in self.new_columns):
            return
        self.findings.append(LintFinding(rule, level, message, at.line, table, column))

    def touch(self, table: str) -> None:
        """Note that an existing table is changed or locked."""
        if table and table not in self.new_tables:
            self.touched.setdefault(table)


class Words:
    """A cursor over a statement's tokens."""

    def __init__(self, tokens: Iterable[Token], line: int) -> None:
        self.tokens = list(tokens)
        self.line = line
        self.place = 0

    def take(self, *words: str) -> bool:
        """Step over these words if they come next."""
        here = self.tokens[self.place : self.place + len(words)]
        if [token.text for token in here] != list(words) or any(token.kind == "name" for token in here):
            return False
        self.place += len(words)
        return True

    def skip(self, *phrases: str) -> None:
        """Step over each phrase that comes next, in the given order."""
        for phrase in phrases:
            self.take(*phrase.split())

    def name(self) -> str:
        """The next, possibly qualified, name; `public.` is left out as PostgreSQL would find it without."""
        parts: list[str] = []
        while self.place < len(self.tokens) and self.tokens[self.place].kind in ("word", "name"):
            parts.append(self.tokens[self.place].text)
            self.place += 1
            if not self.take("."):
                break
        return ".".join(parts[1:] if len(parts) > 1 and parts[0] in ("public", "main") else parts)

    def has(self, *words: str) -> bool:
        """Whether these words follow each other anywhere from here on."""
        texts = [token.text if token.kind != "name" else "" for token in self.tokens[self.place :]]
        return any(tuple(texts[index : index + len(words)]) == words for index in range(len(texts)))

    def names(self) -> list[str]:
        """A comma-separated list of names."""
        found = [self.name()]
        while self.take(","):
            self.skip("only")
            found.append(self.name())
        return [name for name in found if name]

    def rest(self) -> Words:
        """A cursor of its own over what is left."""
        return Words(self.tokens[self.place :], self.line)

    def parts(self) -> list[Words]:
        """What is left, parted at commas outside of parentheses."""
        parts: list[list[Token]] = [[]]
        depth = 0
        for token in self.tokens[self.place :]:
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "mark" else 0
            if token == Token("mark", ",") and depth == 0:
                parts.append([])
            else:
                parts[-1].append(token)
        return [Words(part, self.line) for part in parts if part]


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
        words.skip("if not exists")
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


def _alter(words: Words, reading: Reading) -> None:
    if words.take("table"):
        _alter_table(words, reading)
    elif words.take("type"):
        _alter_type(words, reading)
    elif words.take("schema"):
        name = words.name()
        if words.take("rename"):
            reading.find("renaming-schema", "warning", f"schema {name} is renamed under a running application", words)


def _alter_type(words: Words, reading: Reading) -> None:
    name = words.name()
    if words.take("add", "value"):
        if not (words.has("before") or words.has("after")):
            reading.find("require-enum-value-ordering", "warning", f"say where the new value of {name} sorts", words)
        if reading.is_in_transaction:
            reading.find(
                "enum-value-in-transaction", "warning",
                f"the new value of {name} cannot be used before its transaction has ended", words,
            )  # fmt: skip
    elif words.take("rename"):
        reading.find(
            "renaming-enum-value", "warning", f"type {name} or its value is renamed under a running application", words
        )


def _alter_table(words: Words, reading: Reading) -> None:
    words.skip("if exists", "only")
    table = words.name()
    words.skip("*")
    reading.touch(table)
    for action in words.parts():
        _alter_action(action, table, reading)


def _alter_action(action: Words, table: str, reading: Reading) -> None:
    if action.take("add"):
        if action.take("column") or _peek(action) not in _KEYWORDS_OF_CONSTRAINTS:
            _add_column(action, table, reading)
        else:
            _add_constraint(action, table, reading)
    elif action.take("drop"):
        _drop_part(action, table, reading)
    elif action.take("rename"):
        _rename(action, table, reading)
    elif action.take("alter"):
        _alter_column(action, table, reading)
    elif action.take("set", "schema"):
        reading.find("renaming-table", "warning", f"{table} leaves its schema under a running application", action)


def _peek(words: Words) -> str:
    token = words.tokens[words.place] if words.place < len(words.tokens) else Token("mark", "")
    return token.text if token.kind == "word" else ""


def _add_column(action: Words, table: str, reading: Reading) -> None:
    action.skip("if not exists")
    column = action.name()
    has_default = action.has("default") or action.has("generated") or action.has("autoincrement")
    kind = _peek(action)
    is_serial = kind in ("serial", "bigserial", "smallserial")
    if action.has("not", "null") and not has_default and not is_serial:
        reading.find(
            "adding-required-field", "warning",
            f"{table}.{column} is NOT NULL without a default: fails where {table} has rows", action,
            table=table, column=column,
        )  # fmt: skip
    if kind == "json":
        reading.find(
            "json-type", "warning", f"{table}.{column} is json: it has no equality, use jsonb", action,
            table=table, column=column,
        )  # fmt: skip
    is_volatile = any(token.text in _VOLATILE for token in action.tokens if token.kind == "word")
    if is_serial or action.has("generated") or (action.has("default") and is_volatile):
        reading.find(
            "adding-field-with-default", "warning",
            f"{table} is rewritten and locked: {table}.{column} gets a value of its own in every row", action,
            table=table, column=column,
        )  # fmt: skip
    if action.has("references"):
        _foreign_key(action, table, reading, column)
    if action.has("unique") or action.has("primary", "key"):
        _unique(action, table, reading)
    reading.new_columns.add((table, column))


def _add_constraint(action: Words, table: str, reading: Reading) -> None:
    if action.take("constraint"):
        action.name()
    is_not_valid = action.has("not", "valid")
    if action.take("foreign", "key"):
        if not is_not_valid:
            _foreign_key(action, table, reading, "")
    elif action.take("check"):
        if not is_not_valid:
            reading.find(
                "constraint-missing-not-valid", "warning",
                f"the check scans {table} under an exclusive lock; add it NOT VALID, then VALIDATE", action,
                table=table,
            )  # fmt: skip
    elif (_peek(action) in ("unique", "primary", "exclude")) and not action.has("using", "index"):
        _unique(action, table, reading)


def _foreign_key(action: Words, table: str, reading: Reading, column: str) -> None:
    what = f"the foreign key of {table}.{column}" if column else f"the foreign key of {table}"
    reading.find(
        "adding-foreign-key-constraint", "warning",
        f"{what} scans it and blocks writes to both tables; add it NOT VALID, then VALIDATE", action, table=table,
    )  # fmt: skip


def _unique(action: Words, table: str, reading: Reading) -> None:
    reading.find(
        "disallowed-unique-constraint", "warning",
        f"an index is built under an exclusive lock of {table}; build it concurrently, then ADD ... USING INDEX",
        action, table=table,
    )  # fmt: skip


def _drop_part(action: Words, table: str, reading: Reading) -> None:
    if action.take("constraint"):
        return
    action.skip("column", "if exists")
    column = action.name()
    message = f"column {table}.{column} and its values are dropped"
    reading.find("ban-drop-column", "destructive", message, action, table=table, column=column)


def _rename(action: Words, table: str, reading: Reading) -> None:
    if action.take("constraint"):
        return
    if action.take("to"):
        new = action.name()
        reading.find(
            "renaming-table", "warning", f"{table} becomes {new} under a running application", action, table=table
        )
        if table in reading.new_tables:
            reading.new_tables.add(new)
        return
    action.skip("column")
    old = action.name()
    action.skip("to")
    new = action.name()
    reading.find(
        "renaming-column", "warning", f"{table}.{old} becomes {new} under a running application", action,
        table=table, column=old,
    )  # fmt: skip
    if (table, old) in reading.new_columns:
        reading.new_columns.add((table, new))


def _alter_column(action: Words, table: str, reading: Reading) -> None:
    action.skip("column")
    column = action.name()
    if action.take("set", "not", "null"):
        reading.find(
            "adding-not-nullable-field", "warning",
            f"{table} is scanned under an exclusive lock to make {column} NOT NULL", action,
            table=table, column=column,
        )  # fmt: skip
    elif action.take("set", "data", "type") or action.take("type"):
        _change_type(action, table, column, reading)


def _change_type(action: Words, table: str, column: str, reading: Reading) -> None:
    target = " ".join(token.text for token in action.tokens[action.place :])
    is_safe = target in _TYPES_THAT_HOLD_EVERYTHING
    level: Level = "warning" if is_safe else "destructive"
    consequence = "the table may be rewritten" if is_safe else "values may be cut or rounded, the table is rewritten"
    reading.find(
        "changing-column-type", level, f"{table}.{column} becomes {target}: {consequence}", action,
        table=table, column=column,
    )  # fmt: skip


_RULES: dict[str, Callable[[Words, Reading], None]] = {
    "begin": _begin,
    "start": _begin,
    "commit": _end,
    "end": _end,
    "rollback": _end,
    "create": _create,
    "alter": _alter,
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
