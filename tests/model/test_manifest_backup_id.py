"""Do ids sort as time does, and does each name one second?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import BackupNotFound
from ops.model.backup_id import archive_name, is_id, manifest_name, new_id, time_of

times = st.datetimes(
    min_value=datetime(1000, 1, 1),  # noqa: DTZ001 - Hypothesis wants naive bounds
    max_value=datetime(9990, 1, 1),  # noqa: DTZ001
    timezones=st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours))),
)


@given(times)
def test_an_id_names_the_second_it_was_made_from(at: datetime) -> None:
    assert time_of(new_id(at)) == at.replace(microsecond=0)
    assert is_id(new_id(at))


@given(times, times)
def test_ids_sort_as_their_times_do(one: datetime, other: datetime) -> None:
    assert (new_id(one) < new_id(other)) == (one.replace(microsecond=0) < other.replace(microsecond=0))


def test_a_second_backup_in_the_same_second_gets_the_next_free_one() -> None:
    at = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)

    assert new_id(at, {"20261231T235959Z", "20270101T000000Z"}) == "20270101T000001Z"


@pytest.mark.parametrize(
    "text",
    ["", "latest", "20260131", "20260131T020000", "20260230T020000Z", "../20260131T020000Z", "20260131T020000Z\n"],
)
def test_anything_else_is_no_id(text: str) -> None:
    assert not is_id(text)
    with pytest.raises(BackupNotFound):
        time_of(text)


def test_files_are_named_after_the_id() -> None:
    assert archive_name("20260131T020000Z", "custom") == "20260131T020000Z.dump"
    assert archive_name("20260131T020000Z", "sqlite") == "20260131T020000Z.sqlite"
    assert manifest_name("20260131T020000Z") == "20260131T020000Z.json"
