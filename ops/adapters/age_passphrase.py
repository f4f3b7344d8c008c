"""How is an age file under a passphrase written and read as a stream?

pyrage does this in memory only, which a large archive does not fit into. The format is small: a header with one
`scrypt` stanza that wraps the file key, its HMAC, and the payload in chunks of 64 KiB under ChaCha20-Poly1305, the last
one marked. What is written here is read by `age`, `rage` and pyrage, and the other way round; the tests say so.
Source: https://c2sp.org/age, sections "Encrypted file format" and "The scrypt recipient type".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from ops.errors import ArchiveCorrupt, ConfigurationError
from ops.model.secret import Secret

_VERSION: Final = b"age-encryption.org/v1\n"
_STANZA: Final = re.compile(rb"-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n([A-Za-z0-9+/]{43})\n--- ")
_HEADER_BYTES: Final = 1024
_CHUNK_BYTES: Final = 1 << 16
_TAG_BYTES: Final = 16
WORK_FACTOR: Final = 16
"""scrypt's N as a power of two: 64 MB for a moment. `age` takes 18, 256 MB, which a small container has not."""
_MOST_WORK: Final = 20
_LABEL: Final = b"age-encryption.org/v1/scrypt"


def has_passphrase(file: IO[bytes]) -> bool:
    """Whether an age file is encrypted under a passphrase; the file is at its start before and afterwards."""
    head = file.read(len(_VERSION) + 10)
    file.seek(0)
    return head == _VERSION + b"-> scrypt "


@contextmanager
def encrypted(write: Callable[[bytes], None], passphrase: Secret) -> Iterator[Callable[[bytes], None]]:
    """Give what takes the plain bytes; the last chunk is written only when the context ends without an error."""
    file_key, salt, nonce = secrets.token_bytes(16), secrets.token_bytes(16), secrets.token_bytes(16)
    wrapped = ChaCha20Poly1305(_wrap_key(passphrase, salt, WORK_FACTOR)).encrypt(bytes(12), file_key, None)
    stanza = b"-> scrypt %s %d\n%s\n---" % (_base64(salt), WORK_FACTOR, _base64(wrapped))
    header = _VERSION + stanza
    write(header + b" " + _base64(_mac(file_key, header)) + b"\n" + nonce)
    chunks = _Chunks(file_key, nonce)
    held = bytearray()

    def take(block: bytes) -> None:
        held.extend(block)
        while len(held) > _CHUNK_BYTES:
            write(chunks.encrypt(bytes(held[:_CHUNK_BYTES]), is_last=False))
            del held[:_CHUNK_BYTES]

    yield take
    write(chunks.encrypt(bytes(held), is_last=True))


def decrypted(file: IO[bytes], passphrase: Secret, name: str) -> Iterator[bytes]:
    """The plain bytes.

    Raises: ConfigurationError (another passphrase), ArchiveCorrupt (damaged, cut short, or more behind the end).
    """
    file_key = _file_key(file, passphrase, name)
    nonce = file.read(16)
    if len(nonce) < 16:
        raise _damaged(name, "it ends before its contents")
    chunks = _Chunks(file_key, nonce)
    block = file.read(_CHUNK_BYTES + _TAG_BYTES)
    is_first = True
    while True:
        following = file.read(_CHUNK_BYTES + _TAG_BYTES)
        try:
            plain = chunks.decrypt(block, is_last=not following)
        except InvalidTag:
            raise _damaged(name, "a chunk is not what was written, or the last one is missing") from None
        if not plain and not is_first:
            raise _damaged(name, "its last chunk is empty")
        if plain:
            yield plain
        if not following:
            return
        block, is_first = following, False


class _Chunks:
    """The payload's chunks in order. Source: the STREAM construction, section "Payload"."""

    def __init__(self, file_key: bytes, nonce: bytes) -> None:
        self._cipher = ChaCha20Poly1305(_hkdf(file_key, nonce, b"payload"))
        self._count = 0

    def encrypt(self, block: bytes, *, is_last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(is_last=is_last), block, None)

    def decrypt(self, block: bytes, *, is_last: bool) -> bytes:
        if len(block) < _TAG_BYTES:
            raise InvalidTag
        return self._cipher.decrypt(self._nonce(is_last=is_last), block, None)

    def _nonce(self, *, is_last: bool) -> bytes:
        counted = self._count.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")
        self._count += 1
        return counted


def _file_key(file: IO[bytes], passphrase: Secret, name: str) -> bytes:
    """Read the header; the file stands behind it afterwards."""
    head = file.read(_HEADER_BYTES)
    found = _STANZA.match(head, len(_VERSION)) if head.startswith(_VERSION) else None
    end = head.find(b"\n", found.end()) if found else -1
    if found is None or end < 0:
        raise _damaged(name, "its header is not one of a passphrase")
    salt, work, wrapped = _plain(found[1]), int(found[2]), _plain(found[3])
    if work > _MOST_WORK:
        raise _damaged(name, f"its work factor {work} would need too much memory")
    try:
        file_key = ChaCha20Poly1305(_wrap_key(passphrase, salt, work)).decrypt(bytes(12), wrapped, None)
    except InvalidTag:
        raise ConfigurationError(
            f"the passphrase does not decrypt {name}",
            cause="it was encrypted under another one",
            hint="export OPS_BACKUP_PASSPHRASE_FILE=/path/to/the/right/passphrase",
        ) from None
    if not hmac.compare_digest(_base64(_mac(file_key, head[: found.end() - 1])), head[found.end() : end]):
        raise _damaged(name, "its header is not what was written")
    file.seek(end + 1)
    return file_key


def _wrap_key(passphrase: Secret, salt: bytes, work: int) -> bytes:
    return hashlib.scrypt(
        passphrase.reveal().encode(),
        salt=_LABEL + salt,
        n=1 << work,
        r=8,
        p=1,
        dklen=32,
        maxmem=(1 << work) * 1024 + (1 << 21),
    )


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_hkdf(file_key, b"", b"header"), header, "sha256")


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 for 32 bytes. Source: RFC 5869."""
    extracted = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _plain(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4))


def _damaged(name: str, why: str) -> ArchiveCorrupt:
    return ArchiveCorrupt(f"{name} does not decrypt to its end", cause=why, hint="inv backups")
