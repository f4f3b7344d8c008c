"""Does a new backup look wrong beside its predecessor?

A backup can be whole and still be of a database that lost its contents an hour ago. So sizes and row counts are
compared with the newest earlier backup that did not look wrong; what collapsed is named, and pruning waits until a
person has acknowledged it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ops.model.manifest import Manifest

_SHRUNK_TO: Final = 0.5
_SMALL_ARCHIVE_BYTES: Final = 64 * 1024
_FEW_ROWS: Final = 10
"""A table with fewer rows may be emptied without a word."""
_MANY_ROWS: Final = 1000
"""From so many rows on, losing most of them is worth a word."""


def predecessor(manifest: Manifest, others: Iterable[Manifest]) -> Manifest | None:
    """The newest earlier backup of the same database that does not look wrong, or was acknowledged."""
    return max(
        (
            other
            for other in others
            if other.id < manifest.id
            and other.identity == manifest.identity
            and (other.acknowledged or not other.suspicious)
        ),
        key=lambda other: other.id,
        default=None,
    )


def suspicions(manifest: Manifest, before: Manifest | None) -> tuple[str, ...]:
    """What collapsed since `before`, one sentence each; empty without a predecessor.

    A table that is gone counts only where the revisions are the same: a migration may drop one.
    """
    if before is None:
        return ()
    found = []
    old, new = before.plain_size_bytes, manifest.plain_size_bytes
    if old > _SMALL_ARCHIVE_BYTES and new < old * _SHRUNK_TO and before.codec == manifest.codec:
        found.append(f"the archive shrank from {old} to {new} bytes since {before.id}")
    counts = {table.name: table.row_count for table in manifest.tables}
    same_schema = before.revisions == manifest.revisions
    for table in before.tables:
        rows = counts.get(table.name, 0 if same_schema else table.row_count)
        if _has_collapsed(table.row_count, rows):
            found.append(f"{table.name} went from {table.row_count} to {rows} rows since {before.id}")
    return tuple(found)


def _has_collapsed(before: int, now: int) -> bool:
    return (now == 0 and before >= _FEW_ROWS) or (before >= _MANY_ROWS and now < before * _SHRUNK_TO)
