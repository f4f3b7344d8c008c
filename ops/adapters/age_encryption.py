"""How are archives encrypted to age recipients and decrypted again, as streams?

By pyrage, the Rust implementation of age: it pulls what it reads and pushes what it writes, so it runs in a thread of
its own with a few blocks between. Under a passphrase pyrage works in memory only; `age_passphrase` streams that.
Source: age-encryption.org/v1, https://c2sp.org/age.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import pyrage  # type: ignore[import-untyped]

from ops.adapters import age_passphrase
from ops.adapters.age_threads import pulled, pushed
from ops.errors import ArchiveCorrupt, ConfigurationError
from ops.model.encryption import Keys
from ops.model.secret import Secret

_NO_KEY_FITS = "No matching keys found"


class AgeEncryption:
    """The `Encryption` port by age.

    Args:
        keys: what the settings say; files are read when they are needed.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    @property
    def name(self) -> Literal["age"]:
        """The format, as a manifest calls it."""
        return "age"

    @property
    def has_passphrase(self) -> bool:
        """Whether one passphrase both encrypts and decrypts."""
        return self._keys.passphrase_file is not None

    @property
    def can_decrypt(self) -> bool:
        """Whether a key to decrypt with was given."""
        return self.has_passphrase or self._keys.identity_file is not None

    def check(self) -> None:
        """Read every key that encrypting needs. Raises: ConfigurationError."""
        if self._keys.passphrase_file is not None:
            _passphrase(self._keys.passphrase_file)
        else:
            self._recipients()

    def encrypted(self, write: Callable[[bytes], None]) -> AbstractContextManager[Callable[[bytes], None]]:
        """Give what takes the plain bytes; their encrypted form goes to `write`. Raises: ConfigurationError."""
        if self._keys.passphrase_file is not None:
            return age_passphrase.encrypted(write, _passphrase(self._keys.passphrase_file))
        recipients = self._recipients()
        return pushed(lambda reader, writer: pyrage.encrypt_io(reader, writer, recipients), write)

    def decrypted(self, path: Path) -> Iterator[bytes]:
        """The plain bytes of an encrypted file. Raises: ConfigurationError, ArchiveCorrupt."""
        try:
            with path.open("rb") as file:
                if age_passphrase.has_passphrase(file):
                    yield from age_passphrase.decrypted(file, self._wanted_passphrase(path), path.name)
                    return
                identities = self._identities(path)
                yield from pulled(lambda writer: pyrage.decrypt_io(file, writer, identities))
        except pyrage.DecryptError as exc:
            if _NO_KEY_FITS in str(exc):
                raise ConfigurationError(
                    f"no key in {self._keys.identity_file} decrypts {path.name}",
                    cause="it was encrypted to other recipients",
                    hint="export OPS_BACKUP_IDENTITY_FILE=/path/to/the/right/identity.txt",
                ) from exc
            raise _damaged(path, exc) from exc
        except OSError as exc:
            raise _damaged(path, exc) from exc

    def _recipients(self) -> Sequence[pyrage.x25519.Recipient]:
        if not self._keys.recipients:
            raise ConfigurationError(
                "there is no key to encrypt to", hint="export OPS_BACKUP_RECIPIENTS=age1..., as age-keygen prints it"
            )
        return [_recipient(text) for text in self._keys.recipients]

    def _wanted_passphrase(self, path: Path) -> Secret:
        if self._keys.passphrase_file is None:
            raise ConfigurationError(
                f"{path.name} is encrypted under a passphrase, and none is set",
                hint="export OPS_BACKUP_PASSPHRASE_FILE=/path/to/passphrase",
            )
        return _passphrase(self._keys.passphrase_file)

    def _identities(self, path: Path) -> Sequence[pyrage.x25519.Identity]:
        file = self._keys.identity_file
        if file is None:
            raise ConfigurationError(
                f"{path.name} is encrypted to public keys, and no secret key is set",
                hint="export OPS_BACKUP_IDENTITY_FILE=/path/to/identity.txt",
            )
        lines = [line.strip() for line in _text(file, "OPS_BACKUP_IDENTITY_FILE").splitlines()]
        found = [_identity(line, file) for line in lines if line and not line.startswith("#")]
        if not found:
            raise ConfigurationError(f"OPS_BACKUP_IDENTITY_FILE: {file} holds no secret key", hint=f"cat {file}")
        return found


def _recipient(text: str) -> pyrage.x25519.Recipient:
    if text.upper().startswith("AGE-SECRET-KEY-"):
        raise ConfigurationError(
            "OPS_BACKUP_RECIPIENTS holds a secret key",
            cause="recipients are public keys, which begin with age1; the secret one belongs elsewhere",
            hint="age-keygen -y identity.txt prints the public key",
        )
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as exc:
        raise ConfigurationError(
            f"OPS_BACKUP_RECIPIENTS: {text!r} is no age public key", cause=str(exc), hint="age-keygen prints one"
        ) from exc


def _identity(line: str, file: Path) -> pyrage.x25519.Identity:
    try:
        return pyrage.x25519.Identity.from_str(line)
    except pyrage.IdentityError:  # says nothing of the line: it is, or was meant to be, a secret key
        raise ConfigurationError(
            f"OPS_BACKUP_IDENTITY_FILE: {file} holds a line that is no age secret key",
            cause="AGE-SECRET-KEY-1... is wanted, one a line; a file that is encrypted itself cannot be read",
            hint="age-keygen makes one",
        ) from None


def _passphrase(file: Path) -> Secret:
    text = _text(file, "OPS_BACKUP_PASSPHRASE_FILE").rstrip("\r\n")
    if not text.strip():
        raise ConfigurationError(
            f"OPS_BACKUP_PASSPHRASE_FILE: {file} is empty", hint=f"openssl rand -base64 32 >{file}"
        )
    return Secret(text)


def _text(file: Path, setting: str) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        cause = (exc.strerror or str(exc)) if isinstance(exc, OSError) else "it is not text"
        raise ConfigurationError(f"{setting}: {file} cannot be read", cause=cause, hint=f"ls -l {file}") from exc


def _damaged(path: Path, exc: Exception) -> ArchiveCorrupt:
    return ArchiveCorrupt(f"{path.name} does not decrypt to its end", cause=str(exc), hint="inv backups")
