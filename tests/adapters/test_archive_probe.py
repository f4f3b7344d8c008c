"""Is a dump told by its content, and is a compressed one that is not whole found out?"""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import pytest
import zstandard

from ops.adapters.archive_probe import NamedFiles, plain_blocks, probe
from ops.errors import ArchiveCorrupt, BackupNotFound, RestoreRefused
from ops.model.archive_kind import Compression
from tests.fakes.reporter import RecordingReporter

SQL = b"-- a dump\nCREATE TABLE a (x int);\n" * 4000


def packed(how: str, content: bytes) -> bytes:
    if how == "gzip":
        return gzip.compress(content)
    if how == "zstd":
        return zstandard.compress(content)
    return content


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (SQL, ("plain", "none")),
        (gzip.compress(SQL, mtime=0), ("plain", "gzip")),
        (zstandard.compress(SQL), ("plain", "zstd")),
        (b"PGDMP\x01\x10", ("custom", "none")),
        (gzip.compress(b"PGDMP\x01\x10", mtime=0), ("custom", "gzip")),
        (b"SQLite format 3\x00", ("sqlite", "none")),
        (b"\xef\xbb\xbfSELECT 1;", ("plain", "none")),
    ],
)
def test_a_dump_is_told_by_its_content_not_by_its_name(tmp_path: Path, content: bytes, kind: tuple[str, str]) -> None:
    path = tmp_path / "wrong.txt"
    path.write_bytes(content)

    source = probe(path)

    assert (source.format, source.compression) == kind
    assert source.is_foreign


def test_a_folder_with_pg_dumps_contents_is_a_directory_archive(tmp_path: Path) -> None:
    (tmp_path / "toc.dat").write_bytes(b"PGDMP\x01\x10")

    assert probe(tmp_path).format == "directory"


def test_a_tar_archive_of_pg_dump_is_told_from_any_other(tmp_path: Path) -> None:
    for name in ("toc.dat", "photo.jpg"):
        (tmp_path / name).write_bytes(b"PGDMP")
        with tarfile.open(tmp_path / f"{name}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            tar.add(tmp_path / name, name)

    assert probe(tmp_path / "toc.dat.tar").format == "tar"
    with pytest.raises(RestoreRefused) as refusal:
        probe(tmp_path / "photo.jpg.tar")
    assert refusal.value.cause == "it is a tar archive, but not one of pg_dump"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04rest", "it is a zip archive"),
        (b"\xff\xfeS\x00E\x00", "it is text in UTF-16, as PowerShell's > writes it"),
        (b"\x7fELF\x00\x00", "it is neither a dump of PostgreSQL nor SQL text"),
        (b"age-encryption.org/v1\n", "it is encrypted with age"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "it is encrypted with age"),
        (gzip.compress(b"PK\x03\x04rest", mtime=0), "it is a zip archive"),
    ],
)
def test_what_is_no_dump_is_told_too(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "thing.sql"
    path.write_bytes(content)

    with pytest.raises(RestoreRefused) as refusal:
        probe(path)

    assert refusal.value.cause == said


def test_a_file_that_is_not_there_and_a_folder_that_is_no_archive_are_named(tmp_path: Path) -> None:
    with pytest.raises(BackupNotFound, match="there is no file"):
        probe(tmp_path / "absent.sql")
    with pytest.raises(RestoreRefused) as refusal:
        probe(tmp_path)
    assert refusal.value.cause == "it is a folder without a toc.dat"


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_several_compressed_parts_one_after_the_other_are_one_file(tmp_path: Path, compression: Compression) -> None:
    path = tmp_path / "parts"
    path.write_bytes(packed(compression, SQL) + packed(compression, b"end"))

    assert b"".join(plain_blocks(path, compression)) == SQL + b"end"


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("missing", [1, 4, 40])
def test_a_compressed_file_that_is_cut_short_is_corrupt(tmp_path: Path, compression: Compression, missing: int) -> None:
    path = tmp_path / "cut"
    path.write_bytes(packed(compression, SQL)[:-missing])

    with pytest.raises(ArchiveCorrupt, match="does not decompress to its end"):
        list(plain_blocks(path, compression))


def test_a_flipped_byte_in_a_gzip_file_is_found(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(SQL))
    content[len(content) // 2] ^= 0x10
    path = tmp_path / "flipped"
    path.write_bytes(content)

    with pytest.raises(ArchiveCorrupt):
        list(plain_blocks(path, "gzip"))


def test_a_file_beside_which_no_manifest_lies_has_none(tmp_path: Path) -> None:
    (tmp_path / "20260131T020000Z.dump").write_bytes(b"PGDMP")

    assert NamedFiles().manifest_beside(tmp_path / "20260131T020000Z.dump") is None
    assert NamedFiles().manifest_beside(tmp_path / "x.sql") is None


def test_the_digest_of_a_file_that_is_gone_is_an_error_a_person_can_read(tmp_path: Path) -> None:
    with pytest.raises(ArchiveCorrupt, match="cannot be read"):
        NamedFiles().digest(tmp_path / "absent", RecordingReporter())
