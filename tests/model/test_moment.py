"""Are spans and moments read as a person means them?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ops.errors import ConfigurationError
from ops.model.moment import parse_moment, parse_since, parse_span

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"), [("26h", 93600), ("90s", 90), ("10m", 600), ("1d12h", 129600), ("1.5h", 5400), ("2w", 1209600)]
)
def test_a_span_is_the_sum_of_its_parts(text, seconds) -> None:
    assert parse_span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "26", "h", "1x", "1h and more"])
def test_what_is_no_span_is_refused_with_an_example(text) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_span(text)

    assert "26h" in str(raised.value.hint)


@pytest.mark.parametrize(
    "text", ["2026-01-31T02:00:00Z", "2026-01-31 02:00", "2026-01-31T03:00:00+01:00", "20260131T020000Z"]
)
def test_a_moment_is_utc_whatever_its_form(text) -> None:
    assert parse_moment(text) == datetime(2026, 1, 31, 2, tzinfo=UTC)


def test_since_takes_both_a_span_and_a_moment() -> None:
    assert parse_since("2h", now=NOW) == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert parse_since("2026-01-31T02:00:00Z", now=NOW) == datetime(2026, 1, 31, 2, tzinfo=UTC)
