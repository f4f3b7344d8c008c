"""Does the journal keep every finished line, whatever happened to the last one?"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.adapters.journal_file import JournalFile
from ops.errors import ConfigurationError
from ops.model.change import Change, RecoveryPoint

CHANGE = Change(
    id="20260131T020000Z",
    kind="restore",
    state="finished",
    at=datetime(2026, 1, 31, 2, tzinfo=UTC),
    by="ann@host 42",
    database="comicpile",
    from_revisions=("0002",),
    to_revisions=("0001", "0002"),
    recovery=RecoveryPoint("database", "comicpile__recovery_1"),
    undoes="20260130T020000Z",
    details={"load_s": 1.5, "café": ["ü"]},
)


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path / "journal.jsonl")
    second = Change("2", "backup", "started", CHANGE.at, "bob")

    journal.append(CHANGE)
    journal.append(second)

    assert journal.changes() == (CHANGE, second)


def test_a_stack_without_a_journal_has_no_changes(tmp_path: Path) -> None:
    assert JournalFile(tmp_path / "journal.jsonl").changes() == ()


@pytest.mark.parametrize("cut", [1, 5, 60, 200])
def test_a_torn_last_line_is_left_out_and_does_not_spoil_the_next_one(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal.jsonl"
    journal = JournalFile(path)
    journal.append(CHANGE)
    whole = path.stat().st_size
    journal.append(replace(CHANGE, id="torn"))
    os.truncate(path, whole + cut)

    before = journal.changes()
    journal.append(replace(CHANGE, id="next"))

    assert [change.id for change in before] == [CHANGE.id]
    assert [change.id for change in journal.changes()] == [CHANGE.id, "next"]


def test_a_last_line_that_lacks_only_its_end_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = JournalFile(path)
    journal.append(CHANGE)
    os.truncate(path, path.stat().st_size - 1)

    journal.append(replace(CHANGE, id="next"))

    assert [change.id for change in journal.changes()] == [CHANGE.id, "next"]


def test_lines_of_many_writers_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    changes = [replace(CHANGE, id=f"{number}", details={"text": "x" * 5000}) for number in range(40)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda change: JournalFile(path).append(change), changes))

    assert sorted(JournalFile(path).changes(), key=lambda c: int(c.id)) == changes


def test_the_journal_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        JournalFile(tmp_path / "state" / "journal.jsonl").append(CHANGE)
    finally:
        os.umask(before)

    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "journal.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_journal_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()

    with pytest.raises(ConfigurationError, match=r"the journal .*journal\.jsonl cannot be written"):
        JournalFile(tmp_path / "journal.jsonl").append(CHANGE)
