"""Does an archive decode to its end with the server's own tools, and how is it restored by hand?

`pg_restore --list` accepts a file cut in half; only decoding all of it does not. In an uncompressed archive
flipped bytes decode too: the SHA-256 in the manifest is what finds those.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from ops.errors import ArchiveCorrupt
from ops.ports import ToolRunner


def decode(tools: ToolRunner, archive: Path) -> None:
    """Read a custom-format archive through to its end.

    Raises:
        ArchiveCorrupt: it does not decode; the tool's last lines are the cause.
        ArchiveUnwritable, EngineUnreachable: the programs could not be given the file.
    """
    with tools.place(archive) as placed:
        result = tools.run(["pg_restore", "--file=/dev/null", placed])
    if result.exit_code != 0:
        raise ArchiveCorrupt(
            f"{archive.name} does not decode",
            cause=" ".join(result.stderr.strip().splitlines()[-3:]) or f"pg_restore ended with {result.exit_code}",
            hint="inv backups, then take another backup: inv backup",
        )


def restore_by_hand(archive_name: str, database: str) -> str:
    """The shell line that restores an archive of ours into a new database without us."""
    name = shlex.quote(f"{database}_restored")
    return (
        f"createdb --template=template0 {name}"
        f" && pg_restore --exit-on-error --no-owner --no-privileges --dbname={name} {shlex.quote(archive_name)}"
    )
