"""How are this run's backups sealed?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.actions.encrypted import Sealing
    from ops.wiring.toolbox import Toolbox


def sealing_of(tools: Toolbox) -> Sealing:
    """What the settings say of encryption; the library behind it is loaded only where a key is set.

    Raises: ConfigurationError (contradicting settings, or the optional extra is not installed).
    """
    from ops.actions.encrypted import Sealing
    from ops.adapters.archive_proof import StreamedProof
    from ops.errors import ConfigurationError
    from ops.model.encryption import parse_keys

    settings = tools.settings
    keys = parse_keys(
        settings.backup_recipients,
        settings.backup_passphrase_file,
        settings.backup_identity_file,
        root=tools.project.root,
    )
    if keys.is_empty:
        return Sealing(None, StreamedProof, is_wanted=False, is_off=keys.is_off)
    try:
        from ops.adapters.age_encryption import AgeEncryption
    except ImportError as exc:
        raise ConfigurationError(
            "a key for encrypted backups is set, and the library for it is not installed",
            cause=str(exc),
            hint="pip install 'ops-runner[encryption]'",
        ) from exc
    return Sealing(AgeEncryption(keys), StreamedProof, is_wanted=keys.can_encrypt, is_off=keys.is_off)
