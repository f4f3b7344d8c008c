"""Is an archive of ours whole, told from its bytes as they stream by?

An encrypted archive's plain form is on no disk, so `pg_restore` has no file of it to read. This reads what pg_restore
would: the header, the table of contents, then every block of data, decompressed to the end of its stream; and it knows
from the contents which blocks must come, so that a cut between two blocks is found as well. What it does not do is look
at the rows: SHA-256 and a drill answer for those. A SQLite archive is decompressed and its pages are counted.
Source: PostgreSQL 18, src/bin/pg_dump/pg_backup_archiver.c (WriteHead, WriteToc) and pg_backup_custom.c.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator
from typing import Any, Final

import zstandard

from ops.errors import ArchiveCorrupt

_Reads = Generator[int, bytes, Any]
"""A reader: yields how many bytes it wants, is sent them, returns what they mean."""

_MAGIC: Final = b"PGDMP"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_SQLITE_MAGIC: Final = b"SQLite format 3\x00"
_OLDEST, _NEWEST = (1, 14), (1, 16)
_CUSTOM: Final = 1
_DATA, _LARGE_OBJECTS = 1, 3
_CODECS: Final = {0: "none", 1: "gzip", 3: "zstd"}
_MOST_BYTES: Final = 1 << 30


class StreamedProof:
    """The `ArchiveProof` port: custom-format archives of PostgreSQL 14 to 18, and SQLite archives."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._custom: _Custom | None = None
        self._sqlite: _Sqlite | None = None

    def write(self, block: bytes) -> None:
        """The next bytes. Raises: ArchiveCorrupt."""
        if self._custom is None and self._sqlite is None:
            self._held += block
            if len(self._held) < len(_MAGIC):
                return
            block = bytes(self._held)
            if block.startswith(_MAGIC):
                self._custom = _Custom()
            elif block.startswith(_ZSTD_MAGIC):
                self._sqlite = _Sqlite()
            else:
                raise _corrupt("it begins like no archive of ours")
        try:
            (self._custom or self._sqlite or _Sqlite()).write(block)
        except (zlib.error, zstandard.ZstdError, UnicodeDecodeError) as exc:
            raise _corrupt(str(exc)) from exc

    def finish(self) -> None:
        """There are no more. Raises: ArchiveCorrupt."""
        proof = self._custom or self._sqlite
        if proof is None:
            raise _corrupt("it is cut short in its first bytes")
        proof.finish()


class _Custom:
    """A custom-format archive."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._reader = _archive()
        self._wanted = next(self._reader)

    def write(self, block: bytes) -> None:
        self._buffer += block
        start = 0
        while len(self._buffer) - start >= self._wanted:
            given = bytes(self._buffer[start : start + self._wanted])
            start += self._wanted
            self._wanted = self._reader.send(given)
        del self._buffer[:start]

    def finish(self) -> None:
        if self._buffer or self._wanted != 1:
            raise _corrupt("it is cut short")
        try:
            self._reader.send(b"")
        except StopIteration:
            return


class _Sqlite:
    """A zstd frame with a SQLite database inside."""

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._head = b""
        self._size_bytes = 0

    def write(self, block: bytes) -> None:
        if self._frame.eof:
            raise _corrupt("there is something behind its end")
        plain = self._frame.decompress(block)
        self._size_bytes += len(plain)
        self._head = (self._head + plain[:100])[:100]

    def finish(self) -> None:
        if not self._frame.eof or self._frame.unused_data:
            raise _corrupt("the zstd frame is cut short, or something is behind it")
        page_size = int.from_bytes(self._head[16:18], "big")
        pages = int.from_bytes(self._head[28:32], "big")
        expected = pages * (65536 if page_size == 1 else page_size)
        if not self._head.startswith(_SQLITE_MAGIC) or self._size_bytes != expected:
            raise _corrupt(f"it holds {self._size_bytes} bytes, and a SQLite database of {expected} is wanted")


def _archive() -> _Reads:
    """All of an archive; at a place where it may end an empty answer to one byte asked for ends it."""
    head = yield 11
    version, int_size, offset_size, form = (head[5], head[6]), head[8], head[9], head[10]
    if not _OLDEST <= version <= _NEWEST or form != _CUSTOM or not 1 <= int_size <= 8 or not 1 <= offset_size <= 8:
        raise _corrupt(f"format {form}, version {version[0]}.{version[1]} is not known")
    numbers = _Numbers(int_size)
    codec = yield from _codec(numbers, version)
    for _ in range(7):  # the time of the dump
        yield from numbers.integer()
    for _ in range(3):  # database, server, pg_dump
        yield from numbers.text()
    missing = yield from _contents(numbers, version, offset_size)
    while kind := (yield 1):
        number = yield from numbers.integer()
        if number not in missing or kind[0] not in {_DATA, _LARGE_OBJECTS}:
            raise _corrupt(f"there is a block {number} of kind {kind[0]} that its contents do not list")
        missing.discard(number)
        if kind[0] == _DATA:
            yield from _stream(numbers, codec)
        else:
            while (yield from numbers.integer()):
                yield from _stream(numbers, codec)
    if missing:
        raise _corrupt(f"it is cut short: {len(missing)} blocks of data that its contents list are not there")


def _codec(numbers: _Numbers, version: tuple[int, int]) -> _Reads:
    if version >= (1, 15):
        found = yield 1
        if not found:
            raise _corrupt("it is cut short in its header")
        number = found[0]
    else:
        number = 1 if (yield from numbers.integer()) else 0
    if number not in _CODECS:
        raise _corrupt(f"compression {number} cannot be read here")
    return _CODECS[number]


def _contents(numbers: _Numbers, version: tuple[int, int], offset_size: int) -> _Reads:
    """The table of contents; the numbers of the entries that have data."""
    found: set[int] = set()
    for _ in range((yield from numbers.integer())):
        number = yield from numbers.integer()
        has_data = yield from numbers.integer()
        for _ in range(4):  # table oid, oid, tag, kind
            yield from numbers.text()
        yield from numbers.integer()  # section
        for _ in range(6):  # definition, drop, copy, schema, tablespace, access method
            yield from numbers.text()
        if version >= (1, 16):
            yield from numbers.integer()  # kind of relation
        for _ in range(2):  # owner, with oids
            yield from numbers.text()
        while (yield from numbers.text()) is not None:  # dependencies
            pass
        yield 1 + offset_size  # where the data is, which a stream does not know
        if has_data:
            found.add(number)
    return found


def _stream(numbers: _Numbers, codec: str) -> _Reads:
    """One compressed stream in its chunks, to its end."""
    unpacker: Any = None
    if codec != "none":
        unpacker = zlib.decompressobj() if codec == "gzip" else zstandard.ZstdDecompressor().decompressobj()
    has_data = False
    while length := (yield from numbers.integer()):
        block = yield numbers.length(length)
        has_data = True
        if unpacker is not None:
            if unpacker.eof:
                raise _corrupt("there is something behind the end of a compressed stream")
            unpacker.decompress(block)
    if unpacker is not None and has_data and not unpacker.eof:
        raise _corrupt("a compressed stream is cut short")


class _Numbers:
    """Integers and texts as the archive's header says that they are written."""

    def __init__(self, size: int) -> None:
        self._size = size

    def integer(self) -> _Reads:
        """A sign, then the number, lowest byte first."""
        given = yield 1 + self._size
        value = int.from_bytes(given[1:], "little")
        return -value if given[0] else value

    def text(self) -> _Reads:
        """Its length, then its bytes; None where the length is negative."""
        length = yield from self.integer()
        if length < 0:
            return None
        return (yield self.length(length)) if length else b""

    @staticmethod
    def length(length: int) -> int:
        """A length that can be one."""
        if not 0 < length <= _MOST_BYTES:
            raise _corrupt(f"a block of {length} bytes cannot be")
        return length


def _corrupt(why: str) -> ArchiveCorrupt:
    return ArchiveCorrupt("the archive does not decode to its end", cause=why, hint="take another backup: inv backup")
