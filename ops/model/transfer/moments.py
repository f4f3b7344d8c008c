"""Are all moments of a joined column ones that the calendar and the clock have?

A block is looked at across its values: all first digits of the month as one bytes object, all second ones, and so on.
Each digit is turned into a bit for every impossible combination that it may be a part of; a combination is there
where the bits of all its digits meet in one value. That is a few operations for thousands of values.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from functools import reduce
from operator import and_

from ops.model.transfer.schema import Kind

SHAPES: dict[Kind, bytes] = {
    "timestamptz": b"0000-00-00 00:00:00.000000",
    "timestamp": b"0000-00-00 00:00:00.000000",
    "interval": b"0000-00-00 00:00:00.000000",
    "date": b"0000-00-00",
    "time": b"00:00:00.000000",
}
"""The one form of each kind of moment, with 0 for any digit."""
_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_ANY = b"0123456789"
_LEAP_DAY = 1


def _bits_of(combinations: Sequence[Sequence[bytes]]) -> tuple[bytes, ...]:
    """For each place a table from a digit to the bits of the combinations that it may be a part of."""
    return tuple(
        bytes(sum(1 << bit for bit, digits in enumerate(place) if code in digits) for code in range(256))
        for place in zip(*combinations, strict=True)
    )


_DAYS = _bits_of(
    (  # month, month, day, day
        (b"0", b"2", b"2", b"9"),  # only in leap years
        (b"0", b"2", b"3", _ANY),
        (b"0", b"0", _ANY, _ANY),
        (b"1", b"3456789", _ANY, _ANY),
        (_ANY, _ANY, b"0", b"0"),
        (_ANY, _ANY, b"3", b"23456789"),
        (b"0", b"469", b"3", b"1"),
        (b"1", b"1", b"3", b"1"),
    )
)
_HOURS = _bits_of(((b"2", b"456789"),))


def are_moments(block: bytes, count: int, kind: Kind, mark: bytes) -> bool:
    """Whether these `count` values, joined by `mark`, are all moments in the one form of their kind.

    As many marks as lie between values are in the right places, so no value holds one, and each has its length.
    """
    if not count:
        return not block
    shape = SHAPES[kind] + mark
    block += mark
    if block.translate(_AS_ZERO) != shape * count:
        return False
    step, clock = len(shape), shape.find(b"00:")
    if clock >= 0 and not _are_clocks(block, clock, step):
        return False
    return clock == 0 or _are_days(block, step)


def _are_clocks(block: bytes, at: int, step: int) -> bool:
    hours, sixties = block[at::step], block[at + 3 :: step] + block[at + 6 :: step]
    if hours.translate(None, b"012") or sixties.translate(None, b"012345"):
        return False
    return not _met(block, (at, at + 1), step, _HOURS)


def _are_days(block: bytes, step: int) -> bool:
    if b"0" in block[::step] and 0 in _years(block, step):
        return False
    if block[5::step].translate(None, b"01") or block[8::step].translate(None, b"0123"):
        return False
    met = _met(block, (5, 6, 8, 9), step, _DAYS)
    if not met:
        return True
    found = met.to_bytes(len(block) // step)
    if found.translate(None, bytes([0, _LEAP_DAY])):
        return False
    leaps = (row for row, bits in enumerate(found) if bits)
    return all(calendar.isleap(int(block[row * step : row * step + 4])) for row in leaps)


def _years(block: bytes, step: int) -> set[int]:
    return {int(block[at : at + 4]) for at in range(0, len(block), step)}


def _met(block: bytes, places: Sequence[int], step: int, tables: Sequence[bytes]) -> int:
    """A byte for each value, with the bits that all of its digits share."""
    bits = (block[at::step].translate(table) for at, table in zip(places, tables, strict=True))
    return reduce(and_, map(int.from_bytes, bits))
