"""How does a file get onto the disk so that a crash leaves the old one or the new one, whole?

Everything is written beside its place as `.partial`, flushed to the disk, renamed, and the folder flushed too.
Files are 0600 and folders 0700 whatever the umask.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

PARTIAL = ".partial"
BLOCK_BYTES = 1 << 20


def open_new(path: Path) -> int:
    """Make a file that does not exist yet, for writing, 0600; gives its descriptor."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    _hand_over(descriptor, path.parent)
    return descriptor


def _hand_over(made: int | Path, folder: Path) -> None:
    """Give what root made to the owner of the folder it lies in: the scheduler runs as that user and must read it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(made, owner.st_uid, owner.st_gid)


def write_all(descriptor: int, block: bytes) -> None:
    """Write the whole block: one `write` may take only a part of it."""
    left = memoryview(block)
    while left:
        left = left[os.write(descriptor, left) :]


def make_folder(path: Path) -> None:
    """Make a folder and its parents, 0700; a folder that is there gets that mode too."""
    if not path.is_dir():
        make_parents = not path.parent.is_dir()
        if make_parents:
            make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        _hand_over(path, path.parent)
        flush_folder(path.parent)
    if path.stat().st_mode & 0o777 != 0o700:
        path.chmod(0o700)


def flush_folder(path: Path) -> None:
    """Make what was renamed, made or removed in a folder outlive a crash."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_partial(path: Path, text: str) -> Path:
    """Write `path` + `.partial` and flush it; one that a killed run left is replaced. Gives its path."""
    partial = path.with_name(path.name + PARTIAL)
    partial.unlink(missing_ok=True)
    descriptor = open_new(partial)
    try:
        write_all(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return partial


def replace_text(path: Path, text: str) -> None:
    """Replace a text file, or make it: afterwards it is the old one or the new one, never a part."""
    write_partial(path, text).rename(path)
    flush_folder(path.parent)


def size_and_sha256(path: Path, *, on_progress: Callable[[int, int], None] | None = None) -> tuple[int, str]:
    """Read a file as it lies on the disk, not as the page cache has it where that can be avoided.

    Args:
        path: a regular file; a symbolic link is not followed.
        on_progress: called with (bytes done, bytes in all).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor has no path
        total = os.fstat(descriptor).st_size
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        digest, done = hashlib.sha256(), 0
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            done += len(block)
            if on_progress is not None:
                on_progress(done, total)
    return done, digest.hexdigest()
