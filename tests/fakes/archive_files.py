"""Named files whose manifests are in a catalog in memory; the files themselves are real."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ops.errors import ArchiveCorrupt, BackupNotFound
from ops.model.manifest import Manifest
from ops.ports import LoadSource, Reporter
from tests.fakes.archives import FakeArchives


class FakeArchiveFiles:
    """Every file without a manifest is a foreign custom archive."""

    def __init__(self, *catalogs: FakeArchives) -> None:
        self.catalogs = catalogs

    def probe(self, path: Path) -> LoadSource:
        if not path.exists():
            raise BackupNotFound(f"there is no file {path}")
        return LoadSource(path, "custom", is_foreign=True)

    def manifest_beside(self, path: Path) -> Manifest | None:
        found = [one for catalog in self.catalogs for one in catalog.manifests() if catalog.path(one) == path]
        return found[0] if found else None

    def digest(self, path: Path, report: Reporter) -> tuple[int, str]:
        if not path.exists():
            raise ArchiveCorrupt(f"{path} cannot be read")
        content = path.read_bytes()
        return len(content), hashlib.sha256(content).hexdigest()
