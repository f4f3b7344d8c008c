"""Do copies off-site stay in step, never pretend, and never remove what they do not know?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.fetch import fetch
from ops.actions.offsite import (
    OffsiteTools,
    Synced,
    Target,
    catalog,
    copy_out,
    copy_to_all,
    refuse_failures,
    sync,
)
from ops.actions.verify_offsite import verify_offsite
from ops.adapters.archive_folder import ArchiveFolder
from ops.errors import BackupNotFound, LockHeld, OffsiteFailed
from ops.model.manifest import Manifest
from ops.model.manifest_json import from_json, to_json
from ops.model.retention import is_good
from ops.model.retention_policy import Policy
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.lock import FakeLock
from tests.fakes.offsite import FakeStore
from tests.fakes.reporter import RecordingReporter

STACK = "comic-pile"


class Bench:
    """A catalog on disk and an empty store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archives = ArchiveFolder(folder / "here", STACK)
        self.clock, self.report, self.lock = FakeClock(), RecordingReporter(), FakeLock()
        self.store = FakeStore()

    @property
    def tools(self) -> OffsiteTools:
        return OffsiteTools(self.archives, self.lock, self.clock, self.report, STACK)

    def take(self) -> Manifest:
        self.clock.jump(timedelta(days=1))
        return take_backup(
            database=FakeDatabase(), archives=self.archives, clock=self.clock, report=self.report, stack=STACK,
            environment="development", reason="manual",
        )  # fmt: skip

    def sync(self, policy: Policy | None = None) -> Synced:
        return sync(Target(self.store, policy), self.tools)

    def there(self) -> list[str]:
        return [manifest.id for manifest in catalog(self.store, STACK).manifests]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_archive_goes_first_then_the_manifest_then_the_local_mark(bench: Bench) -> None:
    taken = bench.take()

    marked = copy_out(taken, Target(bench.store), bench.tools)

    assert bench.store.log == [f"upload {taken.archive}", f"write {taken.id}.json"]
    assert marked.offsite == ("s3",)
    assert bench.archives.find(taken.id) == marked
    assert from_json(bench.store.files[f"{taken.id}.json"], "there") == marked


@pytest.mark.parametrize("fault", ["upload", "write", "sizes"])
def test_a_copy_that_fails_anywhere_leaves_the_local_backup_good_and_no_backup_there(bench: Bench, fault: str) -> None:
    taken = bench.take()
    bench.store.fails = {fault}

    manifest, failures = copy_to_all(taken, [Target(bench.store)], bench.tools)

    bench.store.fails = set()
    assert bench.there() == []
    assert manifest == taken == bench.archives.find(taken.id)
    bench.archives.check(taken, bench.report)
    assert len(failures) == 1
    with pytest.raises(OffsiteFailed, match=f"backup {taken.id} is good here and not off-site"):
        refuse_failures(taken.id, failures)
    assert bench.sync() == Synced((taken.id,), ())
    assert bench.there() == [taken.id]


def test_one_target_that_fails_does_not_keep_the_other_from_its_copy(bench: Bench) -> None:
    taken, other = bench.take(), FakeStore("folder")
    bench.store.fails = {"upload"}

    manifest, failures = copy_to_all(taken, [Target(bench.store), Target(other)], bench.tools)

    assert manifest.offsite == ("folder",)
    assert [text.split(":")[0] for text in failures] == ["s3"]


def test_the_lock_is_held_for_the_mark_alone_and_who_holds_it_keeps_only_the_mark_back(bench: Bench) -> None:
    taken = bench.take()
    bench.lock.held_by = "inv migrate"

    with pytest.raises(LockHeld):
        copy_out(taken, Target(bench.store), bench.tools)
    bench.lock.held_by = ""
    bench.sync()

    assert bench.there() == [taken.id]
    assert bench.archives.find(taken.id).offsite == ("s3",)
    assert bench.store.log.count(f"upload {taken.archive}") == 1


def test_copies_whose_marks_are_right_are_all_verified_with_one_look_at_the_store_whoever_holds_the_lock(
    bench: Bench,
) -> None:
    taken = [bench.take(), bench.take()]
    bench.sync()
    bench.lock.held_by, bench.store.looks = "inv backup", 0

    results, damaged = verify_offsite(None, store=bench.store, tools=bench.tools)

    assert ([one.manifest.id for one in results], damaged) == ([taken[1].id, taken[0].id], ())
    assert bench.store.looks == 1


def test_syncing_uploads_what_is_missing_newest_first_and_the_second_time_nothing(bench: Bench) -> None:
    taken = [bench.take().id for _ in range(3)]

    assert bench.sync().uploaded == tuple(reversed(taken))
    done = list(bench.store.log)
    assert bench.sync() == Synced((), ())
    assert bench.store.log == done


def test_a_backup_that_is_not_whole_here_is_not_copied(bench: Bench) -> None:
    taken = bench.take()
    bench.archives.update(replace(taken, verified_at=None, suspicious=("not whole: cut",)))

    assert bench.sync() == Synced((), ())


def test_a_pin_set_here_later_is_carried_to_the_copy(bench: Bench) -> None:
    taken = bench.take()
    bench.sync()
    bench.archives.update(replace(bench.archives.find(taken.id), pinned=True, pin_note="before the fair"))

    bench.sync()

    assert catalog(bench.store, STACK).find(taken.id).pin_note == "before the fair"


def test_a_mark_goes_where_somebody_removed_the_copy_and_the_copy_comes_back(bench: Bench) -> None:
    taken = bench.take()
    bench.sync()
    bench.store.files.clear()
    bench.store.fails = {"upload"}

    with pytest.raises(OffsiteFailed):
        bench.sync()
    assert bench.archives.find(taken.id).offsite == ()
    bench.store.fails = set()
    assert bench.sync().uploaded == (taken.id,)


def test_each_target_keeps_what_its_own_policy_says_and_nothing_is_uploaded_to_be_removed(bench: Bench) -> None:
    taken = [bench.take().id for _ in range(4)]

    assert bench.sync(Policy(keep_last=2)).uploaded == (taken[3], taken[2])
    newest = bench.take().id

    assert bench.sync(Policy(keep_last=2)) == Synced((newest,), (taken[2],))
    assert bench.there() == [newest, taken[3]]
    assert len(bench.archives.manifests()) == 5


def test_pruning_there_never_touches_what_it_does_not_know(bench: Bench) -> None:
    strange = {
        "notes.txt": b"mine", "20260101T000000Z.dump": b"an archive without a manifest", "20250101T000000Z.json": b"{",
    }  # fmt: skip
    bench.store.files.update(strange)
    for _ in range(3):
        bench.take()
        bench.sync(Policy(keep_last=1))

    assert strange.items() <= bench.store.files.items()
    assert len(bench.there()) == 1
    assert len(catalog(bench.store, STACK).odd) == 3


def test_a_refused_delete_leaves_the_backup_listed_and_pending_until_it_succeeds(bench: Bench) -> None:
    older = bench.take()
    bench.sync(Policy(keep_last=1))
    newer = bench.take()
    bench.store.fails = {"delete"}

    with pytest.raises(OffsiteFailed):
        bench.sync(Policy(keep_last=1))
    assert bench.there() == [newer.id, older.id]
    assert catalog(bench.store, STACK).condemned == (older.id,)
    bench.store.fails = set()

    assert bench.sync(Policy(keep_last=1)).removed == (older.id,)
    assert set(bench.store.files) == {newer.archive, f"{newer.id}.json"}


def test_a_removal_that_was_stopped_half_way_is_finished_by_the_next_run(bench: Bench) -> None:
    older = bench.take()
    bench.sync(Policy(keep_last=1))
    newer = bench.take()
    bench.store.fails = {f"delete {older.archive}"}
    with suppress(OffsiteFailed):
        bench.sync(Policy(keep_last=1))
    assert bench.there() == [newer.id]
    bench.store.fails = set()

    assert bench.sync(Policy(keep_last=1)).removed == (older.id,)
    assert set(bench.store.files) == {newer.archive, f"{newer.id}.json"}


def test_a_condemned_backup_that_was_pinned_meanwhile_stays(bench: Bench) -> None:
    older = bench.take()
    bench.sync(Policy(keep_last=1))
    bench.take()
    bench.store.fails = {"delete"}
    with suppress(OffsiteFailed):
        bench.sync(Policy(keep_last=1))
    bench.store.fails = set()
    bench.archives.update(replace(bench.archives.find(older.id), pinned=True))

    assert bench.sync(Policy(keep_last=1)).removed == ()
    assert older.id in bench.there()
    assert catalog(bench.store, STACK).condemned == ()


def test_on_a_new_machine_the_store_alone_gives_the_catalog_and_the_backup(bench: Bench, tmp_path: Path) -> None:
    taken = bench.take()
    bench.sync()
    content = bench.archives.path(taken).read_bytes()
    new = Bench(tmp_path / "new")
    new.store = bench.store

    found = catalog(new.store, STACK).manifests[0]
    fetched = fetch(found, new.store, new.tools)

    assert new.archives.manifests() == (fetched,)
    assert new.archives.path(fetched).read_bytes() == content
    assert fetch(found, new.store, new.tools) == fetched


@pytest.mark.parametrize("spoil", [lambda content: content[:-1], lambda content: content[:-1] + b"?"])
def test_what_arrives_damaged_never_becomes_a_backup_here(bench: Bench, tmp_path: Path, spoil) -> None:
    taken = bench.take()
    bench.sync()
    found = catalog(bench.store, STACK).find(taken.id)
    bench.store.files[taken.archive] = spoil(bench.store.files[taken.archive])
    new = Bench(tmp_path / "new")

    with pytest.raises(OffsiteFailed, match="did not arrive"):
        fetch(found, bench.store, new.tools)

    assert list((tmp_path / "new" / "here" / STACK).iterdir()) == []


def test_a_backup_that_is_cut_here_is_replaced_by_the_copy(bench: Bench) -> None:
    taken = bench.take()
    bench.sync()
    path = bench.archives.path(taken)
    content = path.read_bytes()
    path.write_bytes(content[:5])

    fetch(catalog(bench.store, STACK).find(taken.id), bench.store, bench.tools)

    assert path.read_bytes() == content
    assert bench.archives.damaged() == ()


def test_a_backup_with_a_flipped_byte_here_is_replaced_by_the_copy_and_keeps_its_pin(bench: Bench) -> None:
    taken = bench.take()
    bench.sync()
    path = bench.archives.path(taken)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    bench.archives.update(replace(taken, verified_at=None, suspicious=("not whole: x",), pinned=True))

    fetched = fetch(catalog(bench.store, STACK).find(taken.id), bench.store, bench.tools)

    assert path.read_bytes() == content
    assert (fetched.pinned, fetched.suspicious, is_good(fetched)) == (True, (), True)
    assert bench.archives.manifests() == (fetched,)


def test_another_backup_under_the_same_id_is_not_taken_for_it(bench: Bench) -> None:
    taken = bench.take()
    bench.sync()
    there = replace(catalog(bench.store, STACK).find(taken.id), sha256="b" * 64)

    with pytest.raises(OffsiteFailed, match="is another one"):
        fetch(there, bench.store, bench.tools)


def kinds_of_wrong(bench: Bench, taken: Manifest) -> Iterator[tuple[str, bytes]]:
    yield f"{taken.id}.json", b"not json"
    yield f"{taken.id}.json", to_json(replace(taken, stack="another")).encode()
    yield f"{taken.id}.json", to_json(replace(taken, size_bytes=taken.size_bytes + 1)).encode()
    yield "20200101T000000Z.json", to_json(taken).encode()


def test_what_is_wrong_there_is_named_and_is_no_backup(bench: Bench) -> None:
    taken = bench.take()
    bench.sync()
    good = dict(bench.store.files)

    for name, content in kinds_of_wrong(bench, taken):
        bench.store.files = {**good, name: content}
        found = catalog(bench.store, STACK)
        assert any(text.startswith(name) for text in found.odd)
        assert [manifest.id for manifest in found.manifests] == ([taken.id] if name != f"{taken.id}.json" else [])
    with pytest.raises(BackupNotFound):
        found.find("20990101T000000Z")
