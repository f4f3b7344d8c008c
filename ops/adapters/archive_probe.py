"""What kind of dump lies at a path, and which bytes does it hold without the compression around it?"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import zstandard

from ops.adapters.durable_files import size_and_sha256
from ops.errors import ArchiveCorrupt, BackupNotFound, RestoreRefused
from ops.model.archive_kind import HEAD_BYTES, Compression, compression_of, detect
from ops.model.backup_id import is_id, manifest_name
from ops.model.manifest import Manifest
from ops.model.manifest_json import from_json
from ops.ports import LoadSource, Reporter

BLOCK_BYTES = 1 << 20


def probe(path: Path) -> LoadSource:
    """Tell by content what a foreign file is.

    Raises: BackupNotFound (no such file), RestoreRefused (no dump), ArchiveCorrupt (its compression is broken).
    """
    if not path.exists():
        raise BackupNotFound(f"there is no file {path}", hint="inv backups")
    is_directory = path.is_dir()
    file = path / "toc.dat" if is_directory else path
    if is_directory and not file.exists():
        raise RestoreRefused(f"{path} cannot be restored", cause="it is a folder without a toc.dat")
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
    except OSError as exc:
        raise RestoreRefused(f"{file} cannot be read", cause=exc.strerror, hint=f"ls -l {file}") from exc
    compression = compression_of(head)
    if compression != "none":
        head = _head(plain_blocks(file, compression))
    kind = detect(head, compression=compression, is_directory=is_directory)
    if isinstance(kind, str):
        raise RestoreRefused(f"{path} cannot be restored", cause=f"it is {kind}")
    return LoadSource(path, kind.format, kind.compression, is_foreign=True)


def plain_blocks(path: Path, compression: Compression) -> Iterator[bytes]:
    """The file's content without the compression around it, in blocks.

    Raises: ArchiveCorrupt where the compressed stream is damaged or cut short.
    """
    with path.open("rb") as file:
        yield from decompressed(iter(lambda: file.read(BLOCK_BYTES), b""), compression, path.name)


def decompressed(blocks: Iterator[bytes], compression: Compression, name: str) -> Iterator[bytes]:
    """What is inside of compressed blocks. Raises: ArchiveCorrupt, where they are damaged or cut short."""
    if compression == "none":
        yield from blocks
        return
    try:
        yield from _gunzip(blocks) if compression == "gzip" else _unzstd(blocks)
    except (zlib.error, zstandard.ZstdError, EOFError) as exc:
        raise ArchiveCorrupt(
            f"{name} does not decompress to its end", cause=str(exc), hint="copy it again from where it came"
        ) from exc


def _gunzip(blocks: Iterator[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    for block in blocks:
        left = block
        while left:
            if member.eof:
                if not left.strip(b"\0"):
                    break
                member = zlib.decompressobj(wbits=31)
            yield member.decompress(left, BLOCK_BYTES)
            left = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise EOFError("the gzip stream is cut short")


def _unzstd(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Frame by frame: the library's stream functions take a frame that is cut short for a whole one."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    for block in blocks:
        left = block
        while left:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(left)
            left = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise EOFError("the zstd frame is cut short")


def _head(blocks: Iterator[bytes]) -> bytes:
    head = b""
    for block in blocks:
        head += block
        if len(head) >= HEAD_BYTES:
            break
    return head[:HEAD_BYTES]


class NamedFiles:
    """The `ArchiveFiles` port on the disk."""

    def probe(self, path: Path) -> LoadSource:
        """Tell by content what a foreign file is. Raises as the function `probe` does."""
        return probe(path)

    def manifest_beside(self, path: Path) -> Manifest | None:
        """The manifest of the backup whose archive or manifest `path` is. Raises: ManifestInvalid."""
        id = path.name.split(".")[0]
        beside = path.with_name(manifest_name(id))
        if not is_id(id) or not beside.is_file():
            return None
        manifest = from_json(beside.read_bytes(), beside.name)
        return manifest if path.name in {manifest.archive, beside.name} else None

    def digest(self, path: Path, report: Reporter) -> tuple[int, str]:
        """Size and SHA-256 of a file; size and "" of a folder. Raises: ArchiveCorrupt (unreadable, gone)."""
        try:
            if path.is_dir():
                return sum(file.stat().st_size for file in path.iterdir()), ""
            return size_and_sha256(path, on_progress=lambda done, total: report.progress("check", done, total))
        except OSError as exc:
            raise ArchiveCorrupt(f"{path} cannot be read", cause=exc.strerror, hint="inv backups") from exc
