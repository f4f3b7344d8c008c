"""What kind of dump is a file, judged by its content?

The name is not asked: a `.sql` may hold a custom archive, a `.dump` plain text. A compressed file is judged twice,
by its own first bytes and by those inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DumpFormat = Literal["custom", "directory", "tar", "plain", "sqlite"]
Compression = Literal["none", "gzip", "zstd"]

HEAD_BYTES = 4096

_CUSTOM = b"PGDMP"
_SQLITE = b"SQLite format 3\x00"
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_OTHERS = {
    "a zip archive": (b"PK\x03\x04",),
    "compressed with bzip2": (b"BZh",),
    "compressed with xz": (b"\xfd7zXZ\x00",),
    "compressed with lz4": (b"\x04\x22\x4d\x18",),
    "encrypted with age": (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----"),
    "encrypted with PGP": (b"-----BEGIN PGP MESSAGE-----",),
}


@dataclass(frozen=True, slots=True)
class ArchiveKind:
    """A dump's format and what is wrapped around the whole file."""

    format: DumpFormat
    compression: Compression = "none"


def compression_of(head: bytes) -> Compression:
    """What a file that begins with `head` is compressed with."""
    if head.startswith(_GZIP):
        return "gzip"
    return "zstd" if head.startswith(_ZSTD) else "none"


def detect(head: bytes, *, compression: Compression = "none", is_directory: bool = False) -> ArchiveKind | str:
    """Tell a dump's kind.

    Args:
        head: the first `HEAD_BYTES` of the file, uncompressed; of `toc.dat` for a folder.
        compression: what was taken off to get at `head`.
        is_directory: whether it is a folder with a `toc.dat`.

    Returns: the kind, or why it is none, as the end of the sentence "it is ...".
    """
    if why := _no_dump(head, is_directory=is_directory):
        return why
    if head.startswith(_CUSTOM):
        return ArchiveKind("directory" if is_directory else "custom", compression)
    if head.startswith(_SQLITE):
        return ArchiveKind("sqlite", compression)
    return ArchiveKind("tar" if _is_tar(head) else "plain", compression)


def _no_dump(head: bytes, *, is_directory: bool) -> str | None:
    reasons = {
        "empty": not head,
        "a folder whose toc.dat is not PostgreSQL's": is_directory and not head.startswith(_CUSTOM),
        **{what: head.startswith(magics) for what, magics in _OTHERS.items()},
        "a tar archive, but not one of pg_dump": _is_tar(head) and not head.startswith((b"toc.dat", b"restore.sql")),
        "text in UTF-16, as PowerShell's > writes it": head.startswith((b"\xff\xfe", b"\xfe\xff")),
        "neither a dump of PostgreSQL nor SQL text": b"\x00" in head
        and not (head.startswith((_CUSTOM, _SQLITE)) or _is_tar(head)),
    }
    return next((what for what, is_so in reasons.items() if is_so), None)


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"
