"""Is a collapse noticed, and an ordinary change not?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ops.model.database import TableSummary
from ops.model.manifest import Manifest
from ops.model.suspicion import predecessor, suspicions
from tests.fakes.manifests import AT, FACTS, manifest

LATER = AT + timedelta(days=1)


def rows(**counts: int) -> dict[str, Any]:
    return {"tables": tuple(TableSummary(name, count, "ab") for name, count in counts.items())}


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({}, {"plain_size_bytes": 40_000}, "the archive shrank from 100000 to 40000 bytes"),
        (rows(threads=5000), rows(threads=0), "threads went from 5000 to 0 rows"),
        (rows(threads=5000), rows(threads=2000), "threads went from 5000 to 2000 rows"),
        (rows(threads=50), rows(threads=0), "threads went from 50 to 0 rows"),
        (rows(threads=50), rows(), "threads went from 50 to 0 rows"),
    ],
)
def test_a_collapse_is_named(before: dict[str, Any], now: dict[str, Any], told: str) -> None:
    (found,) = suspicions(manifest(LATER, **now), manifest(**before))

    assert found == f"{told} since 20260131T020000Z"


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({}, {"plain_size_bytes": 60_000}),
        ({"plain_size_bytes": 20_000}, {"plain_size_bytes": 1_000}),
        ({"codec": "gzip"}, {"plain_size_bytes": 40_000}),
        (rows(threads=5000), rows(threads=3000)),
        (rows(sessions=9), rows(sessions=0)),
        (rows(threads=50), {**rows(), "revisions": ("0003",)}),
        (rows(), rows(threads=5000)),
    ],
)
def test_an_ordinary_change_is_not(before: dict[str, Any], now: dict[str, Any]) -> None:
    assert suspicions(manifest(LATER, **now), manifest(**before)) == ()


def test_the_first_backup_of_all_is_not_suspicious() -> None:
    assert suspicions(manifest(), None) == ()


def test_a_backup_is_compared_with_the_newest_earlier_one_that_can_be_relied_on() -> None:
    def day(number: int, **changes: Any) -> Manifest:
        return manifest(AT + timedelta(days=number), **changes)

    good, accepted = day(1), day(2, suspicious=("x",), acknowledged=True)
    wrong, production, future = day(3, suspicious=("x",)), day(4, environment="production"), day(9)

    assert predecessor(day(5), [future, good, production, wrong]) == good
    assert predecessor(day(5), [good, accepted, wrong]) == accepted
    assert predecessor(day(5), [wrong]) is None


def test_the_first_backup_after_a_move_from_sqlite_has_no_predecessor() -> None:
    file = replace(FACTS, kind="sqlite")
    before = manifest(format="sqlite", database=file, codec="zstd", plain_size_bytes=5_000_000, tables=())

    assert predecessor(manifest(LATER), [before]) is None
    assert predecessor(manifest(LATER, format="sqlite", database=file), [before, manifest()]) == before
