"""Can a person keep a backup, let it go, and accept one that looks wrong?"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ops.actions.pin import acknowledge, pin, unpin
from ops.errors import BackupNotFound, LockHeld
from tests.fakes.archives import FakeArchives
from tests.fakes.clock import FakeClock
from tests.fakes.journal import FakeJournal
from tests.fakes.lock import FakeLock
from tests.fakes.manifests import AT, manifest

ID = "20260131T020000Z"


def test_a_pin_is_set_changed_and_taken_away(tmp_path: Path) -> None:
    archives, journal = FakeArchives(tmp_path, manifest()), FakeJournal()
    expires_at = AT + timedelta(days=9)

    pin(ID, lock=FakeLock(), archives=archives, clock=FakeClock(), note="year's end", journal=journal)
    assert (archives.find(ID).pinned, archives.find(ID).pin_note) == (True, "year's end")

    pin(ID, lock=FakeLock(), archives=archives, clock=FakeClock(), expires_at=expires_at)
    assert (archives.find(ID).pin_note, archives.find(ID).expires_at) == ("", expires_at)

    unpin(ID, lock=FakeLock(), archives=archives, clock=FakeClock())
    assert archives.find(ID) == manifest()
    assert journal.changes()[-1].details == {"id": ID, "pinned": True, "note": "year's end"}


def test_unpinning_what_is_not_pinned_writes_nothing(tmp_path: Path) -> None:
    archives = FakeArchives(tmp_path, manifest())

    unpin(ID, lock=FakeLock(), archives=archives, clock=FakeClock())

    assert archives.log == []


def test_a_backup_that_looks_wrong_is_accepted(tmp_path: Path) -> None:
    archives = FakeArchives(tmp_path, manifest(suspicious=("x",)))

    acknowledge(ID, lock=FakeLock(), archives=archives, clock=FakeClock())

    assert archives.find(ID).acknowledged


def test_a_missing_backup_or_a_held_lock_is_an_error(tmp_path: Path) -> None:
    archives = FakeArchives(tmp_path, manifest())

    with pytest.raises(BackupNotFound):
        pin("20990101T000000Z", lock=FakeLock(), archives=archives, clock=FakeClock())
    with pytest.raises(LockHeld):
        pin(ID, lock=FakeLock(held_by="prune"), archives=archives, clock=FakeClock())
    assert archives.log == []
