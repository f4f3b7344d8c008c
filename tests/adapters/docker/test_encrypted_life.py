"""Does an encrypted backup live its whole life on Docker: taken, verified, restored, drilled?

All of it through `inv`, with nothing but the settings that docs/configuration.md names. The image's pg_dump has zstd,
which the embedded one has not: only here is a zstd archive of PostgreSQL 17 proved.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from ops.adapters.archive_proof import StreamedProof
from ops.errors import ArchiveCorrupt
from tests.adapters.docker.conftest import docker, sweep
from tests.conftest import free_port
from tests.stories.conftest import World, copy_of_the_repository

pytestmark = [pytest.mark.docker, pytest.mark.slow]

CANARY = "a canary in a table of secrets"
# Tables large and small, empty and wide, bytes that no codec shrinks, and large objects: each is a block of its own.
FILL = f"""
CREATE TABLE readers AS SELECT n AS id, '{CANARY} ' || n AS name FROM generate_series(1, 50000) n;
CREATE TABLE noise AS SELECT n AS id, sha512(n::text::bytea) AS bytes FROM generate_series(1, 20000) n;
CREATE TABLE nothing (id int);
SELECT lo_from_bytea(0, 'a large object'::bytea), lo_from_bytea(0, decode(repeat('ab', 300000), 'hex'))
"""


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[World]:
    """A filled database on Docker, and a key pair in the settings."""
    folder = tmp_path / "clone"
    folder.mkdir()
    copy_of_the_repository(folder)
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identity.txt").write_text(f"{identity}\n")
    project = f"opstest-sealed-{os.getpid()}"
    world = World(
        folder, "docker", project, free_port(), free_port(),
        {"OPS_BACKUP_RECIPIENTS": str(identity.to_public()), "POSTGRES_IMAGE": "postgres:17"},
    )  # fmt: skip
    try:
        world.inv("up", "--services", "db")
        world.inv("migrate")
        with world.connect() as session:
            session.execute(FILL)
        yield world
    finally:
        sweep(project)


def proved(archive: bytes, block_bytes: int) -> None:
    proof = StreamedProof()
    for start in range(0, len(archive), block_bytes):
        proof.write(archive[start : start + block_bytes])
    proof.finish()


def test_an_encrypted_zstd_backup_is_taken_verified_restored_and_drilled_on_docker(
    sealed: World, tmp_path: Path
) -> None:
    before = sealed.contents()

    taken = sealed.inv_json("backup")
    refused = sealed.inv("restore", "--latest", "--yes", code=40)
    sealed.variables["OPS_BACKUP_IDENTITY_FILE"] = str(tmp_path / "identity.txt")
    verified = sealed.inv("verify")
    planned = sealed.inv("restore", "--latest", "--table", "public.readers,public.noise", "--dry-run")
    beside = sealed.inv_json("restore", "--latest", "--table", "public.readers,public.noise")
    unknown = sealed.inv("restore", "--latest", "--table", "readers", code=40)
    with sealed.connect() as session:
        looked = session.execute(f"SELECT count(*), min(name) FROM {beside['schema']}.readers").fetchone()
        session.execute("DROP TABLE noise; UPDATE readers SET name = 'overwritten'; CREATE TABLE later ()")
    restored = sealed.inv_json("restore", "--latest", "--yes")
    drilled = sealed.inv("verify", "--drill")

    assert "OPS_BACKUP_IDENTITY_FILE" in refused.stderr
    assert (taken["codec"], taken["encryption"]) == ("zstd", "age")
    assert taken["database"]["server_major"] == 17
    assert "whole" in verified.stdout
    assert "counts and checksums equal" in drilled.stdout
    assert beside["schema"] in planned.stdout
    assert "--table public.readers" in unknown.stderr
    assert looked == (50000, f"{CANARY} 1")
    assert restored["is_verified"]
    assert sealed.contents() == before
    container = f"{sealed.project}-db-1"
    assert docker("exec", container, "sh", "-c", "ls /tmp | grep ops- || :") == ""
    assert docker("exec", container, "sh", "-c", f"grep -rl '{CANARY}' /tmp || :") == ""
    (lying,) = (sealed.folder / "backups").rglob("*.dump.age")
    encrypted = lying.read_bytes()
    identity = pyrage.x25519.Identity.from_str((tmp_path / "identity.txt").read_text().strip())
    archive = pyrage.decrypt(encrypted, [identity])
    assert encrypted.startswith(b"age-encryption.org/v1")
    assert archive[:7] == b"PGDMP\x01\x10"
    assert archive[11] == 3, "the archive's own header says zstd"
    for block_bytes in (17, 1 << 20):
        proved(archive, block_bytes)
    for cut in (len(archive) - 1, len(archive) // 2, len(archive) // 10):
        with pytest.raises(ArchiveCorrupt):
            proved(archive[:cut], 65536)
