"""How does an archive get onto the disk whole, and how does it become a backup?

Written under a name of its own, flushed, read back from the disk and compared; then its manifest is written beside it
as `.partial`, the archive renamed, the manifest renamed. Whatever stops it before the last step leaves no backup.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ops.adapters.durable_files import PARTIAL, flush_folder, open_new, size_and_sha256, write_all, write_partial
from ops.errors import ArchiveCorrupt, ArchiveUnwritable
from ops.model.backup_id import manifest_name
from ops.model.manifest import Manifest
from ops.model.manifest_json import to_json

_UNWRITABLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO, errno.ENOTDIR,
    errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOENT,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Written:
    size_bytes: int
    sha256: str


class FolderArchive:
    """The `PartialArchive` port: one archive on its way to becoming a backup."""

    def __init__(self, folder: Path, backup_id: str, checkpoint: Callable[[str], None]) -> None:
        self._folder = folder
        self._id = backup_id
        self._checkpoint = checkpoint
        self._path = folder / f"{backup_id}{PARTIAL}"
        self._placed: Path | None = None
        self._digest = hashlib.sha256()
        self._size_bytes = 0
        self._written: _Written | None = None
        self._is_committed = False
        self._descriptor: int | None = open_new(self._path)

    @property
    def path(self) -> Path:
        """The `.partial` file."""
        return self._path

    def write(self, block: bytes) -> None:
        """Append. Raises: ArchiveUnwritable."""
        if self._descriptor is None:
            raise ValueError("the archive is finished")
        with written_to(self._folder):
            write_all(self._descriptor, block)
        self._digest.update(block)
        self._size_bytes += len(block)

    def finish(self) -> tuple[int, str]:
        """Flush, read back from the disk, compare; gives (size_bytes, sha256).

        Raises: ArchiveUnwritable; ArchiveCorrupt where the disk gives back something else.
        """
        if self._descriptor is None:
            raise ValueError("the archive is finished already")
        self._checkpoint("written")
        with written_to(self._folder):
            os.fsync(self._descriptor)
            self._close()
            self._checkpoint("flushed")
            read = _Written(*size_and_sha256(self._path))
        sent = _Written(self._size_bytes, self._digest.hexdigest())
        if read != sent:
            raise ArchiveCorrupt(
                f"the disk gives back another archive than was written: {self._path}",
                cause=f"{sent.size_bytes} bytes {sent.sha256} written, {read.size_bytes} bytes {read.sha256} read",
                hint="check the disk: dmesg | tail",
            )
        self._written = read
        self._checkpoint("read back")
        return read.size_bytes, read.sha256

    def commit(self, manifest: Manifest) -> None:
        """Rename the archive into place, then its manifest: from then on it is a backup. Raises: ArchiveUnwritable."""
        if self._written != _Written(manifest.size_bytes, manifest.sha256) or manifest.id != self._id:
            raise ValueError("the manifest is not that of the archive that was finished")
        place = self._folder / manifest.archive
        if place.name != manifest.archive or not place.name.startswith(f"{self._id}.") or place.exists():
            raise ValueError(f"an archive cannot be called {manifest.archive}")
        with written_to(self._folder):
            partial = write_partial(self._folder / manifest_name(self._id), to_json(manifest))
            self._checkpoint("manifest written")
            self._placed = place
            self._path.rename(place)
            flush_folder(self._folder)
            self._checkpoint("archive renamed")
            partial.rename(self._folder / manifest_name(self._id))
            self._is_committed = True
            flush_folder(self._folder)
        self._checkpoint("manifest renamed")

    def abort(self) -> None:
        """Remove what was written; harmless after `commit`, and twice."""
        self._close()
        if self._is_committed:
            return
        manifest = self._folder / manifest_name(self._id)
        with suppress(OSError):
            for path in (self._path, self._placed, manifest.with_name(manifest.name + PARTIAL)):
                if path is not None:
                    path.unlink(missing_ok=True)
            flush_folder(self._folder)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def free_space_bytes(folder: Path) -> int:
    """Room in a folder, or in the nearest one above it that is there."""
    for path in (folder, *folder.parents):
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            room = os.statvfs(path)
            return room.f_bavail * room.f_frsize
    return 0


@contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into ArchiveUnwritable, with the room that is left."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in _UNWRITABLE:
            raise
        raise ArchiveUnwritable(
            f"the backup folder {folder} cannot be written to",
            cause=f"{exc.strerror} ({free_space_bytes(folder)} bytes free)",
            hint=f"df -h {folder}; ls -ld {folder}",
        ) from exc
