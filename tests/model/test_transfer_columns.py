"""Do whole columns of values read, and are they judged, as each value by itself would be?"""

from __future__ import annotations

import sqlite3
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.model.transfer.columns import (
    ESCAPED,
    RAW,
    are_facts_sound,
    facts,
    fields,
    is_ambiguous,
    is_sound,
    joined,
    lines,
)
from ops.model.transfer.schema import Column

SMALL = Column("n", "int", "smallint", size_bytes=2)
WORD = Column("n", "text", "character varying(5)", length=5)
AT = Column("n", "timestamp", "timestamp without time zone")
SECOND = Column("n", "timestamp", "timestamp(0) without time zone", precision=0)
FLAG = Column("n", "bool", "boolean")
RATIO = Column("n", "float8", "double precision")
LETTERS = {"\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r"}


def column_of(values, column, marks=RAW):
    """What SQLite joins: (block, rows, missing, facts)."""
    session = sqlite3.connect(":memory:")
    session.text_factory = bytes
    session.execute("CREATE TABLE t (n)")
    session.executemany("INSERT INTO t VALUES (?)", [[value] for value in values])
    asked = (joined(column, '"n"', marks), "count(n)", *facts(column, '"n"'))
    block, count, *found = session.execute(f"SELECT {', '.join(asked)} FROM t").fetchone()
    session.close()
    return block or b"", len(values), len(values) - count, found


def is_taken(values, column):
    """Whether the column is clearly sound as a whole."""
    block, rows, missing, found = column_of(values, column)
    return are_facts_sound(column, found, rows - missing) and is_sound(column, block, rows, missing, RAW)


def as_copy(text):
    return "".join(LETTERS.get(letter, letter) for letter in text).encode()


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), min_size=1))
def test_any_text_becomes_the_field_of_copy_whether_or_not_it_holds_a_mark(texts):
    expected = [b"\\N" if text is None else as_copy(text) for text in texts]
    block, rows, missing, _ = column_of(texts, WORD)
    escaped, *_ = column_of(texts, WORD, ESCAPED)

    assert fields(WORD, escaped, ESCAPED) == expected
    if is_ambiguous(WORD, block, rows, missing, RAW):
        assert any(mark in text for text in texts if text for mark in "\x1d\x1f")
    else:
        assert fields(WORD, block, RAW) == expected


@pytest.mark.parametrize(
    ("column", "values", "is_right"),
    [
        (SMALL, [1, -32768, 32767, None], True),
        (SMALL, [32768], False),
        (SMALL, [-32769], False),
        (SMALL, [1, 2.5, 3], False),
        (SMALL, [1, "2"], False),
        (SMALL, [1, b"2"], False),
        (WORD, ["", "fünfe", None], True),
        (WORD, ["sechs!"], False),
        (WORD, ["a", 5], False),
        (WORD, ["a", b"b"], False),
        (WORD, ["a\0b"], False),
        (FLAG, [0, 1, None], True),
        (FLAG, [2], False),
        (FLAG, [-1], False),
        (FLAG, ["1"], False),
        (RATIO, [1, 2.5, None], True),
        (RATIO, ["2.5"], False),
        (AT, ["2024-02-29 23:59:59.999999", None], True),
        (AT, [None, None], True),
        (AT, [20240229], False),
        (AT, [b"2024-02-29 23:59:59.999999", None], False),
        (SECOND, ["2024-02-29 23:59:59.000000", None, "2024-02-29 23:59:00.000000"], True),
        (SECOND, ["2024-02-29 23:59:59.000000", None, "2024-02-29 23:59:59.000001"], False),
        (SECOND, ["2024-02-29 23:59:59.100000"], False),
        (FLAG, [0, 0.5, 1], False),
        (RATIO, [2**53, 1e300, -(2**53) - 2], True),
        (RATIO, [0, 2**53 + 1, 2.0**60], False),
        (AT, ["2024-02-29 23:59:59.999999", ""], False),
    ],
)
def test_one_value_that_is_not_clearly_sound_makes_the_column_doubtful(column, values, is_right):
    assert is_taken(values, column) is is_right
    assert is_taken([*values * 3, *values], column) is is_right


def test_a_missing_value_makes_a_column_doubtful_that_wants_one():
    assert is_taken(["a", None], WORD)
    assert not is_taken(["a", None], Column("n", "text", "text", is_nullable=False))
    assert not is_taken([None], Column("n", "int", "integer", is_nullable=False, size_bytes=4))


def test_text_that_is_no_utf8_makes_the_column_doubtful():
    assert not is_sound(WORD, b"caf\xe9", 1, 0, RAW)


@given(st.lists(st.datetimes(datetime(1, 1, 1)), min_size=1, max_size=30))  # noqa: DTZ001 - naive, as SQLAlchemy stores it
def test_moments_are_sound_and_lose_the_zeros_that_postgresql_does_not_print(moments):
    stored = [moment.isoformat(" ", "microseconds").rjust(26, "0") for moment in moments]
    block, rows, missing, _ = column_of(stored, AT)

    assert is_sound(AT, block, rows, missing, RAW)
    assert fields(AT, block, RAW) == [
        text.rstrip("0").rstrip(".").encode() if "." in text else text.encode() for text in stored
    ]


@given(st.from_regex(r"\A\d{4}-[01]\d-[0-3]\d [0-2]\d:[0-6]\d:[0-6]\d\.\d{6}\Z"))
def test_a_moment_is_sound_exactly_if_the_calendar_and_the_clock_have_it(text):
    ascii_digits = text.isascii()
    try:
        datetime.fromisoformat(text)
    except ValueError:
        is_real = False
    else:
        is_real = ascii_digits

    assert is_taken(["2024-01-01 00:00:00.000000", text], AT) is is_real


def test_lines_have_an_end_each_even_without_columns():
    assert lines([[b"1", b"2"], [b"a", b"\\N"]], 2) == b"1\ta\n2\t\\N\n"
    assert lines([], 3) == b"\n\n\n"
