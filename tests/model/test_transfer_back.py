"""Are the escapes of COPY undone as PostgreSQL made them?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.model.transfer.back import fields_of
from ops.model.transfer.columns import with_escapes

TEXTS = st.text(st.sampled_from("\\\b\t\n\v\f\rbtnvfrxN a"), max_size=12).map(str.encode)


@given(st.lists(st.none() | TEXTS, min_size=1, max_size=4))
def test_what_was_escaped_comes_back_as_it_was(values: list[bytes | None]) -> None:
    line = b"\t".join(rb"\N" if value is None else with_escapes(value) for value in values)

    assert fields_of(line) == values


@pytest.mark.parametrize(
    ("line", "value"), [(rb"\\n", rb"\n"), (rb"\\\n", b"\\\n"), (rb"\\\\t", rb"\\t"), (rb"\\N", rb"\N")]
)
def test_a_backslash_before_a_letter_is_told_from_an_escape(line: bytes, value: bytes) -> None:
    assert fields_of(line) == [value]
