"""Is a backup in the folder whole or not there at all, private, and told apart from everything else that lies there?"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ops.adapters.archive_folder import ArchiveFolder, why_unwritable
from ops.errors import (
    ArchiveCorrupt,
    ArchiveUnwritable,
    BackupNotFound,
    ConfigurationError,
    ManifestInvalid,
)
from ops.model.backup_id import new_id
from ops.model.manifest import Manifest
from tests.fakes.manifests import AT, manifest
from tests.fakes.reporter import RecordingReporter

STACK = "comic-pile"
ID = new_id(AT)


def write(archives: ArchiveFolder, content: bytes = b"archive", day: int = 0) -> Manifest:
    at = AT + timedelta(days=day)
    archive = archives.begin(new_id(at))
    try:
        archive.write(content[: len(content) // 2])
        archive.write(content[len(content) // 2 :])
        size_bytes, sha256 = archive.finish()
        made = manifest(at, size_bytes=size_bytes, sha256=sha256, plain_size_bytes=size_bytes, plain_sha256=sha256)
        archive.commit(made)
    except BaseException:
        archive.abort()
        raise
    return made


def killed_at(step: str, work: Callable[[Callable[[str], None]], object]) -> None:
    """Do the work in a child process that SIGKILLs itself after the step."""

    def die(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            work(die)
        finally:
            os._exit(70)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def files(root: Path) -> list[str]:
    return sorted(path.name for path in (root / STACK).iterdir())


def test_what_was_written_is_found_checked_and_listed_newest_first(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path / "backups", STACK)
    older, newer = write(archives), write(archives, day=1)

    assert archives.manifests() == (newer, older)
    assert archives.find(ID) == older
    assert archives.path(older).read_bytes() == b"archive"
    assert older.sha256 == hashlib.sha256(b"archive").hexdigest()
    archives.check(older, RecordingReporter())
    assert archives.broken() == ()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_files_are_0600_and_folders_0700_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        archives = ArchiveFolder(tmp_path / "backups", STACK)
        made = write(archives)
        archives.update(replace(made, pinned=True))
    finally:
        os.umask(before)

    folder = tmp_path / "backups" / STACK
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_an_archive_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    archive = archives.begin(ID)
    archive.write(b"half")

    archive.abort()
    archive.abort()

    assert files(tmp_path) == []


def test_an_archive_is_given_up_even_after_its_rename(tmp_path: Path) -> None:
    def fail(step: str) -> None:
        if step == "archive renamed":
            raise RuntimeError(step)

    with pytest.raises(RuntimeError):
        write(ArchiveFolder(tmp_path, STACK, checkpoint=fail))

    assert files(tmp_path) == []


def test_giving_up_after_the_commit_changes_nothing(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    archive = archives.begin(ID)
    archive.write(b"archive")
    size_bytes, sha256 = archive.finish()
    archive.commit(manifest(size_bytes=size_bytes, sha256=sha256))

    archive.abort()

    assert len(archives.manifests()) == 1


def test_a_disk_that_gives_back_something_else_is_found_before_the_commit(tmp_path: Path) -> None:
    def corrupt(step: str) -> None:
        if step == "flushed":
            path = tmp_path / STACK / f"{ID}.partial"
            path.write_bytes(b"archivf")

    with pytest.raises(ArchiveCorrupt, match="the disk gives back another archive"):
        write(ArchiveFolder(tmp_path, STACK, checkpoint=corrupt))

    assert files(tmp_path) == []


@pytest.mark.parametrize("step", ["begun", "written", "read back", "manifest written", "archive renamed"])
def test_what_a_killed_write_left_is_no_backup_and_is_cleaned(tmp_path: Path, step: str) -> None:
    killed_at(step, lambda die: write(ArchiveFolder(tmp_path, STACK, checkpoint=die)))
    archives = ArchiveFolder(tmp_path, STACK)
    assert archives.manifests() == ()
    assert archives.broken()

    removed = archives.clean()

    assert removed
    assert files(tmp_path) == []
    assert archives.clean() == ()


@pytest.mark.parametrize("step", ["manifest removed", "archive removed"])
def test_a_killed_deletion_leaves_no_bad_backup_and_is_cleaned(tmp_path: Path, step: str) -> None:
    made = write(ArchiveFolder(tmp_path, STACK))
    killed_at(step, lambda die: ArchiveFolder(tmp_path, STACK, checkpoint=die).delete(made))
    archives = ArchiveFolder(tmp_path, STACK)

    assert archives.manifests() == ()
    archives.clean()

    assert files(tmp_path) == []


def test_a_deletion_that_was_interrupted_can_be_done_again(tmp_path: Path) -> None:
    made = write(ArchiveFolder(tmp_path, STACK))
    killed_at("manifest removed", lambda die: ArchiveFolder(tmp_path, STACK, checkpoint=die).delete(made))
    archives = ArchiveFolder(tmp_path, STACK)

    archives.delete(made)
    archives.delete(made)

    assert files(tmp_path) == []


def test_cleaning_takes_nothing_that_is_not_ours(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    made = write(archives)
    folder = tmp_path / STACK
    (folder / "notes.txt").write_text("mine")
    (folder / "20250101T000000Z.dump").write_bytes(b"copied here by hand, its manifest is elsewhere")
    (folder / "film.mp4.partial").write_bytes(b"a download of somebody's")
    (folder / "20260101T000000Z.partial").symlink_to(folder / "notes.txt")
    before = files(tmp_path)

    assert archives.clean() == ()
    assert files(tmp_path) == before
    assert archives.manifests() == (made,)
    assert archives.damaged() == ()
    told = " ".join(archives.broken())
    assert all(name in told for name in before if not name.startswith(ID))


def test_a_manifest_that_is_being_rewritten_never_condemns_its_archive(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    made = write(archives)
    (tmp_path / STACK / f"{ID}.json.partial").write_text("{")

    archives.clean()

    assert archives.manifests() == (made,)


@pytest.mark.parametrize("percent", [0, 50, 90, 99])
def test_a_cut_archive_is_no_backup_any_more(tmp_path: Path, percent: int) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    made = write(archives, b"x" * 1000)
    os.truncate(archives.path(made), 10 * percent)

    with pytest.raises(ArchiveCorrupt, match=f"has {10 * percent} bytes, its manifest says 1000"):
        archives.check(made, RecordingReporter())
    assert archives.manifests() == ()
    assert "1000" in archives.broken()[0]
    assert [id for id, _ in archives.damaged()] == [ID]
    assert archives.survey() == ((), archives.damaged())


def test_a_flipped_byte_is_found(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    made = write(archives, b"x" * 3_000_000)
    with archives.path(made).open("r+b") as file:
        file.seek(1_500_000)
        file.write(b"y")

    with pytest.raises(ArchiveCorrupt, match="not what was written"):
        archives.check(made, RecordingReporter())


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    made = write(archives)
    archives.path(made).unlink()

    with pytest.raises(ArchiveCorrupt, match="is missing"):
        archives.path(made)
    assert archives.manifests() == ()
    assert "missing" in archives.broken()[0]


def test_an_archive_behind_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    made = write(archives)
    archives.path(made).rename(tmp_path / "elsewhere")
    (tmp_path / STACK / made.archive).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ArchiveCorrupt, match="no regular file"):
        archives.check(made, RecordingReporter())
    assert archives.manifests() == ()


def test_an_archive_that_is_cut_has_no_path(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    made = write(archives)
    os.truncate(archives.path(made), made.size_bytes - 1)

    with pytest.raises(ArchiveCorrupt, match="its manifest says"):
        archives.path(made)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/etc/passwd")])
def test_a_manifest_that_is_no_file_is_told_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    made = write(archives)
    manifest = tmp_path / STACK / f"{made.id}.json"
    manifest.unlink()
    make(manifest)

    with pytest.raises(ManifestInvalid, match="cannot be read"):
        archives.find(made.id)


def test_another_stacks_manifest_is_refused_by_name(tmp_path: Path) -> None:
    foreign = write(ArchiveFolder(tmp_path, STACK))
    (tmp_path / STACK).rename(tmp_path / "comic-pile-staging")
    archives = ArchiveFolder(tmp_path, "comic-pile-staging")

    with pytest.raises(ManifestInvalid, match="belongs to the stack comic-pile, not to comic-pile-staging"):
        archives.find(foreign.id)
    assert archives.manifests() == ()
    assert "comic-pile" in archives.broken()[0]


def test_a_stack_never_sees_one_whose_name_begins_alike(tmp_path: Path) -> None:
    app, staging = ArchiveFolder(tmp_path, "comic-pile"), ArchiveFolder(tmp_path, "comic-pile-staging")
    write(app)

    assert staging.manifests() == ()
    assert staging.clean() == ()
    assert len(app.manifests()) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "ops-backup", "version": "9.0"}'])
def test_a_manifest_that_cannot_be_read_hides_its_backup_and_no_other(tmp_path: Path, content: str) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    write(archives)
    good = write(archives, day=1)
    (tmp_path / STACK / f"{ID}.json").write_text(content)

    assert archives.manifests() == (good,)
    with pytest.raises(ManifestInvalid):
        archives.find(ID)
    assert [text.split(":")[0] for text in archives.broken()] == [f"{ID}.json"]
    archives.clean()
    assert (tmp_path / STACK / f"{ID}.dump").exists()


def test_a_renamed_manifest_is_refused(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    write(archives)
    folder = tmp_path / STACK
    (folder / f"{ID}.json").rename(folder / "20270101T000000Z.json")

    assert archives.manifests() == ()
    with pytest.raises(ManifestInvalid):
        archives.find("20270101T000000Z")


def test_an_update_replaces_the_manifest_and_keeps_what_a_later_version_wrote(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    made = write(archives)
    path = tmp_path / STACK / f"{ID}.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "version": "1.4", "colour": "green"}))

    archives.update(replace(made, pinned=True, pin_note="keep"))

    assert archives.find(ID).pin_note == "keep"
    assert json.loads(path.read_text())["colour"] == "green"


def test_times_of_files_do_not_matter(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    write(archives)
    write(archives, day=1)
    before = archives.manifests()
    for path in (tmp_path / STACK).iterdir():
        os.utime(path, (0, 0))

    assert archives.manifests() == before


@pytest.mark.parametrize("backup_id", ["20991231T000000Z", "latest", "../x", ""])
def test_a_backup_that_is_not_there_is_not_found(tmp_path: Path, backup_id: str) -> None:
    with pytest.raises(BackupNotFound):
        ArchiveFolder(tmp_path, STACK).find(backup_id)


@pytest.mark.parametrize("stack", ["", "..", "a/b", "A", ".hidden"])
def test_a_stack_that_cannot_name_a_folder_is_a_configuration_error(tmp_path: Path, stack: str) -> None:
    with pytest.raises(ConfigurationError):
        ArchiveFolder(tmp_path, stack)


def test_a_folder_that_is_no_folder_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ArchiveUnwritable):
        ArchiveFolder(tmp_path / "file", STACK).begin(ID)


def test_a_file_that_may_not_grow_is_unwritable_and_leaves_nothing(tmp_path: Path) -> None:
    archives = ArchiveFolder(tmp_path, STACK)
    made = write(archives)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ArchiveUnwritable, match="cannot be written to") as caught:
            write(archives, b"x" * 200_000, day=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert "bytes free" in caught.value.cause
    assert archives.manifests() == (made,)
    assert archives.broken() == ()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "opstest", place], check=False, capture_output=True
    )
    if mounted.returncode != 0 and os.environ.get("OPS_REQUIRE_DOCKER") != "1":
        pytest.skip("NO TMPFS CAN BE MOUNTED: set OPS_REQUIRE_DOCKER=1 to make this fail")
    assert mounted.returncode == 0, mounted.stderr
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_unwritable_and_the_backups_before_stay(small_disk: Path) -> None:
    archives = ArchiveFolder(small_disk, STACK)
    made = write(archives, b"x" * 400_000)

    with pytest.raises(ArchiveUnwritable, match="cannot be written to"):
        write(archives, b"x" * 800_000, day=1)

    assert archives.manifests() == (made,)
    assert archives.broken() == ()
    assert archives.free_space_bytes() > 400_000


def test_the_free_space_of_a_folder_that_is_not_made_yet_is_known(tmp_path: Path) -> None:
    assert ArchiveFolder(tmp_path / "not" / "yet", STACK).free_space_bytes() > 0


def test_a_change_that_another_process_made_is_seen_at_the_next_look(tmp_path: Path) -> None:
    made = write(ArchiveFolder(tmp_path, STACK))
    watching = ArchiveFolder(tmp_path, STACK)
    assert watching.manifests() == (made,)

    ArchiveFolder(tmp_path, STACK).update(replace(made, pinned=True))

    assert [found.pinned for found in watching.manifests()] == [True]


def test_a_backup_that_is_pruned_while_the_folder_is_read_is_neither_listed_nor_called_damaged(tmp_path: Path) -> None:
    class PrunedMeanwhile(ArchiveFolder):
        def _entries(self) -> tuple[os.DirEntry[str], ...]:
            found = super()._entries()
            ArchiveFolder(tmp_path, STACK).delete(older)
            return found

    archives = PrunedMeanwhile(tmp_path, STACK)
    older, newer = write(archives), write(archives, day=1)

    assert archives.survey() == ((newer,), ())


def test_a_folder_that_another_user_owns_is_told_before_the_night(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    user = os.geteuid() or 65534
    asking, answering = os.pipe()

    child = os.fork()
    if child == 0:
        os.setuid(user)
        os.write(answering, why_unwritable(tmp_path / "comic-pile").encode())
        os._exit(0)
    os.waitpid(child, 0)
    tmp_path.chmod(0o700)

    assert os.read(asking, 1000).decode().startswith(f"user {user} cannot write to ")
    assert why_unwritable(tmp_path / "comic-pile") == ""
