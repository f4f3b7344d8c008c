"""Are the settings of encryption read strictly, and is the line by hand the right one?"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ops.errors import ConfigurationError
from ops.model.encryption import by_hand, lost_encryption, parse_keys
from tests.fakes.manifests import AT, manifest

ROOT = Path("/project")


def test_recipients_are_parted_by_commas_and_spaces_and_files_lie_in_the_project() -> None:
    keys = parse_keys("age1a, age1b age1a", "", "keys/id.txt", root=ROOT)

    assert keys.recipients == ("age1a", "age1b")
    assert keys.identity_file == ROOT / "keys/id.txt"
    assert keys.can_encrypt
    assert parse_keys("", "/run/secrets/p", "", root=ROOT).passphrase_file == Path("/run/secrets/p")
    assert parse_keys("", "", "", root=ROOT).is_empty
    assert not parse_keys("", "", "id.txt", root=ROOT).can_encrypt


@pytest.mark.parametrize(("recipients", "passphrase"), [("age1a", "p"), ("none", "p"), ("none,age1a", "")])
def test_settings_that_contradict_each_other_are_refused(recipients: str, passphrase: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_keys(recipients, passphrase, "", root=ROOT)


def test_the_line_by_hand_decrypts_into_the_line_for_the_plain_archive() -> None:
    line = "createdb x && pg_restore --dbname=x some.dump"

    assert by_hand(line, "some.dump", has_passphrase=False) == (
        "age --decrypt --identity=identity.txt some.dump.age | (createdb x && pg_restore --dbname=x)"
    )
    assert by_hand(line, "some.dump", has_passphrase=True).startswith("age --decrypt some.dump.age | (")


def test_encryption_is_lost_only_where_the_newest_backup_had_it_and_nobody_switched_it_off() -> None:
    plain, encrypted = manifest(AT), manifest(AT + timedelta(days=1), encryption="age")

    assert encrypted.id in lost_encryption([plain, encrypted], is_off=False)
    assert lost_encryption([plain, encrypted], is_off=True) == ""
    assert lost_encryption([plain, manifest(AT - timedelta(days=1), encryption="age")], is_off=False) == ""
    assert lost_encryption([], is_off=False) == ""
