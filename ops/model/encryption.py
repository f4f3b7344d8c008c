"""Who can read an archive that is encrypted, and how does a person decrypt it without us?

Archives are encrypted in the age format: to the public keys of recipients, so that the server holds nothing that could
decrypt, or under a passphrase. Only one of the two, as the format demands.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.errors import ConfigurationError
from ops.model.manifest import Manifest

SUFFIX: Final = ".age"
OFF: Final = "none"
"""The word in OPS_BACKUP_RECIPIENTS that says: not encrypted, on purpose."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What the settings say of encryption. The files are not read yet."""

    recipients: tuple[str, ...] = ()
    """age public keys, `age1...`."""
    passphrase_file: Path | None = None
    identity_file: Path | None = None
    """Secret keys for restore, verify and drills; a server that only takes backups needs none."""
    is_off: bool = False
    """Plain archives are wanted, even where the newest backup is encrypted."""

    @property
    def can_encrypt(self) -> bool:
        """Whether new archives are to be encrypted."""
        return bool(self.recipients) or self.passphrase_file is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said of encryption."""
        return not self.can_encrypt and self.identity_file is None


def parse_keys(recipients: str, passphrase_file: str, identity_file: str, *, root: Path) -> Keys:
    """Read the three settings.

    Args:
        recipients: public keys parted by commas or spaces, or the word `none`.
        passphrase_file, identity_file: paths, relative ones beneath `root`; empty for none.
        root: folder of the project.

    Raises: ConfigurationError: recipients and a passphrase at once, or `none` and one of them.
    """
    words = [word for word in re.split(r"[,\s]+", recipients) if word]
    is_off = OFF in words
    keys = Keys(
        recipients=tuple(dict.fromkeys(word for word in words if word != OFF)),
        passphrase_file=root / passphrase_file if passphrase_file else None,
        identity_file=root / identity_file if identity_file else None,
        is_off=is_off,
    )
    if is_off and keys.can_encrypt:
        raise ConfigurationError(
            f"OPS_BACKUP_RECIPIENTS says {OFF}, and a key is set as well", hint="unset one of the two"
        )
    if keys.recipients and keys.passphrase_file is not None:
        raise ConfigurationError(
            "OPS_BACKUP_RECIPIENTS and OPS_BACKUP_PASSPHRASE_FILE are both set",
            cause="an age file is encrypted to public keys or under a passphrase, never both",
            hint="unset OPS_BACKUP_PASSPHRASE_FILE",
        )
    return keys


def by_hand(line: str, archive: str, *, has_passphrase: bool) -> str:
    """The shell line that restores an encrypted archive: `age` in front of the line for the plain one.

    Args:
        line: restores the plain archive, whose name is its last word.
        archive: the plain archive's name.
        has_passphrase: `age` asks for it; else it reads the secret key from `identity.txt`.
    """
    reads_stdin = line.removesuffix(shlex.quote(archive)).rstrip()
    identity = "" if has_passphrase else "--identity=identity.txt "
    return f"age --decrypt {identity}{shlex.quote(archive + SUFFIX)} | ({reads_stdin})"


def lost_encryption(earlier: Iterable[Manifest], *, is_off: bool) -> str:
    """Why a plain archive must not be written now, "" where it may.

    A setting that got lost (a new `.env`, a container without its variables) must not let plain archives follow
    encrypted ones.
    """
    newest = max(earlier, key=lambda manifest: manifest.id, default=None)
    if is_off or newest is None or newest.encryption is None:
        return ""
    return f"the newest backup {newest.id} is encrypted, and no key is set for the next one"
