"""How are a stack's backups kept in a second folder: another disk, a network mount?

The folder itself must be there: one that is missing is a disk that is not mounted, and making it would fill the wrong
one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from ops.adapters.durable_files import (
    BLOCK_BYTES,
    PARTIAL,
    flush_folder,
    make_folder,
    open_new,
    replace_text,
    size_and_sha256,
    write_all,
)
from ops.errors import OffsiteFailed
from ops.model.backup_id import is_id
from ops.ports import Reporter

_ABANDONED: Final = timedelta(days=2)


class FolderStore:
    """The `OffsiteStore` port on a folder.

    Args:
        name: the target's.
        root: the folder of all stacks' copies.
        stack: whose; the folder's name in `root`.
    """

    def __init__(self, name: str, root: Path, stack: str) -> None:
        self._name = name
        self._root = root
        self._folder = root / stack

    @property
    def name(self) -> str:
        """What the target is called."""
        return self._name

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return str(self._folder)

    def sizes(self) -> Mapping[str, int]:
        """Every whole file -> its size in bytes."""
        with self._translated("listed"):
            self._refuse_missing()
            if not self._folder.is_dir():
                return {}
            return {
                entry.name: entry.stat(follow_symlinks=False).st_size
                for entry in os.scandir(self._folder)
                if entry.is_file(follow_symlinks=False) and not entry.name.endswith(PARTIAL)
            }

    def read(self, name: str) -> bytes:
        """A small file."""
        with self._translated("read"):
            return (self._folder / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write or replace a small file, all of it or nothing."""
        with self._translated("written to"):
            self._refuse_missing()
            make_folder(self._folder)
            replace_text(self._folder / name, content.decode())

    def upload(self, path: Path, name: str, sha256: str, report: Reporter) -> None:
        """Copy a local file there, read it back, and only then give it its name."""
        with self._translated("written to"):
            self._refuse_missing()
            make_folder(self._folder)
            partial = self._folder / f"{name}{PARTIAL}"
            partial.unlink(missing_ok=True)
            try:
                self._copy(path, partial, report)
                self._refuse_difference(partial, name, path.stat().st_size, sha256)
                partial.rename(self._folder / name)
                flush_folder(self._folder)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise

    def _refuse_difference(self, partial: Path, name: str, size_bytes: int, sha256: str) -> None:
        found = size_and_sha256(partial)
        if found != (size_bytes, sha256):
            raise OffsiteFailed(
                f"{self.place} gives back another {name} than was to be copied",
                cause=f"{found[0]} bytes, SHA-256 {found[1][:16]}..., expected {size_bytes} and {sha256[:16]}...",
            )

    def _copy(self, path: Path, partial: Path, report: Reporter) -> None:
        total, done = path.stat().st_size, 0
        descriptor = open_new(partial)
        try:
            with path.open("rb") as file:
                while block := file.read(BLOCK_BYTES):
                    write_all(descriptor, block)
                    done += len(block)
                    report.progress(f"copy to {self._name}", done, total)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def blocks(self, name: str) -> Iterator[bytes]:
        """The content of a file."""
        with self._translated("read"), (self._folder / name).open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block

    def delete(self, name: str) -> None:
        """Remove a file; harmless where it is not there."""
        with self._translated("changed"):
            (self._folder / name).unlink(missing_ok=True)

    def clean(self, now: datetime) -> tuple[str, ...]:
        """Remove what copies that were killed left and nobody has written to for two days.

        The next copy of the same backup replaces it sooner; but there may be none, where retention was faster.
        """
        removed = []
        with self._translated("cleaned"):
            self._refuse_missing()
            for path in sorted(self._folder.glob(f"*{PARTIAL}")):
                with suppress(FileNotFoundError):  # a copy that got its name at this very moment
                    written_at = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
                    if is_id(path.name.split(".")[0]) and now - written_at > _ABANDONED:
                        path.unlink()
                        removed.append(f"an unfinished copy {path.name}")
        return tuple(removed)

    def _refuse_missing(self) -> None:
        if not self._root.is_dir():
            raise OffsiteFailed(
                f"the off-site folder {self._root} is not there", cause="not mounted?", hint=f"ls -ld {self._root}"
            )

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise OffsiteFailed(
                f"the off-site folder {self._folder} cannot be {what}", cause=exc.strerror, hint=f"df -h {self._root}"
            ) from exc
