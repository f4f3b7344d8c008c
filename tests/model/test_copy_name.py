"""Is every copy's name within 63 bytes, its own, and told from names that are not ours?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.model.copy_name import LONGEST_BYTES, copy_name, is_scratch_name

ID = "20260131T020000Z"


def test_a_copy_is_called_after_its_live_database_its_role_and_its_change() -> None:
    assert copy_name("comicpile", "scratch", ID) == "comicpile__scratch_20260131t020000z"
    assert copy_name("comicpile", "recovery-point", ID) == "comicpile__before_20260131t020000z"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=63))
def test_no_name_is_longer_than_postgresql_takes_and_ours_are_recognised(live: str) -> None:
    name = copy_name(live, "scratch", ID)

    assert len(name.encode()) <= LONGEST_BYTES
    assert is_scratch_name(name, live)


def test_two_long_names_that_differ_only_at_their_end_have_different_copies() -> None:
    assert copy_name("x" * 62 + "a", "scratch", ID) != copy_name("x" * 62 + "b", "scratch", ID)


@pytest.mark.parametrize(
    "name", ["app", "app__scratch", "app__scratch_", "app__scratch_A B", "app-staging__scratch_1", "app__before_1"]
)
def test_other_names_are_not_taken_for_scratch_copies(name: str) -> None:
    assert not is_scratch_name(name, "app")


@pytest.mark.parametrize("id", ["", "a b", "../x", 'a"b'])
def test_what_is_no_id_makes_no_name(id: str) -> None:
    with pytest.raises(ValueError, match="not the id of a change"):
        copy_name("app", "scratch", id)
