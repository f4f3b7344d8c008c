"""Does a drill note what it proved, and does what it disproved stop counting as good?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.drill import Drilled, drill, newest_drill
from ops.errors import (
    ArchiveCorrupt,
    BackupNotFound,
    DataDiffers,
    LoadFailed,
    LockHeld,
    RestoreRefused,
    ServiceUnhealthy,
)
from ops.model.database import ServerOffers
from ops.model.manifest import Drill, Manifest
from ops.model.retention import is_good
from ops.ports import LoadSource, Reporter
from tests.fakes.archives import FakeArchives
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.lock import FakeLock
from tests.fakes.manifests import AT, manifest
from tests.fakes.reporter import RecordingReporter
from tests.fakes.throwaways import FakeThrowaways, Throwaway

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def taken(archives: FakeArchives, at: datetime = AT) -> Manifest:
    return take_backup(
        database=FakeDatabase(), archives=archives, clock=FakeClock(at), report=RecordingReporter(),
        stack="comic-pile", environment="development", reason="manual",
    )  # fmt: skip


def drilled(
    archives: FakeArchives,
    throwaways: FakeThrowaways,
    id: str = "",
    *,
    report: RecordingReporter | None = None,
    lock: FakeLock | None = None,
    **further: object,
) -> Drilled:
    return drill(
        id, archives=archives, throwaways=throwaways, lock=lock or FakeLock(), clock=FakeClock(NOW),
        report=report or RecordingReporter(), by="me@here", **further,
    )  # fmt: skip


def failing(message: str) -> type[Throwaway]:
    class Failing(Throwaway):
        def load(self, name: str, source: LoadSource, *, jobs: int, report: Reporter) -> None:
            raise LoadFailed("x.dump could not be loaded", cause=message)

    return Failing


def test_a_backup_that_restores_is_noted_with_when_where_and_by_whom(tmp_path: Path) -> None:
    archives, servers, report = FakeArchives(tmp_path), FakeThrowaways(), RecordingReporter()
    made = taken(archives)

    done = drilled(archives, servers, report=report)

    noted = archives.find(made.id)
    assert noted == replace(made, drill=Drill(NOW, 0.0, "17.11", "me@here"), verified_at=NOW)
    assert (done.manifest, done.tables, done.rows) == (noted, 1, 2)
    assert set(done.steps_in_seconds()) >= {"read_s", "start_s", "load_s", "compare_s"}
    assert [event for event, _ in report.events] == ["drill.finished"]
    assert servers.running == 0
    assert newest_drill(archives) == NOW


def test_the_newest_is_taken_where_none_is_named(tmp_path: Path) -> None:
    archives, servers = FakeArchives(tmp_path), FakeThrowaways()
    older, newer = taken(archives), taken(archives, AT + timedelta(days=1))

    drilled(archives, servers)
    drilled(archives, servers, older.id)

    assert servers.log == ["clean", f"server for {newer.id}", "clean", f"server for {older.id}"]


def test_a_table_that_differs_ends_with_71_and_the_backup_stops_counting_until_a_drill_succeeds(
    tmp_path: Path,
) -> None:
    archives, servers = FakeArchives(tmp_path), FakeThrowaways()
    made = taken(archives)
    whole = made.tables
    archives.update(replace(made, tables=(replace(whole[0], row_count=3),), drill=Drill(AT, 1.0, "17", "me")))

    with pytest.raises(DataDiffers) as found:
        drilled(archives, servers)

    assert found.value.exit_code == 71
    assert "public.users: 3 rows" in found.value.shown_cause
    noted = archives.find(made.id)
    assert not is_good(noted)
    assert (noted.drill, noted.verified_at) == (None, None)
    assert noted.suspicious[0].startswith("not restorable: ")
    assert servers.running == 0

    archives.update(replace(noted, tables=whole))
    assert is_good(drilled(archives, servers).manifest)


def test_an_archive_that_does_not_load_stops_counting(tmp_path: Path) -> None:
    archives = FakeArchives(tmp_path)
    made = taken(archives)

    with pytest.raises(LoadFailed):
        drilled(archives, FakeThrowaways(failing("syntax error at or near x")))

    assert not is_good(archives.find(made.id))


@pytest.mark.parametrize(
    "message", ["could not extend file: No space left on device", "server closed the connection unexpectedly"]
)
def test_a_throwaway_server_that_fails_says_nothing_about_the_backup(tmp_path: Path, message: str) -> None:
    archives, broken = FakeArchives(tmp_path), FakeThrowaways()
    made = taken(archives)
    broken.error = ServiceUnhealthy("the throwaway server did not come up")

    with pytest.raises(LoadFailed):
        drilled(archives, FakeThrowaways(failing(message)))
    with pytest.raises(ServiceUnhealthy):
        drilled(archives, broken)

    assert archives.find(made.id) == made


def test_a_flipped_archive_is_found_before_any_server_is_started(tmp_path: Path) -> None:
    archives, servers = FakeArchives(tmp_path), FakeThrowaways()
    made = taken(archives)
    archives.path(made).write_bytes(b"x" * made.size_bytes)

    with pytest.raises(ArchiveCorrupt):
        drilled(archives, servers)

    assert servers.log == ["clean"]
    assert not is_good(archives.find(made.id))


@pytest.mark.parametrize(
    ("offers", "named"),
    [
        (ServerOffers("postgresql", "18.6", 18, frozenset({"plpgsql"}), frozenset({"none", "gzip"})), "zstd"),
        (ServerOffers("postgresql", "18.6", 18, frozenset(), frozenset({"zstd"})), "the extension plpgsql"),
    ],
)
def test_what_the_server_at_hand_lacks_is_named_and_nothing_is_noted(
    tmp_path: Path, offers: ServerOffers, named: str
) -> None:
    class Lacking(Throwaway):
        offered = offers

    archives = FakeArchives(tmp_path)
    made = taken(archives)

    with pytest.raises(RestoreRefused) as refused:
        drilled(archives, FakeThrowaways(Lacking))

    assert named in refused.value.shown_cause
    assert archives.find(made.id) == made


def test_an_encrypted_backup_is_not_drillable_without_an_identity(tmp_path: Path) -> None:
    archives, servers = FakeArchives(tmp_path), FakeThrowaways()
    made = taken(archives)
    archives.update(replace(made, encryption="age"))

    for id in ("", made.id):
        with pytest.raises(RestoreRefused, match=f"{made.id} cannot be drilled: it is encrypted with age"):
            drilled(archives, servers, id)

    plain = taken(archives, AT - timedelta(days=1))
    assert drilled(archives, servers).manifest.id == plain.id


def test_the_lock_is_free_while_the_archive_loads_and_a_pin_set_meanwhile_stays(tmp_path: Path) -> None:
    archives, lock = FakeArchives(tmp_path), FakeLock()
    made = taken(archives)

    class Watching(Throwaway):
        def load(self, name: str, source: LoadSource, *, jobs: int, report: Reporter) -> None:
            assert not lock.is_held
            archives.update(replace(archives.find(made.id), pinned=True))
            super().load(name, source, jobs=jobs, report=report)

    done = drilled(archives, FakeThrowaways(Watching), lock=lock)

    assert done.manifest.pinned
    assert lock.log == ["acquired for drill", "released by drill"]


def test_a_result_that_cannot_be_noted_is_an_error(tmp_path: Path) -> None:
    archives = FakeArchives(tmp_path)
    made = taken(archives)

    with pytest.raises(LockHeld):
        drilled(archives, FakeThrowaways(), lock=FakeLock(held_by="restore"))

    assert archives.find(made.id).drill is None


def test_what_a_killed_drill_left_is_removed_first_and_named(tmp_path: Path) -> None:
    archives, report = FakeArchives(tmp_path), RecordingReporter()
    taken(archives)

    drilled(archives, FakeThrowaways(left=("the drill folder drill-1",)), report=report)

    assert report.notes == ["removed the drill folder drill-1, left by a drill that did not finish"]


def test_there_must_be_a_backup(tmp_path: Path) -> None:
    with pytest.raises(BackupNotFound):
        drilled(FakeArchives(tmp_path), FakeThrowaways())
    with pytest.raises(BackupNotFound):
        drilled(FakeArchives(tmp_path, manifest()), FakeThrowaways(), "20990101T000000Z")
