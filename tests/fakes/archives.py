"""A catalog of backups in memory (the archives themselves are files, because the port hands out paths)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ops.errors import ArchiveCorrupt, ArchiveUnwritable, BackupNotFound
from ops.model.manifest import Manifest
from ops.ports import Reporter


class FakeArchives:
    """`room` is the free space; `log` lists what was done; `fails_at` raises in that step of an archive."""

    def __init__(self, folder: Path, *manifests: Manifest, room: int = 10**9) -> None:
        self.folder = folder
        self.room = room
        self.log: list[str] = []
        self.fails_at: str = ""
        self.partials: list[str] = []
        self.damage: tuple[tuple[str, str], ...] = ()
        self._manifests = {manifest.id: manifest for manifest in manifests}

    def manifests(self) -> tuple[Manifest, ...]:
        return tuple(self._manifests[id] for id in sorted(self._manifests, reverse=True))

    def broken(self) -> tuple[str, ...]:
        return tuple(f"{partial}: left by a run that did not finish" for partial in self.partials)

    def damaged(self) -> tuple[tuple[str, str], ...]:
        return self.damage

    def survey(self) -> tuple[tuple[Manifest, ...], tuple[tuple[str, str], ...]]:
        return self.manifests(), self.damaged()

    def begin(self, backup_id: str) -> FakeArchive:
        self.log.append(f"begin {backup_id}")
        return FakeArchive(self, backup_id)

    def find(self, backup_id: str) -> Manifest:
        if backup_id not in self._manifests:
            raise BackupNotFound(f"no backup {backup_id}", hint="inv backups")
        return self._manifests[backup_id]

    def path(self, manifest: Manifest) -> Path:
        return self.folder / manifest.archive

    def place(self, manifest: Manifest) -> str:
        return str(self.folder / manifest.archive)

    def check(self, manifest: Manifest, report: Reporter) -> None:
        path = self.path(manifest)
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != manifest.sha256:
            raise ArchiveCorrupt(f"the archive {manifest.archive} is not what was written", hint="inv backups")

    def update(self, manifest: Manifest) -> None:
        self.find(manifest.id)
        self._manifests[manifest.id] = manifest
        self.log.append(f"update {manifest.id}")

    def delete(self, manifest: Manifest) -> None:
        self._manifests.pop(manifest.id, None)
        self.path(manifest).unlink(missing_ok=True)
        self.log.append(f"delete {manifest.id}")

    def clean(self) -> tuple[str, ...]:
        left, self.partials = tuple(self.partials), []
        return left

    def free_space_bytes(self) -> int:
        return self.room


class FakeArchive:
    def __init__(self, archives: FakeArchives, backup_id: str) -> None:
        self._archives = archives
        self._id = backup_id
        self._content = b""
        self._is_committed = False

    @property
    def path(self) -> Path:
        return self._archives.folder / f"{self._id}.partial"

    def write(self, block: bytes) -> None:
        if len(self._content) + len(block) > self._archives.room:
            raise ArchiveUnwritable("the backup folder cannot be written to", cause="No space left on device")
        self._content += block

    def finish(self) -> tuple[int, str]:
        self._fail_at("finish", ArchiveCorrupt("the disk gives back another archive"))
        self.path.write_bytes(self._content)
        return len(self._content), hashlib.sha256(self._content).hexdigest()

    def commit(self, manifest: Manifest) -> None:
        self._fail_at("commit", ArchiveUnwritable("the backup folder cannot be written to"))
        self.path.rename(self._archives.path(manifest))
        self._archives._manifests[manifest.id] = manifest
        self._archives.log.append(f"commit {manifest.id}")
        self._is_committed = True

    def abort(self) -> None:
        if not self._is_committed:
            self.path.unlink(missing_ok=True)
            self._archives.log.append(f"abort {self._id}")

    def _fail_at(self, step: str, error: Exception) -> None:
        if self._archives.fails_at == step:
            raise error
