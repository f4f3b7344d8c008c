"""Which changes have no end?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ops.model.change import Change, from_json, to_json, unfinished

STARTED = Change("1", "restore", "started", datetime(2026, 1, 31, 2, tzinfo=UTC), "ann@host 42")


def test_a_change_that_was_started_and_has_no_end_is_unfinished() -> None:
    other = replace(STARTED, id="2")

    found = unfinished([STARTED, other, replace(STARTED, state="finished")])

    assert found == (other,)


def test_an_exec_that_began_in_the_same_second_does_not_end_a_change() -> None:
    beside = replace(STARTED, kind="exec")

    found = unfinished([STARTED, beside, replace(beside, state="finished")])

    assert found == (STARTED,)


def test_empty_fields_are_left_out_of_the_json() -> None:
    assert to_json(STARTED) == {
        "id": "1", "kind": "restore", "state": "started", "at": "2026-01-31T02:00:00+00:00", "by": "ann@host 42",
    }  # fmt: skip


def test_keys_of_a_newer_version_are_left_alone() -> None:
    assert from_json({**to_json(STARTED), "mood": "good"}) == STARTED


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has a zone"):
        from_json({**to_json(STARTED), "at": "2026-01-31T02:00:00"})
