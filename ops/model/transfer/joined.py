"""What do the joined values of a whole batch say, without looking at each by itself?

SQLite joins the values of a column with commas; a block of bytes is then judged by operations that run at the speed of
memory. A block that is not clearly sound is not judged here: the SQL of `checks` looks at each value then.
"""

from __future__ import annotations

import calendar
import re

from ops.model.transfer.schema import Kind

SHAPES: dict[Kind, bytes] = {
    "timestamptz": b"0000-00-00 00:00:00.000000,",
    "timestamp": b"0000-00-00 00:00:00.000000,",
    "interval": b"0000-00-00 00:00:00.000000,",
    "date": b"0000-00-00,",
    "time": b"00:00:00.000000,",
}
_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_DAYS = {
    (*f"{month:02}".encode(), *f"{day:02}".encode())
    for month in range(1, 13)
    for day in range(1, (29 if month == 2 else calendar.monthrange(2001, month)[1]) + 1)
}
_HOURS = {tuple(f"{hour:02}".encode()) for hour in range(24)}
_SIXTY = set(b"012345")
_LEAP_DAY = re.compile(rb"(\d{4})-02-29")
_SPECIAL = b"\\\b\t\n\v\f\r"
_SEPARATORS = b"\x1c\x1d\x1e\x1f"


def are_moments(joined: bytes, count: int, kind: Kind) -> bool:
    """Whether these `count` values, joined by commas, are all moments in the one form of their kind.

    As many commas as lie between values are in the right places, so no value holds one, and each has its length.
    """
    block, shape = joined + b",", SHAPES[kind]
    if block.translate(_AS_ZERO) != shape * count:
        return False
    step = len(shape)
    clock = shape.find(b"00:")
    if clock >= 0 and not _are_clocks(block, clock, step):
        return False
    return clock == 0 or _are_days(block, step)


def _are_clocks(block: bytes, at: int, step: int) -> bool:
    hours = set(zip(block[at::step], block[at + 1 :: step], strict=True))
    return hours <= _HOURS and set(block[at + 3 :: step]) <= _SIXTY and set(block[at + 6 :: step]) <= _SIXTY


def _are_days(block: bytes, step: int) -> bool:
    days = set(zip(block[5::step], block[6::step], block[8::step], block[9::step], strict=True))
    if not days <= _DAYS or block.startswith(b"0000") or b",0000-" in block:
        return False
    if tuple(b"0229") not in days:
        return True
    return all(calendar.isleap(int(year)) for year in set(_LEAP_DAY.findall(block)))


def has_special(joined: bytes) -> bool:
    """Whether a character is in it that COPY needs escaped."""
    return len(joined.translate(None, _SPECIAL)) != len(joined)


def has_separators(joined: bytes) -> bool:
    """Whether a character is in it that `escaped` takes for a separator."""
    return len(joined.translate(None, _SEPARATORS)) != len(joined)


def is_text_broken(joined: bytes) -> bool:
    """Whether it holds a NUL character or is no UTF-8."""
    if b"\0" in joined:
        return True
    if joined.isascii():
        return False
    try:
        joined.decode()
    except UnicodeDecodeError:
        return True
    return False


_ESCAPES = tuple(
    (bytes([code]), b"\\" + letter)
    for code, letter in zip(b"\b\t\n\v\f\r", (b"b", b"t", b"n", b"v", b"f", b"r"), strict=True)
)
_TO_LINES = bytes.maketrans(b"\x1f\x1e", b"\t\n")


def escaped(block: bytes) -> bytes:
    """Lines of COPY from values joined by US, rows by RS, with GS for NULL and FS for a backslash of our own."""
    block = block.replace(b"\\", b"\\\\")
    for raw, written in _ESCAPES:
        block = block.replace(raw, written)
    return block.translate(_TO_LINES).replace(b"\x1d", b"\\N").replace(b"\x1c", b"\\")
