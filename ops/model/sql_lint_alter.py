"""Which parts of an ALTER destroy data, break a running application, or lock a table for long?

Source: PostgreSQL manual, ALTER TABLE: which forms rewrite or scan, and under which lock.
"""

from __future__ import annotations

from ops.model.lint_finding import Level, Reading
from ops.model.sql_statements import Token
from ops.model.sql_words import Words

_KEYWORDS_OF_CONSTRAINTS = {"constraint", "primary", "unique", "foreign", "check", "exclude", "like"}
_TYPES_THAT_HOLD_EVERYTHING = {"text", "varchar", "bigint", "character varying"}
_VOLATILE = {"random", "gen_random_uuid", "uuid_generate_v4", "clock_timestamp", "timeofday", "nextval"}


def lint_alter(words: Words, reading: Reading) -> None:
    """Note what one ALTER statement does; the cursor stands behind its first word."""
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
    is_new = not action.take("if", "not", "exists")
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
    if is_new:
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
