"""A SQLite file with one table `t`, examined for the table of that name in PostgreSQL, and loaded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ops.adapters.transfer.bridge import SqlitePostgresBridge
from ops.model.transfer.plan import Examination
from ops.model.transfer.rules import NO_RULES, Rules
from ops.model.transfer.schema import pair_up
from tests.adapters.transfer.meaning import Broken


def written(
    folder: Path, encoding: str, columns: Sequence[tuple[str, str]], rows: Iterable[tuple[int, Sequence[Any]]]
) -> Path:
    """A file with the columns `v0`, `v1`, ..., declared as the second of each says, beside an `id`."""
    file = folder / "source.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as session:
        session.execute(f"PRAGMA encoding = '{encoding}'")
        named = ", ".join(f"v{at} {declared}" for at, (_, declared) in enumerate(columns))
        session.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {named})")
        for row_id, values in rows:
            places = ", ".join("CAST(? AS TEXT)" if isinstance(one, Broken) else "?" for one in values)
            given = [one.data if isinstance(one, Broken) else one for one in values]
            session.execute(f"INSERT INTO t VALUES (?, {places})", [row_id, *given])
    return file


def examined(
    bridge: SqlitePostgresBridge, database: str, file: Path, rules: Rules = NO_RULES, *, is_loaded: bool = False
) -> Examination:
    """Examine it, and load it where no fault is found and it is wanted."""
    folder = bridge.new_folder()
    copy = folder / "copy.db"
    bridge.copy_source(file, copy)
    bridge.simplify(copy)
    pairs, differences = pair_up(bridge.source_tables(copy), bridge.target_tables(database))
    assert differences == ()
    fixes = bridge.apply_rules(copy, pairs, rules)
    found = bridge.judge(copy, database, pairs, bridge.examine(copy, pairs, fixes, is_kept=True))
    if is_loaded and not found.counts:
        bridge.load(copy, database, pairs, found.lines)
    bridge.remove_folder(folder)
    return found
