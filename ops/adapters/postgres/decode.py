"""Does an archive decode to its end with the server's own tools, and how is it restored by hand?"""

from __future__ import annotations

from pathlib import Path

from ops.ports import ToolRunner


def decode(tools: ToolRunner, archive: Path) -> None:
    """Read a custom-format archive through to its end. Raises: ArchiveCorrupt."""
    raise NotImplementedError


def restore_by_hand(archive_name: str, database: str) -> str:
    """The shell line that restores an archive of ours into a new database `database` without us."""
    raise NotImplementedError
