"""Which kind of throwaway does an archive need?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ops.model.manifest import Manifest
from ops.ports import Database, Reporter, Throwaways


@dataclass(frozen=True, slots=True)
class ByFormat:
    """The `Throwaways` port for a stack whose archives may be of both kinds; each is built when it is needed."""

    sqlite: Throwaways
    postgres: Callable[[], Throwaways]

    def server(self, manifest: Manifest, report: Reporter) -> AbstractContextManager[Database]:
        """One that takes the archive's format."""
        chosen = self.sqlite if manifest.format == "sqlite" else self.postgres()
        return chosen.server(manifest, report)

    def clean(self) -> tuple[str, ...]:
        """Remove what killed drills of both kinds left."""
        return (*self.sqlite.clean(), *self.postgres().clean())
