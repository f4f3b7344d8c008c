"""How does a SQLite database become an archive, and an archive a database again?

An archive is the file that the online backup API gives, checked by SQLite itself, then compressed by zstd with its
checksum. `zstd -d` gives the database back without us.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import zstandard

from ops.adapters.archive_probe import decompressed, plain_blocks
from ops.adapters.durable_files import BLOCK_BYTES
from ops.adapters.sqlite.sessions import BUSY_TIMEOUT_S, copy_into, damage, opened
from ops.errors import ArchiveCorrupt
from ops.model.archive_kind import HEAD_BYTES, Compression, compression_of
from ops.ports import Reporter

_LEVEL = 3


@contextmanager
def passing_folder(live: Path) -> Iterator[Path]:
    """A folder (0700) beside the live file for as long as the context lasts; those of killed runs are removed first."""
    prefix = f".{live.name}.passing-"
    for left in live.parent.glob(f"{prefix}*"):
        if not _is_alive(left.name.removeprefix(prefix).split("-")[0]):
            _remove(left)
    with tempfile.TemporaryDirectory(prefix=f"{prefix}{os.getpid()}-", dir=live.parent) as folder:
        yield Path(folder)


def snapshot(source: sqlite3.Connection, path: Path, report: Reporter, *, wait_s: float) -> None:
    """Copy the database of a session into a new file that stands alone (no `-wal` beside it)."""
    with opened(path, is_new=True) as target:
        copy_into(
            source,
            target,
            wait_s=wait_s,
            on_progress=lambda done, total: report.progress("copy", done, total, unit="pages"),
        )
        target.execute("PRAGMA journal_mode = DELETE")


def compress(path: Path, write: Callable[[bytes], None], report: Reporter) -> None:
    """Send a file, compressed, to `write`."""
    total = path.stat().st_size
    packer = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, write_content_size=True).compressobj(
        size=total
    )
    done = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            done += len(block)
            if packed := packer.compress(block):
                write(packed)
            report.progress("dump", done, total)
    write(packer.flush())


def unpack(archive: Path, target: Path, compression: Compression) -> None:
    """Write an archive's database to a new file. Raises: ArchiveCorrupt, where it is damaged or cut short."""
    if archive.stat().st_size == 0:
        raise ArchiveCorrupt(f"{archive.name} is empty", cause="SQLite would take it for an empty database")
    _write_whole(target, plain_blocks(archive, compression))
    refuse_damage(target, archive)


def unpack_stream(blocks: Iterator[bytes], archive: Path, target: Path, compression: Compression) -> None:
    """As `unpack`, of an archive whose plain bytes come as a stream; only the database itself gets a file."""
    _write_whole(target, decompressed(blocks, compression, archive.name))
    refuse_damage(target, archive)


def _write_whole(target: Path, blocks: Iterator[bytes]) -> None:
    with target.open("xb") as file:
        for block in blocks:
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def copy_file(source: Path, target: Path, report: Reporter) -> None:
    """Copy a foreign database file as it is now, with what its `-wal` holds. Raises: ArchiveCorrupt."""
    try:
        with opened(source, is_read_only=True) as session:
            snapshot(session, target, report, wait_s=BUSY_TIMEOUT_S)
    except sqlite3.Error as exc:
        raise ArchiveCorrupt(f"{source.name} cannot be read as a SQLite database", cause=str(exc)) from exc
    refuse_damage(target, source)


def compression_around(archive: Path) -> Compression:
    """What wraps a file, told by its first bytes."""
    with archive.open("rb") as file:
        return compression_of(file.read(HEAD_BYTES))


def refuse_damage(path: Path, archive: Path) -> None:
    """Let SQLite check a whole file. Raises: ArchiveCorrupt."""
    try:
        with opened(path) as session:
            found = damage(session)
    except sqlite3.Error as exc:
        raise ArchiveCorrupt(f"{archive.name} holds no sound SQLite database", cause=str(exc)) from exc
    if found:
        raise ArchiveCorrupt(
            f"{archive.name} holds a damaged SQLite database", cause="; ".join(found), hint="inv backups"
        )


def restore_by_hand(archive_name: str, live: str) -> str:
    """The shell line that makes a database file of an archive of ours without us."""
    return f"zstd -d -o {shlex.quote(f'restored-{live}')} {shlex.quote(archive_name)}"


def _is_alive(pid: str) -> bool:
    return pid.isdecimal() and Path("/proc", pid).exists()


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
