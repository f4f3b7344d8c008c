"""Is our copy of the source sound? Looked at in a process of its own, for it takes as long as copying does.

Nothing may change the copy before it is known, and nothing may be written elsewhere.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ops.adapters.side_by_side import Begun
from ops.adapters.transfer import source


class DamageCheck:
    """Looks at a copy; begun at once.

    Args:
        file: the source, to be named.
        copy: our copy of it.
    """

    def __init__(self, file: Path, copy: Path) -> None:
        self._look = Begun(partial(source.refuse_damage, file, copy))

    def refuse(self) -> None:
        """Wait until it is known. Raises: ArchiveCorrupt, where the copy is damaged."""
        self._look.result()

    def end(self) -> None:
        """Nobody wants to know any more."""
        self._look.end()

    @contextlib.contextmanager
    def told_first(self) -> Iterator[None]:
        """Where SQLite cannot read the copy, say that it is damaged rather than what could not be read."""
        try:
            yield
        except sqlite3.DatabaseError:
            self.refuse()
            raise
