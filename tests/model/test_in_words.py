"""Is a length of time said in as many words as a person needs?"""

from __future__ import annotations

import pytest

from ops.model.in_words import in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (90061, "1 d 1 h"),
        (86460, "1 d"),
        (-5, "0 s"),
    ],
)
def test_a_length_of_time_is_said_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
