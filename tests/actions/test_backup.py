"""Is there a backup exactly when every step of it succeeded?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.actions.archive_size import estimated_size_bytes, expected_size_bytes
from ops.actions.backup import Label, backup, take_backup
from ops.actions.expected_size import ExpectedSize
from ops.errors import ArchiveCorrupt, ArchiveUnwritable, DeadlinePassed, DumpFailed, LockHeld, OpsError
from ops.model.database import TableSummary
from ops.model.manifest import Manifest
from tests.fakes.archives import FakeArchives
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.journal import FakeJournal
from tests.fakes.lock import FakeLock
from tests.fakes.manifests import AT, FACTS, manifest
from tests.fakes.reporter import RecordingReporter

NOW = datetime(2026, 2, 1, 2, 0, tzinfo=UTC)
ID = "20260201T020000Z"


def take(
    archives: FakeArchives, database: FakeDatabase, report: RecordingReporter | None = None, **more: Any
) -> Manifest:
    return take_backup(
        database=database,
        archives=archives,
        clock=FakeClock(NOW),
        report=report or RecordingReporter(),
        stack="comic-pile",
        environment="development",
        reason=more.pop("reason", "manual"),
        **more,
    )


def test_a_backup_says_what_it_is_and_why(tmp_path: Path) -> None:
    archives, database = FakeArchives(tmp_path), FakeDatabase()
    expires_at = NOW + timedelta(days=7)

    made = take(
        archives, database, reason="before-migrate", note="0003", pin=True, pin_note="way back", expires_at=expires_at
    )

    assert archives.manifests() == (made,)
    assert (made.id, made.archive, made.stack) == (ID, f"{ID}.dump", "comic-pile")
    assert (made.reason, made.note, made.pinned, made.pin_note) == ("before-migrate", "0003", True, "way back")
    assert (made.expires_at, made.verified_at, made.revisions) == (expires_at, NOW, ("0002",))
    assert made.tables == database.tables()
    assert made.size_bytes == archives.path(made).stat().st_size
    assert made.restore_by_hand == f"pg_restore {ID}.dump"
    assert database.log == ["dump", "decode"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("dump", DumpFailed),
        ("finish", ArchiveCorrupt),
        ("decode", ArchiveCorrupt),
        ("commit", ArchiveUnwritable),
    ],
)
def test_a_failure_in_any_step_leaves_no_backup_and_nothing_else(
    tmp_path: Path, fault: str, error: type[OpsError]
) -> None:
    archives, database = FakeArchives(tmp_path), FakeDatabase()
    archives.fails_at = fault
    database.decodes = fault != "decode"
    if fault == "dump":
        database.dump_error = DumpFailed("pg_dump ended with exit code 1")

    with pytest.raises(error):
        take(archives, database)

    assert archives.manifests() == ()
    assert archives.log[-1] == f"abort {ID}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["facts", "decode", "reap"])
def test_a_step_that_stalls_ends_the_backup_as_a_failed_dump(tmp_path: Path, step: str) -> None:
    archives = FakeArchives(tmp_path)

    def stall(*_: object) -> None:
        raise DeadlinePassed(f"{step}: stalled and was ended", cause="the server answered nothing for 300 s")

    with pytest.raises(DumpFailed, match=f"{step}: stalled and was ended") as failure:
        take(archives, type("Stalling", (FakeDatabase,), {step: stall})())

    assert failure.value.cause == "the server answered nothing for 300 s"
    assert archives.manifests() == ()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing_either(tmp_path: Path) -> None:
    archives = FakeArchives(tmp_path)

    class Interrupted(FakeDatabase):
        def decode(self, archive: Path) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(archives, Interrupted())

    assert archives.log[-1] == f"abort {ID}"
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_cleaned_first_and_told(tmp_path: Path) -> None:
    archives, report = FakeArchives(tmp_path), RecordingReporter()
    archives.partials = ["20260131T020000Z.partial"]
    database = FakeDatabase()
    database.left = ("/tmp/ops-tool-x.pid",)

    take(archives, database, report)

    assert report.notes == [
        "ended or removed /tmp/ops-tool-x.pid, left by a run that was killed",
        "removed 20260131T020000Z.partial, left by a run that did not finish",
    ]


def test_too_little_room_is_refused_before_the_dump(tmp_path: Path) -> None:
    archives, database = FakeArchives(tmp_path, room=1000), FakeDatabase()

    with pytest.raises(ArchiveUnwritable, match=r"1\.0 kB left"):
        take(archives, database)

    assert database.log == []
    assert archives.log == []


def test_the_size_is_estimated_from_the_newest_backup_and_the_databases_growth() -> None:
    newest = manifest(AT, size_bytes=8_000_000)
    older = manifest(AT - timedelta(days=1), size_bytes=1)
    other = manifest(AT + timedelta(days=1), size_bytes=1, database=_named("other"))

    assert estimated_size_bytes(FACTS, [older, newest, other]) == 10_000_000 + (1 << 20)
    assert estimated_size_bytes(_sized(2_000_000), [newest]) == 20_000_000 + (1 << 20)
    assert estimated_size_bytes(_sized(2_000_000), []) == 1_000_000 + (1 << 20)


def test_a_second_backup_in_the_same_second_gets_an_id_of_its_own(tmp_path: Path) -> None:
    archives = FakeArchives(tmp_path)

    first, second = take(archives, FakeDatabase()), take(archives, FakeDatabase())

    assert (first.id, second.id) == (ID, "20260201T020001Z")


def test_a_collapse_is_flagged_and_told_but_the_backup_is_kept(tmp_path: Path) -> None:
    before = manifest(tables=(TableSummary("public.users", 5000, "ab"),), plain_size_bytes=10)
    archives, report = FakeArchives(tmp_path, before), RecordingReporter()

    made = take(archives, FakeDatabase({"public.users": []}), report)

    assert made.suspicious == (f"public.users went from 5000 to 0 rows since {before.id}",)
    assert archives.manifests()[0] == made
    assert "looks wrong" in report.warnings[0]


def test_settings_named_like_secrets_do_not_reach_the_manifest(tmp_path: Path) -> None:
    from dataclasses import replace

    database = FakeDatabase(facts=replace(FACTS, settings=(("", "app.jwt_secret", "canary"),)))

    made = take(FakeArchives(tmp_path), database)

    assert "canary" not in repr(made)


def test_a_backup_by_hand_holds_both_locks_and_writes_the_journal(tmp_path: Path) -> None:
    archives, lock, journal = FakeArchives(tmp_path), FakeLock(), FakeJournal()

    class Watching(FakeDatabase):
        def decode(self, archive: Path) -> None:
            assert lock.is_held
            assert self.is_locked
            super().decode(archive)

    database = Watching()
    database.left = ("/tmp/ops-tool-x.pid",)
    report = RecordingReporter()
    taken = backup(
        lock=lock,
        database=database,
        archives=archives,
        clock=FakeClock(NOW),
        report=report,
        stack="comic-pile",
        environment="production",
        label=Label(note="by hand"),
        journal=journal,
        by="tester@host 1",
    )

    assert taken.manifest.note == "by hand"
    assert taken.steps_s["fingerprint_s"] == 0.5
    assert [change.state for change in journal.changes()] == ["started", "finished"]
    assert journal.changes()[-1].details == {"id": ID}
    assert report.notes == ["ended or removed /tmp/ops-tool-x.pid, left by a run that was killed"]
    assert database.reaps == 1
    assert not lock.is_held


@pytest.mark.parametrize("holder", ["file", "database"])
def test_a_backup_beside_another_change_is_refused_before_anything_is_done(tmp_path: Path, holder: str) -> None:
    archives = FakeArchives(tmp_path)

    with pytest.raises(LockHeld):
        backup(
            lock=FakeLock(held_by="migrate" if holder == "file" else ""),
            database=FakeDatabase(held_by="migrate" if holder == "database" else ""),
            archives=archives,
            clock=FakeClock(NOW),
            report=RecordingReporter(),
            stack="comic-pile",
            environment="development",
        )

    assert archives.log == []


def _named(name: str) -> Any:
    from dataclasses import replace

    return replace(FACTS, name=name)


def _sized(size_bytes: int) -> Any:
    from dataclasses import replace

    return replace(FACTS, size_bytes=size_bytes)


def test_a_dump_tells_how_much_is_expected_from_the_newest_backup_until_it_is_more() -> None:
    facts = replace(FACTS, size_bytes=2_000_000)
    heard: list[tuple[str, int, int | None]] = []
    report = RecordingReporter()
    report.progress = lambda step, done, total, unit="bytes": heard.append((step, done, total))  # type: ignore[method-assign]

    expected = expected_size_bytes(facts, [manifest()])
    telling = ExpectedSize(report, "dump", expected)
    for done in (50_000, 200_000):
        telling.progress("dump", done, None)
    telling.progress("fingerprint", 1, 6)

    assert expected_size_bytes(facts, []) is None
    assert expected == 200_000
    assert heard == [("dump", 50_000, 200_000), ("dump", 200_000, None), ("fingerprint", 1, 6)]
