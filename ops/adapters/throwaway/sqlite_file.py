"""How does a drill get a SQLite database of its own: a file in a private folder, far from the live one?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ops.adapters.sqlite.database import SqliteDatabase
from ops.adapters.throwaway.private_folder import PrivateFolders
from ops.errors import RestoreRefused
from ops.model.endpoint import SqliteEndpoint
from ops.model.manifest import Manifest
from ops.model.restore_plan import SPACE_FACTOR
from ops.ports import Clock, Reporter


@dataclass(frozen=True, slots=True)
class SqliteFiles:
    """The `Throwaways` port with files below `root`."""

    root: Path
    clock: Clock

    @contextmanager
    def server(self, manifest: Manifest, report: Reporter) -> Iterator[SqliteDatabase]:  # noqa: ARG002 - the port's
        """A folder for the file; all of it is gone afterwards."""
        with PrivateFolders(self.root).make() as folder:
            need, free = int(manifest.database.size_bytes * SPACE_FACTOR), shutil.disk_usage(folder).free
            if need > free:
                raise RestoreRefused(f"a drill of {manifest.id} needs {need} bytes, {self.root} has {free} left")
            yield SqliteDatabase(SqliteEndpoint(folder / "empty.sqlite"), clock=self.clock, by="drill")

    def clean(self) -> tuple[str, ...]:
        """Remove what killed drills left."""
        return PrivateFolders(self.root).clean()
