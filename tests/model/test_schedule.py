"""Does a rule give exactly the runs that its words promise, through every change of the clocks?"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import ConfigurationError
from ops.model.schedule import Rule, describe, due_run, jitter, last_due, next_due, parse_rule

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "America/Nuuk",
    "Asia/Kathmandu", "Africa/Casablanca", "Asia/Beirut", "Antarctica/Troll", "Pacific/Auckland",
)  # fmt: skip


def runs(rule: Rule, start: datetime, end: datetime) -> list[datetime]:
    """Every due time after `start` up to `end`."""
    found: list[datetime] = []
    moment = next_due(rule, start)
    while moment <= end:
        found.append(moment)
        moment = next_due(rule, moment)
    return found


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "zone", "after", "due"),
    [
        pytest.param(
            "daily 02:30", "Europe/Berlin", utc(2025, 3, 29, 12), utc(2025, 3, 30, 1), id="gap: first instant after"
        ),
        pytest.param(
            "daily 02:30", "Europe/Berlin", utc(2025, 3, 30, 1), utc(2025, 3, 31, 0, 30), id="day after the gap"
        ),
        pytest.param(
            "daily 02:30", "Europe/Berlin", utc(2025, 10, 25, 12), utc(2025, 10, 26, 0, 30), id="twice: first"
        ),
        pytest.param(
            "daily 02:30", "Europe/Berlin", utc(2025, 10, 26, 0, 30), utc(2025, 10, 27, 1, 30), id="twice: not again"
        ),
        pytest.param(
            "daily 02:15", "Australia/Lord_Howe", utc(2025, 10, 4, 0), utc(2025, 10, 4, 15, 30), id="half-hour gap"
        ),
        pytest.param(
            "daily 01:45", "Australia/Lord_Howe", utc(2025, 4, 5, 0), utc(2025, 4, 5, 14, 45), id="half hour twice"
        ),
        pytest.param(
            "daily 00:30", "America/Sao_Paulo", utc(2018, 11, 3, 12), utc(2018, 11, 4, 3), id="gap at midnight"
        ),
        pytest.param("daily 23:30", "America/Nuuk", utc(2025, 3, 29, 12), utc(2025, 3, 30, 1), id="gap up to midnight"),
        pytest.param(
            "daily 02:30", "Pacific/Apia", utc(2011, 12, 29, 12, 30), utc(2011, 12, 30, 12, 30), id="skipped day"
        ),
        pytest.param(
            "weekly sunday 02:30", "Europe/Berlin", utc(2025, 3, 24), utc(2025, 3, 30, 1), id="week with a gap"
        ),
        pytest.param("weekly sun 04:00", "UTC", utc(2026, 1, 4, 4), utc(2026, 1, 11, 4), id="strictly after"),
        pytest.param("monthly 31 03:00", "UTC", utc(2024, 2, 1), utc(2024, 2, 29, 3), id="leap February"),
        pytest.param("monthly 30 03:00", "UTC", utc(2025, 2, 1), utc(2025, 2, 28, 3), id="short February"),
        pytest.param("monthly 1 00:00", "UTC", utc(2025, 12, 1), utc(2026, 1, 1), id="over the year's end"),
        pytest.param(
            "hourly :15", "Europe/Berlin", utc(2025, 3, 30, 0, 15), utc(2025, 3, 30, 1, 15), id="hour after the gap"
        ),
        pytest.param("hourly :30", "Asia/Kathmandu", utc(2025, 1, 1), utc(2025, 1, 1, 0, 45), id="zone of +05:45"),
        pytest.param("every 90 minutes", "UTC", utc(1970, 1, 1, 0, 1), utc(1970, 1, 1, 1, 30), id="grid"),
    ],
)
def test_the_next_due_time_is_the_first_one_after(text, zone, after, due):
    assert next_due(parse_rule(text, zone), after) == due


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at", ["00:00", "00:30", "01:45", "02:00", "02:30", "03:00", "23:30"])
def test_a_daily_job_runs_once_for_each_of_the_days_of_two_years(zone, at):
    rule = parse_rule(f"daily {at}", zone)
    start, end = (datetime(year, 1, 1, tzinfo=ZoneInfo(zone)) for year in (2024, 2026))

    found = runs(rule, start - timedelta(seconds=1), end - timedelta(seconds=1))

    assert len(found) == 366 + 365
    apart = {second - first for first, second in pairwise(found)}
    assert min(apart) >= timedelta(hours=22)
    assert max(apart) <= timedelta(hours=26)


@pytest.mark.parametrize(
    ("zone", "at"), [("Europe/Berlin", "02:30"), ("Australia/Lord_Howe", "02:15"), ("America/Sao_Paulo", "00:00")]
)
def test_no_local_day_sees_two_runs_and_none_goes_without(zone, at):
    rule = parse_rule(f"daily {at}", zone)

    found = runs(rule, utc(2017, 1, 1), utc(2019, 1, 1))

    per_day = Counter(moment.astimezone(ZoneInfo(zone)).date() for moment in found)
    assert set(per_day.values()) == {1}
    assert len(per_day) == (max(per_day) - min(per_day)).days + 1


@pytest.mark.parametrize(
    ("zone", "day", "count"),
    [
        ("Europe/Berlin", date(2025, 3, 30), 23),
        ("Europe/Berlin", date(2025, 6, 1), 24),
        ("Europe/Berlin", date(2025, 10, 26), 25),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),
    ],
)
def test_an_hourly_job_has_as_many_runs_as_the_day_has_hours(zone, day, count):
    found = runs(
        parse_rule("hourly :30", zone),
        utc(day.year, day.month, day.day) - timedelta(days=1),
        utc(day.year, day.month, day.day) + timedelta(days=2),
    )

    assert sum(moment.astimezone(ZoneInfo(zone)).date() == day for moment in found) == count


def test_an_hourly_job_is_never_more_than_ninety_minutes_apart_where_the_shift_is_half_an_hour():
    found = runs(parse_rule("hourly :15", "Australia/Lord_Howe"), utc(2025, 1, 1), utc(2025, 12, 31))

    apart = {second - first for first, second in pairwise(found)}
    assert apart == {timedelta(hours=1), timedelta(minutes=90)}


def test_an_interval_counts_elapsed_time_through_a_change_of_the_clocks():
    found = runs(parse_rule("every 6 hours", "Europe/Berlin"), utc(2025, 3, 29), utc(2025, 3, 31))

    assert found == [utc(2025, 3, 29) + timedelta(hours=6 * number) for number in range(1, 9)]


rules = st.one_of(
    st.builds("daily {:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59)),
    st.builds("hourly :{:02d}".format, st.integers(0, 59)),
    st.builds(
        "weekly {} {:02d}:{:02d}".format,
        st.sampled_from(["monday", "sat", "sunday"]),
        st.integers(0, 23),
        st.integers(0, 59),
    ),
    st.builds("monthly {} {:02d}:{:02d}".format, st.integers(1, 31), st.integers(0, 23), st.integers(0, 59)),
    st.builds("every {} minutes".format, st.integers(1, 3000)),
)
moments = st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(text=rules, zone=st.sampled_from((*ZONES, "Pacific/Apia", "America/Caracas")), moment=moments)
def test_next_and_last_due_are_neighbours_around_any_moment(text, zone, moment):
    rule = parse_rule(text, zone)

    after, before = next_due(rule, moment), last_due(rule, moment)

    assert before <= moment < after
    assert next_due(rule, before) == after
    assert last_due(rule, after) == after
    assert last_due(rule, after - timedelta(microseconds=1)) == before


@given(hour=st.integers(0, 23), minute=st.integers(0, 59), zone=st.sampled_from(ZONES), moment=moments)
def test_a_daily_run_shows_its_own_time_unless_that_time_did_not_exist(hour, minute, zone, moment):
    due = next_due(parse_rule(f"daily {hour:02d}:{minute:02d}", zone), moment)

    shown = due.astimezone(ZoneInfo(zone))
    if (shown.hour, shown.minute) != (hour, minute):
        just_before = (due - timedelta(seconds=1)).astimezone(ZoneInfo(zone))
        assert just_before.utcoffset() < shown.utcoffset(), "only the end of a gap may stand in"
    else:
        assert shown.fold == 0, "the first of two"


DAILY = parse_rule("daily 02:00")


def test_nothing_is_owed_before_the_due_time():
    assert due_run(DAILY, utc(2026, 1, 1, 2), utc(2026, 1, 2, 1, 59, 59)) is None


def test_a_run_is_owed_at_its_time_and_is_no_catch_up():
    owed = due_run(DAILY, utc(2026, 1, 1, 2), utc(2026, 1, 2, 2, 0, 1))

    assert owed is not None
    assert (owed.due_at, owed.is_catch_up, owed.missed) == (utc(2026, 1, 2, 2), False, 0)


def test_five_missed_runs_collapse_into_one_catch_up():
    owed = due_run(DAILY, utc(2026, 1, 1, 2), utc(2026, 1, 6, 9))

    assert owed is not None
    assert (owed.due_at, owed.is_catch_up, owed.missed) == (utc(2026, 1, 6, 2), True, 4)
    assert due_run(DAILY, owed.due_at, utc(2026, 1, 6, 9)) is None


def test_no_catch_up_is_owed_where_a_newer_success_exists():
    by_hand = utc(2026, 1, 6, 3)

    assert due_run(DAILY, utc(2026, 1, 5, 2), utc(2026, 1, 6, 9), newest_success=by_hand) is None
    assert due_run(DAILY, utc(2026, 1, 5, 2), utc(2026, 1, 6, 9), newest_success=utc(2026, 1, 6, 2)) is None
    assert due_run(DAILY, utc(2026, 1, 5, 2), utc(2026, 1, 6, 9), newest_success=utc(2026, 1, 6, 1)) is not None


def test_a_newer_success_does_not_skip_a_run_on_time():
    owed = due_run(DAILY, utc(2026, 1, 5, 2), utc(2026, 1, 6, 2, 0, 30), newest_success=utc(2026, 1, 6, 2, 0, 10))

    assert owed is not None


def test_counting_what_was_missed_in_a_year_stops_at_a_hundred():
    owed = due_run(parse_rule("every 1 minute"), utc(2025, 1, 1), utc(2026, 1, 1))

    assert owed is not None
    assert owed.missed == 100


def test_jitter_is_a_function_of_its_seed_and_stays_below_its_limit():
    due = [utc(2026, 1, day, 2) for day in range(1, 29)]

    delays = [jitter("stack/backup", at, timedelta(minutes=10)) for at in due]

    assert delays == [jitter("stack/backup", at, timedelta(minutes=10)) for at in due]
    assert len(set(delays)) > 20
    assert all(timedelta() <= delay <= timedelta(minutes=10) for delay in delays)
    assert delays != [jitter("other/backup", at, timedelta(minutes=10)) for at in due]
    assert jitter("stack/backup", due[0], timedelta()) == timedelta()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("daily 02:00", "every day at 02:00 (Europe/Berlin)"),
        ("hourly :05", "every hour at minute 05 (Europe/Berlin)"),
        ("weekly Sunday 04:00", "every Sunday at 04:00 (Europe/Berlin)"),
        ("monthly 1 03:30", "on day 1 of every month at 03:30 (Europe/Berlin)"),
        ("monthly 31 03:30", "on day 31 of every month or the last day of a shorter month at 03:30 (Europe/Berlin)"),
        ("every 1 hour", "every hour"),
        ("every 90 minutes", "every 90 minutes"),
        ("every 120 minutes", "every 2 hours"),
        ("after backup", "after each successful backup"),
    ],
)
def test_a_rule_says_in_words_what_it_does(text, words):
    assert describe(parse_rule(text, "Europe/Berlin")) == words


@pytest.mark.parametrize(
    ("text", "zone", "told"),
    [
        ("daily 24:00", "UTC", "not a time of day"),
        ("daily 2:5", "UTC", "not a time of day"),
        ("daily", "UTC", "no such form"),
        ("nightly 02:00", "UTC", "no such form"),
        ("0 2 * * *", "UTC", "no such form"),
        ("hourly :60", "UTC", "not a time of day"),
        ("weekly someday 02:00", "UTC", "not a day of the week"),
        ("monthly 0 02:00", "UTC", "no day 0"),
        ("monthly 32 02:00", "UTC", "no day 32"),
        ("every 0 hours", "UTC", "1 minute to 31 days"),
        ("every 800 hours", "UTC", "1 minute to 31 days"),
        ("daily 02:00", "Europe/Berlim", "time zone database"),
        ("daily 02:00", "../etc/passwd", "time zone database"),
        ("daily 02:00", "", "time zone database"),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused_with_the_way_to_write_it(text, zone, told):
    with pytest.raises(ConfigurationError) as refused:
        parse_rule(text, zone)

    assert told in (refused.value.cause or "")
    assert refused.value.hint
