"""Does a bad backup stop counting, and a good one get its mark?"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard

from ops.actions.backup import take_backup
from ops.actions.encrypted import Sealing
from ops.actions.list_backups import list_backups, refuse_older_than
from ops.actions.verify import Verified, refuse_problems, verify
from ops.adapters.archive_proof import StreamedProof
from ops.errors import ArchiveCorrupt, BackupNotFound, BackupTooOld, EngineUnreachable
from ops.model.manifest import DatabaseIdentity, Drill, Manifest
from ops.model.retention import is_good
from tests.fakes.archives import FakeArchives
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.lock import FakeLock
from tests.fakes.manifests import AT, FACTS, manifest
from tests.fakes.reporter import RecordingReporter

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def taken(archives: FakeArchives, database: FakeDatabase, at: datetime = AT) -> Manifest:
    return take_backup(
        database=database,
        archives=archives,
        clock=FakeClock(at),
        report=RecordingReporter(),
        stack="comic-pile",
        environment="development",
        reason="manual",
    )


def verified(
    archives: FakeArchives, database: FakeDatabase, *ids: str, report: RecordingReporter | None = None
) -> tuple[Verified, ...]:
    return verify(
        ids,
        archives=archives,
        database=database,
        lock=FakeLock(),
        clock=FakeClock(NOW),
        report=report or RecordingReporter(),
    )


def test_a_whole_backup_is_marked_with_the_time(tmp_path: Path) -> None:
    archives, database, report = FakeArchives(tmp_path), FakeDatabase(), RecordingReporter()
    made = taken(archives, database)

    (result,) = verified(archives, database, report=report)

    assert result.problem == ""
    assert archives.find(made.id).verified_at == NOW
    assert report.events == [("verify.finished", {"id": made.id, "is_good": True, "duration_s": 0.0})]
    refuse_problems([result])


@pytest.mark.parametrize("fault", ["flipped", "undecodable"])
def test_a_bad_backup_stops_counting_as_good_and_the_others_are_read_all_the_same(tmp_path: Path, fault: str) -> None:
    archives, database = FakeArchives(tmp_path), FakeDatabase()
    bad, good = taken(archives, database), taken(archives, database, AT + timedelta(days=1))
    if fault == "flipped":
        archives.path(bad).write_bytes(b"x" * bad.size_bytes)
    else:
        archives.path(bad).write_bytes(b"no archive")
        archives.check = lambda manifest, report: None

    results = verified(archives, database, bad.id, good.id)

    assert [bool(result.problem) for result in results] == [True, False]
    assert not is_good(archives.find(bad.id))
    assert archives.find(bad.id).verified_at is None
    assert is_good(archives.find(good.id))
    with pytest.raises(ArchiveCorrupt, match=f"1 of 2 .* {bad.id}"):
        refuse_problems(results)


def test_a_bad_backup_is_noted_once_and_one_that_is_mended_counts_again(tmp_path: Path) -> None:
    archives, database = FakeArchives(tmp_path), FakeDatabase()
    made = taken(archives, database)
    content = archives.path(made).read_bytes()
    archives.path(made).write_bytes(b"x")

    verified(archives, database)
    verified(archives, database)

    assert len(archives.find(made.id).suspicious) == 1
    archives.path(made).write_bytes(content)
    (result,) = verified(archives, database)
    assert result.manifest.verified_at == NOW
    assert is_good(archives.find(made.id))


@pytest.mark.parametrize("is_whole", [True, False])
def test_an_archive_of_the_other_kind_of_database_is_read_by_its_own_format(tmp_path: Path, is_whole: bool) -> None:
    archives = FakeArchives(tmp_path)
    made = taken(archives, FakeDatabase())
    with closing(sqlite3.connect(tmp_path / "pile.db")) as session:
        session.execute("CREATE TABLE comics (name TEXT)")
    packed = zstandard.ZstdCompressor(write_checksum=True).compress((tmp_path / "pile.db").read_bytes())
    archives.update(replace(made, format="sqlite"))
    archives.path(made).write_bytes(packed if is_whole else packed[:-3])
    archives.check = lambda manifest, report: None

    (result,) = verify(
        [made.id], archives=archives, database=FakeDatabase(), lock=FakeLock(), clock=FakeClock(NOW),
        report=RecordingReporter(), sealing=Sealing(None, StreamedProof), own_format="custom",
    )  # fmt: skip

    assert (result.problem == "") is is_whole, result.problem


def test_a_backup_that_the_catalog_does_not_list_any_more_is_told_and_refused(tmp_path: Path) -> None:
    archives, report = FakeArchives(tmp_path), RecordingReporter()
    taken(archives, FakeDatabase())
    archives.damage = (("20270101T000000Z", "its archive is missing"),)

    results = verified(archives, FakeDatabase(), report=report)

    assert report.warnings == ["20270101T000000Z is no backup any more: its archive is missing"]
    refuse_problems(results)
    with pytest.raises(ArchiveCorrupt, match=r"1 of 2 .* 20270101T000000Z"):
        refuse_problems(results, archives.damaged())


def test_a_server_that_does_not_answer_says_nothing_about_the_backup(tmp_path: Path) -> None:
    class Gone(FakeDatabase):
        def decode(self, archive: Path) -> None:
            raise EngineUnreachable("the engine does not answer")

    archives = FakeArchives(tmp_path)
    made = taken(archives, FakeDatabase())

    with pytest.raises(EngineUnreachable):
        verified(archives, Gone())

    assert archives.find(made.id) == made


def test_there_must_be_a_backup(tmp_path: Path) -> None:
    with pytest.raises(BackupNotFound):
        verified(FakeArchives(tmp_path), FakeDatabase())
    with pytest.raises(BackupNotFound):
        verified(FakeArchives(tmp_path), FakeDatabase(), "20990101T000000Z")


def test_the_list_has_the_keys_that_other_programs_rely_on(tmp_path: Path) -> None:
    archives = FakeArchives(tmp_path, manifest(), manifest(AT + timedelta(days=1), size_bytes=150_000, pinned=True))

    newer, older = list_backups(archives, FakeClock(NOW), RecordingReporter())

    assert list(newer)[:10] == [
        "id", "file", "size_bytes", "sha256", "database", "revision", "reason", "pinned", "created_at", "verified_at",
    ]  # fmt: skip
    assert (older["id"], older["created_at"], older["revision"]) == ("20260131T020000Z", AT, "0002")
    assert (newer["pinned"], newer["size_change"], older["size_change"]) == (True, 0.5, None)
    assert older["file"] == str(tmp_path / "20260131T020000Z.dump")


def test_the_list_names_the_backups_that_count_no_longer(tmp_path: Path) -> None:
    archives, report = FakeArchives(tmp_path, manifest()), RecordingReporter()
    archives.damage = (("20270101T000000Z", "its archive is missing"),)

    rows = list_backups(archives, FakeClock(NOW), report)

    assert [row["id"] for row in rows] == ["20260131T020000Z"]
    assert report.warnings == ["20270101T000000Z is no backup any more: its archive is missing"]


def test_a_catalog_without_a_backup_is_an_empty_list(tmp_path: Path) -> None:
    assert list_backups(FakeArchives(tmp_path), FakeClock(NOW), RecordingReporter()) == ()


def test_the_newest_good_backup_must_be_young_enough(tmp_path: Path) -> None:
    good, wrong = manifest(AT), manifest(AT + timedelta(days=2), suspicious=("x",))
    future = manifest(AT + timedelta(days=30))
    archives, clock = FakeArchives(tmp_path, good, wrong, future), FakeClock(AT + timedelta(hours=50))

    assert refuse_older_than(archives, clock, timedelta(hours=51)) == good
    with pytest.raises(BackupTooOld, match=r"20260131T020000Z is 50\.0 h old, 26\.0 h are allowed"):
        refuse_older_than(archives, clock, timedelta(hours=26))
    with pytest.raises(BackupTooOld, match=r"is 50\.0 h old, 90 s are allowed"):
        refuse_older_than(archives, clock, timedelta(seconds=90))
    with pytest.raises(BackupTooOld, match="no good backup"):
        refuse_older_than(FakeArchives(tmp_path, wrong), clock, timedelta(hours=26))


def test_a_backup_of_another_kind_of_database_does_not_count_as_young(tmp_path: Path) -> None:
    file = replace(manifest(AT + timedelta(days=1)), database=replace(FACTS, kind="sqlite"))
    archives, clock = FakeArchives(tmp_path, manifest(AT), file), FakeClock(AT + timedelta(hours=50))

    def newest(hours: float, **live: str) -> Manifest:
        of = DatabaseIdentity("development", "postgresql", "comicpile")._replace(**live)
        return refuse_older_than(archives, clock, timedelta(hours=hours), live=of)

    assert newest(51) == newest(51, name="") == archives.find(manifest(AT).id)
    with pytest.raises(BackupTooOld, match="20260131T020000Z"):
        newest(26)
    assert newest(26, kind="sqlite") == file
    with pytest.raises(BackupTooOld, match=r"no good backup of other \(postgresql, development\)"):
        newest(51, name="other")
    with pytest.raises(BackupTooOld, match="no good backup of comicpile"):
        newest(51, environment="production")


def test_the_trend_of_a_size_is_that_of_one_database_and_the_table_says_which(tmp_path: Path, capsys) -> None:
    from ops.cli.shown.backups import catalog

    file = replace(FACTS, kind="sqlite", name="comic_pile.db")
    old = manifest(AT, size_bytes=4_000_000, format="sqlite", database=file)
    moved = manifest(AT + timedelta(days=1), size_bytes=50_000)
    again = manifest(AT + timedelta(days=2), size_bytes=2_000_000, format="sqlite", database=file)

    rows = list_backups(FakeArchives(tmp_path, old, moved, again), FakeClock(NOW), RecordingReporter())
    catalog(rows, NOW, as_json=False)

    assert [(row["id"], row["size_change"]) for row in rows] == [(again.id, -0.5), (moved.id, None), (old.id, None)]
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["ID", "DATABASE"]
    assert [line.split()[1] for line in lines] == ["comic_pile.db", "comicpile", "comic_pile.db"]


def test_the_list_shows_age_size_trend_revision_proofs_copies_and_pins(tmp_path: Path, capsys) -> None:
    from ops.cli.shown.backups import catalog

    first = manifest(AT, offsite=("nas", "s3"), drill=Drill(AT + timedelta(hours=2), 4.0, "17.11", "me"))
    sealed = manifest(AT + timedelta(days=1), size_bytes=90_000, encryption="age", pinned=True, note="before the fair")
    wrong = manifest(AT + timedelta(days=2), size_bytes=45_000, suspicious=("public.users lost its rows",))
    now = AT + timedelta(days=2, hours=3)

    rows = list_backups(FakeArchives(tmp_path, first, sealed, wrong), FakeClock(now), RecordingReporter())
    catalog(rows, now, as_json=False)

    head, *lines, said = capsys.readouterr().out.splitlines()
    cells = [re.split(r"  +", line) for line in lines]
    assert head.split() == [
        "ID", "AGE", "SIZE", "TREND", "REVISION", "REASON", "PIN", "VERIFIED", "DRILLABLE", "DRILLED", "OFF-SITE",
        "NOTE",
    ]  # fmt: skip
    assert cells == [
        [wrong.id, "3 h", "45.0 kB", "-50 %", "0002", "scheduled", "NOT GOOD", "yes", "never", "-"],
        [sealed.id, "1 d 3 h", "90.0 kB", "-10 %", "0002", "scheduled", "pinned", "1 d 3 h", "no key", "never", "-",
         "before the fair"],
        [first.id, "2 d 3 h", "100.0 kB", "0002", "scheduled", "2 d 3 h", "yes", "2 d 1 h", "nas,s3"],
    ]  # fmt: skip
    assert said == f"{wrong.id} is not good: public.users lost its rows"
    there = list_backups(FakeArchives(tmp_path, sealed), FakeClock(now), RecordingReporter(), can_decrypt=True)
    assert [row["drillable"] for row in there] == [True]
