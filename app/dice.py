"""Which die is in the hand after a rating?

A good read earns a smaller die, so the next roll stays near the front of the queue; a poor one a larger die.
"""

from __future__ import annotations

import random
from collections.abc import Callable

LADDER = (4, 6, 8, 10, 12, 20)
FIRST_DIE = 6
GOOD_RATING = 4.0

Die = Callable[[int], int]
"""Throws a die of so many faces: 1 to that number, each as likely."""


def throw(faces: int) -> int:
    """Throw a die with the system's own randomness."""
    return random.SystemRandom().randint(1, faces)


def is_good(rating: float) -> bool:
    """Whether a rating moves its thread to the front: 4.0 and better."""
    return rating >= GOOD_RATING


def next_die(die: int, rating: float) -> int:
    """One step down the ladder for a good rating, else one up; it ends at 4 and at 20.

    A die that is no rung of the ladder stays as it is.
    """
    if die not in LADDER:
        return die
    step = LADDER.index(die) + (-1 if is_good(rating) else 1)
    return LADDER[min(max(step, 0), len(LADDER) - 1)]
