"""Do archives stream into and out of the age format, and does everything that is wrong with a key say so?"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path

import pyrage
import pytest

from ops.adapters import age_passphrase
from ops.adapters.age_encryption import AgeEncryption
from ops.errors import ArchiveCorrupt, ConfigurationError
from ops.model.encryption import Keys
from ops.model.secret import Secret

SIZES = (0, 1, 65535, 65536, 65537, 3 * 65536, 400_000)


class KeyPair:
    def __init__(self, folder: Path, name: str = "identity") -> None:
        self.identity = pyrage.x25519.Identity.generate()
        self.public = str(self.identity.to_public())
        self.file = folder / f"{name}.txt"
        self.file.write_text(f"# created: today\n# public key: {self.public}\n{self.identity}\n")


@pytest.fixture
def pair(tmp_path: Path) -> KeyPair:
    return KeyPair(tmp_path)


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text("correct horse battery staple\n")
    return path


def sealed_by(encryption: AgeEncryption, blocks: Iterable[bytes]) -> bytes:
    out = io.BytesIO()
    with encryption.encrypted(lambda block: out.write(block) and None) as write:
        for block in blocks:
            write(block)
    return out.getvalue()


def opened_by(encryption: AgeEncryption, folder: Path, content: bytes) -> bytes:
    path = folder / "some.age"
    path.write_bytes(content)
    return b"".join(encryption.decrypted(path))


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_for_several_recipients_each_of_them_opens(tmp_path: Path, pair: KeyPair, size: int) -> None:
    other, content = KeyPair(tmp_path, "other"), os.urandom(size)

    wrapped = sealed_by(AgeEncryption(Keys((pair.public, other.public))), [content[:7], b"", content[7:]])

    for one in (pair, other):
        assert opened_by(AgeEncryption(Keys(identity_file=one.file)), tmp_path, wrapped) == content
        assert pyrage.decrypt(wrapped, [one.identity]) == content


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_under_a_passphrase_another_age_opens(tmp_path: Path, passphrase_file: Path, size: int) -> None:
    encryption, content = AgeEncryption(Keys(passphrase_file=passphrase_file)), os.urandom(size)

    wrapped = sealed_by(encryption, [content[:70_000], content[70_000:]])

    assert pyrage.passphrase.decrypt(wrapped, "correct horse battery staple") == content
    assert opened_by(encryption, tmp_path, wrapped) == content


def test_what_another_age_sealed_under_a_passphrase_is_opened(tmp_path: Path, passphrase_file: Path) -> None:
    content = os.urandom(200_000)
    wrapped = pyrage.passphrase.encrypt(content, "correct horse battery staple")

    assert opened_by(AgeEncryption(Keys(passphrase_file=passphrase_file)), tmp_path, wrapped) == content


def cuts_and_flips(wrapped: bytes) -> Iterable[bytes]:
    yield from (wrapped[:length] for length in (0, 10, 100, 150, 300, 70_000, 65_536 * 2 + 400, len(wrapped) - 1))
    for position in (5, 40, 130, 200, 5000, 140_000, len(wrapped) - 1):
        flipped = bytearray(wrapped)
        flipped[position] ^= 1
        yield bytes(flipped)
    yield wrapped + b"x"


def test_a_cut_or_flipped_file_for_recipients_never_opens_whole(tmp_path: Path, pair: KeyPair) -> None:
    encryption = AgeEncryption(Keys((pair.public,), identity_file=pair.file))
    wrapped = sealed_by(encryption, [os.urandom(200_000)])

    for wrong in cuts_and_flips(wrapped):
        with pytest.raises((ArchiveCorrupt, ConfigurationError)):
            opened_by(encryption, tmp_path, wrong)


def test_a_cut_or_flipped_file_under_a_passphrase_never_opens_whole(tmp_path: Path) -> None:
    out, content = io.BytesIO(), os.urandom(200_000)
    with age_passphrase.encrypted(lambda block: out.write(block) and None, Secret("p")) as write:
        write(content)
    chunk = 65_536 + 16

    payload_at = len(out.getvalue()) - 3 * chunk - (200_000 - 3 * 65_536) - 16
    for wrong in (*cuts_and_flips(out.getvalue()), out.getvalue()[: payload_at + 2 * chunk]):
        with pytest.raises((ArchiveCorrupt, ConfigurationError)):
            b"".join(age_passphrase.decrypted(io.BytesIO(wrong), Secret("p"), "some.age"))


def test_a_wrong_key_and_a_wrong_passphrase_are_named_as_such(
    tmp_path: Path, pair: KeyPair, passphrase_file: Path
) -> None:
    stranger = KeyPair(tmp_path, "stranger")
    for_key = sealed_by(AgeEncryption(Keys((pair.public,))), [b"x"])
    under_passphrase = sealed_by(AgeEncryption(Keys(passphrase_file=passphrase_file)), [b"x"])
    passphrase_file.write_text("another")
    with_stranger = AgeEncryption(Keys(identity_file=stranger.file))

    with pytest.raises(ConfigurationError, match=r"no key in .*stranger.txt decrypts some.age"):
        opened_by(with_stranger, tmp_path, for_key)
    with pytest.raises(ConfigurationError, match="the passphrase does not decrypt"):
        opened_by(AgeEncryption(Keys(passphrase_file=passphrase_file)), tmp_path, under_passphrase)
    with pytest.raises(ConfigurationError, match="encrypted under a passphrase, and none is set"):
        opened_by(with_stranger, tmp_path, under_passphrase)
    with pytest.raises(ConfigurationError, match="to public keys, and no secret key is set"):
        opened_by(AgeEncryption(Keys(passphrase_file=passphrase_file)), tmp_path, for_key)


def test_keys_that_cannot_encrypt_are_told_before_anything_is_written(tmp_path: Path, pair: KeyPair) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    wrong = {
        "is no age public key": Keys(("age1nonsense",)),
        "holds a secret key": Keys((str(pair.identity),)),
        "cannot be read": Keys(passphrase_file=tmp_path / "nowhere"),
        "is empty": Keys(passphrase_file=empty),
        "there is no key to encrypt to": Keys(identity_file=pair.file),
    }

    for why, keys in wrong.items():
        with pytest.raises(ConfigurationError, match=why):
            AgeEncryption(keys).check()
        with pytest.raises(ConfigurationError, match=why), AgeEncryption(keys).encrypted(bytes):
            pytest.fail("it began")


def test_no_error_about_keys_shows_a_secret(tmp_path: Path, pair: KeyPair) -> None:
    pair.file.write_text(f"{pair.identity}X\n")
    secret = str(pair.identity)

    with pytest.raises(ConfigurationError) as one:
        list(AgeEncryption(Keys(identity_file=pair.file)).decrypted(_sealed_file(tmp_path, pair)))
    with pytest.raises(ConfigurationError) as other:
        AgeEncryption(Keys((secret,))).check()

    for raised in (one.value, other.value):
        assert secret[16:30] not in f"{raised.message}{raised.cause}{raised.hint}"
        assert raised.__cause__ is None


def _sealed_file(folder: Path, pair: KeyPair) -> Path:
    path = folder / "for-key.age"
    path.write_bytes(sealed_by(AgeEncryption(Keys((pair.public,))), [b"x"]))
    return path


class FullDisk(Exception):
    pass


def test_what_the_disk_refuses_is_raised_to_who_writes_and_nobody_waits(pair: KeyPair) -> None:
    def full(_block: bytes) -> None:
        raise FullDisk

    def send() -> None:
        with AgeEncryption(Keys((pair.public,))).encrypted(full) as write:
            for _ in range(1000):
                write(bytes(100_000))

    with pytest.raises(FullDisk):
        send()


def test_a_writer_that_fails_never_leaves_a_file_that_ends_well(tmp_path: Path, pair: KeyPair) -> None:
    encryption, out = AgeEncryption(Keys((pair.public,), identity_file=pair.file)), io.BytesIO()

    def send() -> None:
        with encryption.encrypted(lambda block: out.write(block) and None) as write:
            write(bytes(300_000))
            raise FullDisk

    with pytest.raises(FullDisk):
        send()
    with pytest.raises(ArchiveCorrupt):
        opened_by(encryption, tmp_path, out.getvalue())


def test_a_reader_that_stops_early_leaves_nothing_running(tmp_path: Path, pair: KeyPair) -> None:
    import threading

    encryption = AgeEncryption(Keys((pair.public,), identity_file=pair.file))
    path = tmp_path / "large.age"
    path.write_bytes(sealed_by(encryption, [bytes(1 << 20)] * 8))

    stream = encryption.decrypted(path)
    assert len(next(stream)) > 0
    stream.close()

    assert [thread.name for thread in threading.enumerate() if thread.name == "decrypt"] == []
