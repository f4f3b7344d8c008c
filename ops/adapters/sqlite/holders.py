"""Which programs have a SQLite file open?"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_PROC = Path("/proc")


def holders(file: Path) -> tuple[str, ...]:
    """`name (pid)` of each process on this machine that has the file open; those of other people may be missing.

    The name only: a command line may hold secrets. Empty where the system has no /proc.
    Source: proc(5), `/proc/<pid>/fd`.
    """
    try:
        wanted = file.stat()
    except OSError:
        return ()
    found = []
    for folder in sorted(_PROC.glob("[0-9]*"), key=lambda folder: int(folder.name)):
        if folder.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):  # it ended, or is somebody else's
            if any(_is(file_, wanted) for file_ in (folder / "fd").iterdir()):
                found.append(f"{(folder / 'comm').read_text(errors='replace').strip()} ({folder.name})")
    return tuple(found)


def _is(descriptor: Path, wanted: os.stat_result) -> bool:
    with contextlib.suppress(OSError):
        here = descriptor.stat()
        return (here.st_dev, here.st_ino) == (wanted.st_dev, wanted.st_ino)
    return False
