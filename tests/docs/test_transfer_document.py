"""Does docs/transfer.md name only tests that exist, and one for each case?"""

from __future__ import annotations

from pathlib import Path

from tests.faults.test_document import NAMED, functions_of

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "transfer.md").read_text("utf-8")
CASES = TEXT.partition("## The cases, and the test of each")[2].partition("\n## ")[0]


def test_every_test_that_is_named_exists():
    named = NAMED.findall(TEXT)

    assert len(named) > 12
    assert [f"{file}::{test}" for file, test in named if test not in functions_of(file)] == []


def test_every_case_has_a_test():
    rows = [line for line in CASES.splitlines() if line.startswith("|")][2:]

    assert len(rows) == 12
    assert [row for row in rows if not NAMED.search(row)] == []
