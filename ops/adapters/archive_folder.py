"""Where do a stack's backups lie on disk, and how is one made to exist, read and removed?

One folder per stack, one archive and one manifest per backup. What a crash leaves is told apart by one rule: a
manifest `<id>.json` makes `<id>`'s archive a backup; a `<id>.json.partial` without it condemns the archive, since it
stands there only while a backup is being committed or deleted. An archive with neither is somebody else's and left
alone. Order of a commit: archive flushed and read back, `.json.partial`, archive renamed, manifest renamed.
Order of a deletion: manifest renamed to `.json.partial`, archive removed, `.json.partial` removed.

Source: the ordering rules of restic's doc/design.rst, "Read and Write Ordering".
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from ops.adapters.durable_files import PARTIAL, flush_folder, make_folder, replace_text, size_and_sha256
from ops.adapters.partial_archive import FolderArchive, free_space_bytes, written_to
from ops.collecting import without_collecting
from ops.errors import ArchiveCorrupt, ArchiveUnwritable, BackupNotFound, ConfigurationError, ManifestInvalid, OpsError
from ops.model.backup_id import is_id, manifest_name, time_of
from ops.model.manifest import Manifest
from ops.model.manifest_json import from_json, merged
from ops.ports import Reporter

_READ_BYTES = 1 << 16
_Identity = tuple[int, int, int, int]
"""Inode, size, and both times of a file in nanoseconds: manifests are replaced by renaming, so another one differs."""
_STACK = re.compile(r"[a-z0-9][a-z0-9_-]*")


def _pass_by(step: str) -> None:
    """The checkpoint of every run but a test's."""


def why_unwritable(folder: Path) -> str:
    """Why this process can put no backup into the folder, or make it; empty where it can."""
    there = next(one for one in (folder, *folder.parents) if os.path.exists(one))  # noqa: PTH110 - raises nothing
    if os.access(there, os.W_OK | os.X_OK):
        return ""
    return f"user {os.geteuid()} cannot write to {there}: no backup can be made; chown {os.geteuid()} the folder"


class ArchiveFolder:
    """The `Archives` port on a folder.

    Args:
        root: the folder of all stacks' backups (`BACKUP_DIR`); made when the first backup begins.
        stack: whose backups; the folder's name in `root`.
        checkpoint: called with the name of each step once it is done, so that a test can stop there.
    """

    def __init__(self, root: Path, stack: str, *, checkpoint: Callable[[str], None] = _pass_by) -> None:
        if not _STACK.fullmatch(stack):
            raise ConfigurationError(f"{stack!r} cannot name a folder of backups", hint="set COMPOSE_PROJECT_NAME")
        self._folder = root / stack
        self._stack = stack
        self._checkpoint = checkpoint
        self._read: dict[str, tuple[_Identity, Manifest]] = {}

    def manifests(self) -> tuple[Manifest, ...]:
        """All backups, newest first, rebuilt from the manifests."""
        return self.survey()[0]

    def broken(self) -> tuple[str, ...]:
        """What lies in the folder and is no backup, one sentence each, sorted by file name."""
        return tuple(f"{name}: {reason}" for name, reason in sorted(self._scan()[1].items()))

    def damaged(self) -> tuple[tuple[str, str], ...]:
        """Backups that count no longer, newest first: (id, why: manifest unreadable, archive missing or cut)."""
        return self.survey()[1]

    def survey(self) -> tuple[tuple[Manifest, ...], tuple[tuple[str, str], ...]]:
        """What `manifests` and `damaged` say, of one reading of the folder."""
        found, wrong = self._scan()
        damaged = {name.removesuffix(".json"): reason for name, reason in wrong.items() if _is_manifest(name)}
        return (
            tuple(sorted(found, key=lambda manifest: manifest.id, reverse=True)),
            tuple(sorted(damaged.items(), reverse=True)),
        )

    def begin(self, backup_id: str) -> FolderArchive:
        """Start an archive. Raises: ArchiveUnwritable."""
        time_of(backup_id)
        with written_to(self._folder):
            make_folder(self._folder)
            archive = FolderArchive(self._folder, backup_id, self._checkpoint)
        self._checkpoint("begun")
        return archive

    def find(self, backup_id: str) -> Manifest:
        """One backup. Raises: BackupNotFound, ManifestInvalid."""
        time_of(backup_id)
        path = self._folder / manifest_name(backup_id)
        try:
            text, _ = _read_file(path)
        except FileNotFoundError as exc:
            raise BackupNotFound(
                f"no backup {backup_id} of {self._stack}", cause=f"{path}: {exc.strerror}", hint="inv backups"
            ) from exc
        except OSError as exc:
            raise ManifestInvalid(f"the manifest {path.name} cannot be read", cause=f"{path}: {exc.strerror}") from exc
        return self._parsed(text, path.name)

    def path(self, manifest: Manifest) -> Path:
        """Where its archive lies. Raises: ArchiveCorrupt (missing, no regular file, or of another size)."""
        path = self._folder / manifest.archive
        try:
            found = path.lstat()
        except OSError as exc:
            raise ArchiveCorrupt(
                f"the archive of {manifest.id} is missing", cause=f"{path}: {exc.strerror}", hint="inv backups"
            ) from exc
        if not stat.S_ISREG(found.st_mode):
            raise ArchiveCorrupt(f"the archive of {manifest.id} is no regular file: {path}", hint="inv backups")
        _refuse_difference(manifest, found.st_size, manifest.sha256)
        return path

    def place(self, manifest: Manifest) -> str:
        """Where its archive lies, without a look at it."""
        return f"{self._folder}/{manifest.archive}"

    def check(self, manifest: Manifest, report: Reporter) -> None:
        """Read the archive again and compare size and SHA-256. Raises: ArchiveCorrupt."""
        path = self.path(manifest)
        try:
            size_bytes, sha256 = size_and_sha256(
                path, on_progress=lambda done, total: report.progress("read back", done, total)
            )
        except OSError as exc:
            raise ArchiveCorrupt(
                f"the archive of {manifest.id} cannot be read", cause=f"{path}: {exc.strerror}", hint="inv backups"
            ) from exc
        _refuse_difference(manifest, size_bytes, sha256)

    def update(self, manifest: Manifest) -> None:
        """Replace a manifest atomically; keys of a later version are kept. Raises: BackupNotFound."""
        self.find(manifest.id)
        path = self._folder / manifest_name(manifest.id)
        with written_to(self._folder):
            replace_text(path, merged(_read_file(path)[0].decode(), manifest))
        self._checkpoint("manifest replaced")

    def delete(self, manifest: Manifest) -> None:
        """Remove a backup: the manifest first, so that a kill leaves no bad backup. Deleting twice is harmless."""
        path = self._folder / manifest_name(manifest.id)
        condemned = path.with_name(path.name + PARTIAL)
        with written_to(self._folder):
            with suppress(FileNotFoundError):
                path.rename(condemned)
                flush_folder(self._folder)
                self._checkpoint("manifest removed")
            if condemned.exists():
                (self._folder / manifest.archive).unlink(missing_ok=True)
                self._checkpoint("archive removed")
                condemned.unlink()
            flush_folder(self._folder)

    def clean(self) -> tuple[str, ...]:
        """Remove what a killed run left - partials, and archives they condemn; returns the file names, sorted."""
        names = {entry.name for entry in self._entries() if entry.is_file(follow_symlinks=False)}
        left = {name for name in names if name.endswith(PARTIAL) and is_id(name.split(".")[0])}
        condemned = {name.split(".")[0] for name in left if name == manifest_name(name.split(".")[0]) + PARTIAL}
        kept = {name.split(".")[0] for name in names if name == manifest_name(name.split(".")[0])}
        archives = {name for name in names - left if name.split(".")[0] in condemned - kept}
        with written_to(self._folder):
            for name in (*sorted(archives), *sorted(left)):
                (self._folder / name).unlink(missing_ok=True)
            if left:
                flush_folder(self._folder)
        return tuple(sorted(archives | left))

    def free_space_bytes(self) -> int:
        """Room in the folder, or in the nearest one above it that is there."""
        return free_space_bytes(self._folder)

    def _entries(self) -> tuple[os.DirEntry[str], ...]:
        try:
            with os.scandir(self._folder) as entries:
                return tuple(entries)
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise ArchiveUnwritable(
                f"the backup folder {self._folder} cannot be read", cause=exc.strerror, hint=f"ls -ld {self._folder}"
            ) from exc

    def _scan(self) -> tuple[list[Manifest], dict[str, str]]:
        """The backups, and what is none; each file is looked at once, and read again only where it is another one."""
        sizes: dict[str, int] = {}
        written: dict[str, os.DirEntry[str]] = {}
        wrong: dict[str, str] = {}
        for entry in self._entries():
            if not entry.is_file(follow_symlinks=False):
                wrong[entry.name] = "not a regular file, so left alone"
            elif entry.name.endswith(".json"):
                written[entry.name] = entry
            else:
                with suppress(FileNotFoundError):  # gone since the folder was listed
                    sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
        known, self._read = self._read, {}
        found: list[Manifest] = []
        with without_collecting():
            for name, entry in written.items():
                try:
                    found.append(self._good(entry, known.get(name), sizes))
                except FileNotFoundError:
                    continue
                except OpsError as exc:
                    wrong[name] = exc.cause or exc.message
        for name in sizes:
            if name.endswith(PARTIAL):
                wrong[name] = "left by a run that did not finish; the next backup removes it"
            elif manifest_name(name.split(".")[0]) not in written:
                wrong[name] = "no manifest says that it is a backup"
        return found, wrong

    def _good(
        self, entry: os.DirEntry[str], known: tuple[_Identity, Manifest] | None, sizes: Mapping[str, int]
    ) -> Manifest:
        if known is None or known[0] != _identity(entry.stat(follow_symlinks=False)):
            known = self._opened(entry.name)
        self._read[entry.name] = known
        manifest = known[1]
        size_bytes = sizes.get(manifest.archive)
        if size_bytes is None:
            raise ArchiveCorrupt(f"its archive {manifest.archive} is missing")
        _refuse_difference(manifest, size_bytes, manifest.sha256)
        return manifest

    def _opened(self, name: str) -> tuple[_Identity, Manifest]:
        try:
            text, file = _read_file(f"{self._folder}/{name}")
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise ManifestInvalid(f"the manifest {name} cannot be read", cause=exc.strerror) from exc
        return _identity(file), self._parsed(text, name)

    def _parsed(self, text: bytes, name: str) -> Manifest:
        manifest = from_json(text, name)
        if manifest_name(manifest.id) != name or not manifest.archive.startswith(f"{manifest.id}."):
            raise ManifestInvalid(f"the manifest {name} is that of {manifest.id} ({manifest.archive})")
        if manifest.stack != self._stack:
            raise ManifestInvalid(
                f"the manifest {name} belongs to the stack {manifest.stack}, not to {self._stack}",
                hint=f"inv restore --from-stack {manifest.stack} --file {name.removesuffix('.json')}",
            )
        return manifest


def _is_manifest(name: str) -> bool:
    return name.endswith(".json") and is_id(name.removesuffix(".json"))


def _refuse_difference(manifest: Manifest, size_bytes: int, sha256: str) -> None:
    if size_bytes != manifest.size_bytes:
        raise ArchiveCorrupt(
            f"the archive {manifest.archive} has {size_bytes} bytes, its manifest says {manifest.size_bytes}",
            hint="inv backups",
        )
    if sha256 != manifest.sha256:
        raise ArchiveCorrupt(
            f"the archive {manifest.archive} is not what was written",
            cause=f"SHA-256 is {sha256}, the manifest says {manifest.sha256}",
            hint="inv backups",
        )


def _identity(file: os.stat_result) -> _Identity:
    return (file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns)


def _read_file(path: Path | str) -> tuple[bytes, os.stat_result]:
    # Without O_NONBLOCK the opening of a FIFO waits for its writer for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        file = os.fstat(descriptor)
        if not stat.S_ISREG(file.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        text = os.read(descriptor, file.st_size + 1)
        while len(text) < file.st_size and (block := os.read(descriptor, _READ_BYTES)):
            text += block
        return text, file
    finally:
        os.close(descriptor)
