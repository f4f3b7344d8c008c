"""Do the catalog in memory and the one on disk keep the same promises?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ops.adapters.archive_folder import ArchiveFolder
from ops.errors import ArchiveCorrupt, BackupNotFound
from ops.model.backup_id import new_id
from ops.model.manifest import Manifest
from ops.ports import Archives
from tests.fakes.archives import FakeArchives
from tests.fakes.manifests import AT, manifest
from tests.fakes.reporter import RecordingReporter

MAKERS: dict[str, Callable[[Path], Archives]] = {
    "memory": FakeArchives,
    "folder": lambda folder: ArchiveFolder(folder, "comic-pile"),
}


@pytest.fixture(params=MAKERS)
def archives(request: pytest.FixtureRequest, tmp_path: Path) -> Archives:
    return MAKERS[request.param](tmp_path)


def write(archives: Archives, day: int = 0) -> Manifest:
    at = AT + timedelta(days=day)
    archive = archives.begin(new_id(at))
    archive.write(b"one ")
    archive.write(b"two")
    size_bytes, sha256 = archive.finish()
    made = manifest(at, size_bytes=size_bytes, sha256=sha256)
    archive.commit(made)
    return made


def test_a_committed_archive_is_a_backup_and_one_given_up_is_not(archives: Archives) -> None:
    given_up = archives.begin(new_id(AT - timedelta(days=1)))
    given_up.write(b"half")
    given_up.abort()

    made = write(archives)

    assert archives.manifests() == (made,)
    assert archives.path(made).read_bytes() == b"one two"
    assert not given_up.path.exists()


def test_a_finished_archive_can_be_read_before_it_is_a_backup(archives: Archives) -> None:
    archive = archives.begin(new_id(AT))
    archive.write(b"content")
    archive.finish()

    assert archive.path.read_bytes() == b"content"
    assert archives.manifests() == ()
    archive.abort()


def test_the_catalog_is_newest_first(archives: Archives) -> None:
    made = [write(archives, day) for day in (1, 0, 2)]

    assert archives.manifests() == (made[2], made[0], made[1])


def test_an_update_is_what_is_found_afterwards(archives: Archives) -> None:
    made = write(archives)

    archives.update(replace(made, pinned=True))

    assert archives.find(made.id).pinned
    assert archives.manifests()[0].pinned


def test_a_deleted_backup_is_gone_and_cannot_be_updated(archives: Archives) -> None:
    made = write(archives)

    archives.delete(made)
    archives.delete(made)

    assert archives.manifests() == ()
    with pytest.raises(BackupNotFound):
        archives.find(made.id)
    with pytest.raises(BackupNotFound):
        archives.update(made)


def test_an_archive_that_changed_does_not_pass_the_check(archives: Archives) -> None:
    made = write(archives)
    archives.check(made, RecordingReporter())
    archives.path(made).write_bytes(b"one twO")

    with pytest.raises(ArchiveCorrupt):
        archives.check(made, RecordingReporter())


def test_an_empty_catalog_has_nothing_to_list_or_clean_and_room(archives: Archives) -> None:
    assert archives.manifests() == ()
    assert archives.broken() == ()
    assert archives.damaged() == ()
    assert archives.survey() == ((), ())
    assert archives.clean() == ()
    assert archives.free_space_bytes() > 0
