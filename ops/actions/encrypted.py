"""How does an archive go to disk encrypted, and how is it proved and loaded without its plain form on any disk?

Outward, the dump's bytes are hashed and read through to their end (the proof) before they are encrypted. Inward, they
are decrypted as a stream, first to prove them, then into the program that loads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ops.errors import ArchiveCorrupt, ConfigurationError
from ops.model.encryption import lost_encryption
from ops.model.manifest import Manifest
from ops.ports import ArchiveProof, Encryption, LoadSource, Reporter

_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sealing:
    """How archives of this stack are sealed.

    Args:
        encryption: None where no key of any kind was given.
        proof: begins to read one archive.
        is_wanted: whether new archives are to be encrypted.
        is_off: whether plain archives are wanted although the newest backup is encrypted.
    """

    encryption: Encryption | None
    proof: Callable[[], ArchiveProof]
    is_wanted: bool = True
    is_off: bool = False

    @property
    def can_decrypt(self) -> bool:
        """Whether encrypted archives can be read here."""
        return self.encryption is not None and self.encryption.can_decrypt

    def opening(self) -> Encryption:
        """What decrypts. Raises: ConfigurationError, where no key is given."""
        if self.encryption is None or not self.encryption.can_decrypt:
            raise ConfigurationError(
                "the archive is encrypted, and there is no key to decrypt it with",
                cause="neither OPS_BACKUP_IDENTITY_FILE nor OPS_BACKUP_PASSPHRASE_FILE is set",
                hint="export OPS_BACKUP_IDENTITY_FILE=/path/to/identity.txt",
            )
        return self.encryption


def outgoing(sealing: Sealing | None, earlier: Iterable[Manifest]) -> Encryption | None:
    """What encrypts the next backup, its keys read and found good; None where it is to be plain.

    Args:
        sealing: what the settings say.
        earlier: the backups before it.

    Raises: ConfigurationError: a key is missing or no key, or the setting got lost since the newest backup.
    """
    if sealing is not None and sealing.is_wanted and sealing.encryption is not None:
        sealing.encryption.check()
        return sealing.encryption
    if why := lost_encryption(earlier, is_off=sealing is not None and sealing.is_off):
        raise ConfigurationError(
            "a plain backup would follow an encrypted one; nothing was dumped",
            cause=why,
            hint="set OPS_BACKUP_RECIPIENTS again, or OPS_BACKUP_RECIPIENTS=none if plain backups are wanted",
        )
    return None


@dataclass(slots=True)
class Plain:
    """The plain bytes that went by."""

    size_bytes: int = 0
    _digest: Any = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """Of all bytes so far."""
        return str(self._digest.hexdigest())

    def add(self, block: bytes) -> None:
        """Count and hash a block."""
        self.size_bytes += len(block)
        self._digest.update(block)


@contextmanager
def sealed(
    write: Callable[[bytes], None], encryption: Encryption, proof: ArchiveProof
) -> Iterator[tuple[Callable[[bytes], None], Plain]]:
    """Take plain bytes: hash them, prove them, and send them on encrypted.

    Raises: ArchiveCorrupt, where they are no whole archive; what `write` raises.
    """
    plain = Plain()
    with encryption.encrypted(write) as encrypt:

        def take(block: bytes) -> None:
            plain.add(block)
            proof.write(block)
            encrypt(block)

        yield take, plain
        proof.finish()


def prove(manifest: Manifest, path: Path, sealing: Sealing, report: Reporter) -> None:
    """Decrypt an archive to its end, compare its plain form with the manifest and decode it; nothing is written.

    Raises: ConfigurationError (no key that fits), ArchiveCorrupt.
    """
    plain, proof = Plain(), sealing.proof()
    for block in sealing.opening().decrypted(path):
        plain.add(block)
        proof.write(block)
        report.progress("decrypt", plain.size_bytes, manifest.plain_size_bytes)
    if (plain.size_bytes, plain.sha256) != (manifest.plain_size_bytes, manifest.plain_sha256):
        raise ArchiveCorrupt(
            f"the archive of {manifest.id} decrypts to something else than was encrypted",
            cause=f"{plain.size_bytes} bytes, SHA-256 {plain.sha256[:16]}..., expected {manifest.plain_size_bytes} "
            f"bytes, {manifest.plain_sha256[:16]}...",
            hint="inv backups, then another one: inv restore --file ID",
        )
    proof.finish()


def read_through(path: Path, sealing: Sealing) -> None:
    """Decode a plain archive to its end, whichever format it has; nothing is written. Raises: ArchiveCorrupt."""
    proof = sealing.proof()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            proof.write(block)
    proof.finish()


def streamed(source: LoadSource, manifest: Manifest, sealing: Sealing | None) -> LoadSource:
    """An archive of ours as something to load: an encrypted one as a stream, a plain one as it is.

    Without a sealing the file at the source's path is taken to be decrypted already.

    Raises: ConfigurationError, where there is no key.
    """
    if manifest.encryption is None or sealing is None:
        return source
    encryption = sealing.opening()
    return replace(source, stream=lambda: encryption.decrypted(source.path), stream_bytes=manifest.plain_size_bytes)
