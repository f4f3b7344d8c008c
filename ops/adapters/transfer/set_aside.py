"""Which rows did a person's rules take out of a transfer, or out of their parents' hands, and what was in them?

Every one is a JSON line with table, row id, what was done and why, and all its values as the source held them; text
that is no UTF-8 and bytes are written as `{"hex": ...}`. The list lies beside our copy until the transfer is sure, then
it is kept, on disk before the swap.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ops.adapters.durable_files import flush_folder
from ops.errors import ArchiveUnwritable
from ops.model.transfer.lines import quoted
from ops.model.transfer.schema import Pair

_NAME = "set-aside.jsonl"


class SetAside:
    """The list while the rules are applied."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def add(self, session: sqlite3.Connection, pair: Pair, where: str, done: str, reason: str) -> None:
        """Write the rows (of the table as `c`) down before they are changed."""
        columns = ", ".join(f"c.{quoted(name)}" for name in pair.source.columns)
        query = f"SELECT c.{pair.source.row_id}, {columns} FROM {quoted(pair.source.name)} AS c WHERE {where}"  # noqa: S608
        for row_id, *values in session.execute(query):
            said = {name: _plain(value) for name, value in zip(pair.source.columns, values, strict=True)}
            line = {"table": pair.source.name, "row_id": row_id, "done": done, "reason": reason, "values": said}
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")


@contextmanager
def listing(copy: Path) -> Iterator[SetAside]:
    """The list beside our copy, begun anew."""
    with copy.with_name(_NAME).open("w", encoding="utf-8") as file:
        yield SetAside(file)


def keep(copy: Path, place: Path) -> None:
    """Give the list its name, whole or not at all. Raises: ArchiveUnwritable."""
    partial = place.with_name(place.name + ".partial")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            copy.with_name(_NAME).open("rb") as source,
            open(partial, "wb", opener=_private) as target,
        ):
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        partial.rename(place)
        flush_folder(place.parent)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise ArchiveUnwritable(f"the list {place} cannot be written", cause=exc.strerror) from exc


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, str) and not _is_clean(value):
        return {"hex": value.encode("utf-8", "surrogateescape").hex()}
    return value


def _is_clean(text: str) -> bool:
    """Whether it was UTF-8; a byte that was not is half a surrogate pair by now."""
    return not any("\udc80" <= letter <= "\udcff" for letter in text)
