"""Does an encrypted backup of a real database exist only whole and only encrypted, and does it come back?"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from ops.actions.backup import take_backup
from ops.actions.encrypted import Sealing
from ops.actions.restore import RestoreRequest, plan_restore, restore
from ops.actions.restore_tools import RestoreTools
from ops.actions.verify import verify
from ops.adapters.age_encryption import AgeEncryption
from ops.adapters.archive_folder import ArchiveFolder
from ops.adapters.archive_probe import NamedFiles
from ops.adapters.archive_proof import StreamedProof
from ops.adapters.local_tools import LocalTools
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.system_clock import SystemClock
from ops.errors import ConfigurationError, DumpFailed, RestoreRefused
from ops.model.encryption import Keys
from ops.model.endpoint import PostgresEndpoint
from ops.model.manifest import Manifest
from tests.conftest import connect, postgres_binaries
from tests.fakes.journal import FakeJournal
from tests.fakes.lock import FakeLock
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres

STACK = "opstest"
CANARY = "a-canary-in-a-table-of-secrets"


class Sealed:
    """A filled database with an encrypted catalog beside it; the temporary folder is our own."""

    def __init__(self, endpoint: PostgresEndpoint, folder: Path) -> None:
        with connect(endpoint) as session:
            session.execute(f"CREATE TABLE users AS SELECT i AS id, '{CANARY}' AS name FROM generate_series(1, 2000) i")
        self.endpoint, self.folder, self.report = endpoint, folder, RecordingReporter()
        identity = pyrage.x25519.Identity.generate()
        self.identity_file = folder / "identity.txt"
        self.identity_file.write_text(f"{identity}\n")
        self.keys = Keys((str(identity.to_public()),))
        self.archives = ArchiveFolder(folder / "backups", STACK)
        self.database = PostgresDatabase(
            endpoint, LocalTools(postgres_binaries(), endpoint), stack=STACK, clock=SystemClock()
        )

    @property
    def with_identity(self) -> Keys:
        return replace(self.keys, identity_file=self.identity_file)

    def take(self, keys: Keys) -> Manifest:
        return take_backup(
            database=self.database, archives=self.archives, clock=SystemClock(), report=self.report, stack=STACK,
            environment="development", reason="manual", sealing=sealing(keys),
        )  # fmt: skip

    def tools(self, keys: Keys) -> RestoreTools:
        return RestoreTools(
            database=self.database, archives=self.archives, catalog_of=lambda _: self.archives, files=NamedFiles(),
            migrator=None, lock=FakeLock(), journal=FakeJournal(), clock=SystemClock(), report=self.report, by="me",
            stack=STACK, live=self.endpoint.database, sealing=sealing(keys),
        )  # fmt: skip

    def files_with(self, content: bytes) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file() and content in path.read_bytes()]


def sealing(keys: Keys) -> Sealing:
    return Sealing(AgeEncryption(keys), StreamedProof, is_wanted=keys.can_encrypt, is_off=keys.is_off)


@pytest.fixture
def sealed(fresh_database: PostgresEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sealed:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    return Sealed(fresh_database, tmp_path)


def test_with_the_public_key_alone_a_backup_is_taken_proved_and_on_no_disk_in_plain(sealed: Sealed) -> None:
    taken = sealed.take(sealed.keys)

    lying = (sealed.folder / "backups" / STACK / taken.archive).read_bytes()
    plain = pyrage.decrypt(lying, [pyrage.x25519.Identity.from_str(sealed.identity_file.read_text().strip())])
    assert taken.archive == f"{taken.id}.dump.age"
    assert taken.encryption == "age"
    assert (len(lying), len(plain)) == (taken.size_bytes, taken.plain_size_bytes)
    assert taken.sha256 != taken.plain_sha256
    assert taken.tables[0].row_count == 2000
    assert sealed.archives.manifests() == (taken,)
    assert sealed.files_with(b"PGDMP") == sealed.files_with(CANARY.encode()) == []


def test_the_line_to_restore_by_hand_pipes_what_age_decrypts_into_pg_restore(sealed: Sealed) -> None:
    taken = sealed.take(sealed.keys)
    programs = sealed.folder / "programs"
    programs.mkdir()
    (programs / "age").write_text(AGE.format(identity=sealed.identity_file))
    (programs / "age").chmod(0o700)
    there = sealed.endpoint

    subprocess.run(
        ["/bin/sh", "-ec", taken.restore_by_hand],
        cwd=sealed.folder / "backups" / STACK, check=True, capture_output=True,
        env={
            "PATH": f"{programs}:{postgres_binaries()}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PGHOST": there.host,
            "PGPORT": str(there.port), "PGUSER": there.user, "PGPASSWORD": there.password.reveal(),
        },
    )  # fmt: skip

    assert taken.restore_by_hand.startswith(f"age --decrypt --identity=identity.txt {taken.archive} | (")
    with connect(replace(there, database=f"{there.database}_restored")) as session:
        assert session.execute("SELECT count(*) FROM users").fetchone() == (2000,)


AGE = """#!/bin/sh
test "$1 $2" = "--decrypt --identity=identity.txt" || exit 64
exec python -c 'import sys, pyrage
key = pyrage.x25519.Identity.from_str(open(sys.argv[1]).read().strip())
sys.stdout.buffer.write(pyrage.decrypt(open(sys.argv[2], "rb").read(), [key]))' {identity} "$3"
"""


def test_restore_streams_the_decrypted_archive_and_every_table_is_as_it_was(sealed: Sealed) -> None:
    taken = sealed.take(sealed.with_identity)
    with connect(sealed.endpoint) as session:
        session.execute("DELETE FROM users WHERE id > 5")
    seen: list[list[Path]] = []
    tools = replace(
        sealed.tools(sealed.with_identity), checkpoint=lambda _step: seen.append(sealed.files_with(b"PGDMP"))
    )

    report = restore(plan_restore(RestoreRequest(is_latest=True), tools), tools)

    assert (report.source, report.rows, report.is_verified) == (taken.id, 2000, True)
    assert len(seen) > 5
    assert not any(seen)
    assert [path for path in (sealed.folder / "tmp").iterdir() if path.name.startswith("ops-")] == []


def test_a_wrong_identity_or_none_stops_a_restore_before_anything_changes(sealed: Sealed) -> None:
    sealed.take(sealed.keys)
    other = sealed.folder / "other.txt"
    other.write_text(str(pyrage.x25519.Identity.generate()))
    before = sealed.database.tables(), sealed.database.copies()
    wrong = sealed.tools(replace(sealed.keys, identity_file=other))

    with pytest.raises(ConfigurationError, match=r"no key in .*other.txt decrypts"):
        restore(plan_restore(RestoreRequest(is_latest=True), wrong), wrong)
    with pytest.raises(RestoreRefused) as refused:
        plan_restore(RestoreRequest(is_latest=True), sealed.tools(sealed.keys)).refuse()

    assert "OPS_BACKUP_IDENTITY_FILE" in str(refused.value.cause)
    assert (sealed.database.tables(), sealed.database.copies()) == before
    assert wrong.journal.changes() == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda keys: replace(keys, recipients=("age1broken",)),
        lambda _keys: Keys(passphrase_file=Path("/nowhere/passphrase")),
        lambda _keys: Keys(),
    ],
    ids=["no public key", "passphrase gone", "setting lost"],
)
def test_without_a_good_key_no_dump_starts_and_nothing_is_written(
    sealed: Sealed, spoil: Callable[[Keys], Keys]
) -> None:
    sealed.take(sealed.keys)
    before = sorted(sealed.folder.rglob("*"))
    sealed.database.dump = lambda *_a, **_k: pytest.fail("a dump began")  # type: ignore[method-assign]

    with pytest.raises(ConfigurationError):
        sealed.take(spoil(sealed.keys))

    assert sorted(sealed.folder.rglob("*")) == before


def test_plain_backups_may_follow_encrypted_ones_where_the_word_none_says_so(sealed: Sealed) -> None:
    sealed.take(sealed.keys)

    assert sealed.take(Keys(is_off=True)).encryption is None


def test_a_dump_that_fails_leaves_nothing_of_itself(sealed: Sealed) -> None:
    class Failing:
        def __init__(self, tools: LocalTools) -> None:
            self._tools = tools

        def __getattr__(self, name: str):
            return getattr(self._tools, name)

        def run(self, argv, **options):
            result = self._tools.run(argv, **options)
            return replace(result, exit_code=1) if argv[0] == "pg_dump" and "--snapshot" in str(argv) else result

    tools = Failing(LocalTools(postgres_binaries(), sealed.endpoint))
    sealed.database = PostgresDatabase(sealed.endpoint, tools, stack=STACK, clock=SystemClock())

    with pytest.raises(DumpFailed):
        sealed.take(sealed.keys)

    assert list((sealed.folder / "backups" / STACK).iterdir()) == []


def test_verify_decodes_what_it_can_decrypt_and_says_where_it_cannot(sealed: Sealed) -> None:
    taken = sealed.take(sealed.keys)
    common = {
        "archives": sealed.archives, "database": sealed.database, "lock": FakeLock(), "clock": SystemClock(),
    }  # fmt: skip
    with_key, without = RecordingReporter(), RecordingReporter()

    assert not verify([taken.id], report=with_key, sealing=sealing(sealed.with_identity), **common)[0].problem
    assert not verify([taken.id], report=without, sealing=sealing(sealed.keys), **common)[0].problem

    assert with_key.steps["decrypt"] == taken.plain_size_bytes
    assert any("was not decoded" in warning for warning in without.warnings)
