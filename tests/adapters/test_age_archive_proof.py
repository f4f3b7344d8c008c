"""Does reading an archive as it streams by find what pg_restore would find, and more?"""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import zstandard

from ops.adapters.archive_proof import StreamedProof
from ops.errors import ArchiveCorrupt
from ops.model.endpoint import PostgresEndpoint
from tests.conftest import connect, postgres_binaries


def prove(archive: bytes, block_bytes: int = 1000) -> None:
    proof = StreamedProof()
    for start in range(0, len(archive), block_bytes):
        proof.write(archive[start : start + block_bytes])
    proof.finish()


def pg_dump(endpoint: PostgresEndpoint, compress: str) -> bytes:
    address = [f"--host={endpoint.host}", f"--port={endpoint.port}", f"--username={endpoint.user}"]
    return subprocess.run(
        [postgres_binaries() / "pg_dump", "--format=custom", f"--compress={compress}", *address, endpoint.database],
        check=True, capture_output=True, env={"PGPASSWORD": endpoint.password.reveal()},
    ).stdout  # fmt: skip


@pytest.fixture
def filled(fresh_database: PostgresEndpoint) -> PostgresEndpoint:
    with connect(fresh_database) as session:
        session.execute("CREATE TABLE a AS SELECT i, md5(i::text) AS t FROM generate_series(1, 3000) i")
        session.execute("CREATE TABLE empty (id int PRIMARY KEY, note text)")
        session.execute("CREATE TABLE z AS SELECT i FROM generate_series(1, 10) i")
        session.execute("SELECT lo_from_bytea(0, 'first'::bytea), lo_from_bytea(0, ''::bytea)")
        session.execute("CREATE VIEW v AS SELECT count(*) FROM a")
        session.execute("COMMENT ON TABLE a IS 'snow ☃'")
    return fresh_database


@pytest.mark.postgres
@pytest.mark.parametrize("compress", ["gzip:1", "none"])
def test_a_whole_archive_of_a_real_pg_dump_passes(filled: PostgresEndpoint, compress: str) -> None:
    archive = pg_dump(filled, compress)

    for block_bytes in (7, 1000, len(archive)):
        prove(archive, block_bytes)


@pytest.mark.postgres
def test_a_cut_anywhere_is_found_also_between_two_blocks(filled: PostgresEndpoint) -> None:
    archive = pg_dump(filled, "none")

    for length in (*range(0, len(archive), 499), len(archive) - 1, len(archive) // 2):
        with pytest.raises(ArchiveCorrupt):
            prove(archive[:length], 1 << 16)


@pytest.mark.postgres
def test_flipped_bytes_of_compressed_data_and_bytes_behind_the_end_are_found(filled: PostgresEndpoint) -> None:
    archive = pg_dump(filled, "gzip:1")
    flipped = bytearray(archive)
    flipped[-len(archive) // 4] ^= 0xFF

    for wrong in (bytes(flipped), archive + b"x", archive + archive):
        with pytest.raises(ArchiveCorrupt):
            prove(wrong)


def sqlite_archive(folder: Path) -> bytes:
    path = folder / "some.db"
    with closing(sqlite3.connect(path)) as session, session:
        session.execute("CREATE TABLE t AS SELECT randomblob(100) AS b FROM json_each('[1,2,3,4,5,6,7,8,9]')")
    session.close()
    return zstandard.ZstdCompressor(write_checksum=True).compress(path.read_bytes())


def test_a_sqlite_archive_passes_whole_and_fails_cut_flipped_or_lengthened(tmp_path: Path) -> None:
    archive = sqlite_archive(tmp_path)
    flipped = bytearray(archive)
    flipped[len(archive) // 2] ^= 1

    prove(archive)
    for wrong in (archive[:-1], archive[: len(archive) // 2], bytes(flipped), archive + b"x", archive[:3], b""):
        with pytest.raises(ArchiveCorrupt):
            prove(wrong)


def test_what_begins_like_no_archive_of_ours_is_no_archive() -> None:
    for text in (b"CREATE TABLE users", b"PGDMP" + b"\xff" * 100):
        with pytest.raises(ArchiveCorrupt):
            prove(text)
