"""When is a job due, and which of the runs that were missed does it still owe?

Rules are read in a named zone with zoneinfo. The invariants, through every change of the clocks:

- `daily`, `weekly` and `monthly` give exactly one run for each local day (week, month) that exists. A local time
  that does not exist becomes the first instant after the gap; one that exists twice is its first occurrence.
- `hourly :MM` is whenever the local clock shows `:MM`: 23 runs on the short day, 25 on the long one.
- `every N minutes|hours` counts elapsed time on a grid from 1970-01-01 UTC, so it needs no memory.
- `monthly 31` is the last day of a shorter month.

Source: PEP 495 for what `fold` means inside a gap.
"""

from __future__ import annotations

import calendar
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ops.errors import ConfigurationError

RuleKind = Literal["daily", "hourly", "weekly", "monthly", "every", "after"]
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LATE_AFTER = timedelta(minutes=5)
"""A run that starts later than this is a catch-up."""
COUNTED_AT_MOST = 100
NO_DELAY = timedelta()
EXAMPLES = "`daily 02:00`, `hourly :15`, `weekly sunday 04:00`, `monthly 1 03:30`, `every 6 hours`, `after backup`"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PATTERN = re.compile(
    r"(?P<daily>daily (?P<daily_at>\S+))|(?P<hourly>hourly :(?P<minute>\d\d?))"
    r"|(?P<weekly>weekly (?P<weekday>[a-z]+) (?P<weekly_at>\S+))"
    r"|(?P<monthly>monthly (?P<day>\d\d?) (?P<monthly_at>\S+))"
    r"|(?P<every>every (?P<count>\d{1,5}) (?P<unit>minutes?|hours?))|(?P<after>after (?P<job>[a-z0-9][a-z0-9_-]*))"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a schedule, read by `parse_rule`; only the fields of its `kind` mean something."""

    text: str
    zone: str
    kind: RuleKind
    at: time = time(0, 0)
    """Local time of day of daily, weekly and monthly; only the minute of hourly."""
    weekday: int = 0
    """0 is Monday."""
    day: int = 1
    interval: timedelta = timedelta(hours=1)
    job: str = ""
    """The job that an `after` rule follows."""


@dataclass(frozen=True, slots=True)
class DueRun:
    """A run whose time has come. Missed runs are collapsed into the newest one."""

    due_at: datetime
    is_catch_up: bool
    missed: int = 0
    """How many earlier runs it stands for (counted to 100)."""


def parse_rule(text: str, zone: str = "UTC") -> Rule:
    """Read a rule such as `daily 02:00` in an IANA zone such as `Europe/Berlin`.

    Raises: ConfigurationError for an unknown zone, form, weekday or a number out of range.
    """
    zone_of(zone)
    words = " ".join(text.lower().split())
    found = _PATTERN.fullmatch(words)
    if found is None:
        raise _bad(text, "no such form of a rule")
    if found["daily"]:
        return Rule(words, zone, "daily", at=_time(text, found["daily_at"]))
    if found["hourly"]:
        return Rule(words, zone, "hourly", at=_time(text, f"00:{found['minute']}"))
    if found["weekly"]:
        return Rule(words, zone, "weekly", at=_time(text, found["weekly_at"]), weekday=_weekday(text, found["weekday"]))
    if found["monthly"]:
        if not 1 <= int(found["day"]) <= 31:
            raise _bad(text, f"a month has no day {found['day']}")
        return Rule(words, zone, "monthly", at=_time(text, found["monthly_at"]), day=int(found["day"]))
    if found["after"]:
        return Rule(words, zone, "after", job=found["job"])
    unit_s = 60 if found["unit"].startswith("minute") else 3600
    interval = timedelta(seconds=int(found["count"]) * unit_s)
    if not timedelta(minutes=1) <= interval <= timedelta(days=31):
        raise _bad(text, "an interval is 1 minute to 31 days")
    return Rule(words, zone, "every", interval=interval)


def describe(rule: Rule) -> str:
    """The rule in words, such as `every Sunday at 04:00 (Europe/Berlin)`."""
    at, where = rule.at.strftime("%H:%M"), f"({rule.zone})"
    match rule.kind:
        case "daily":
            return f"every day at {at} {where}"
        case "hourly":
            return f"every hour at minute {rule.at.minute:02d} {where}"
        case "weekly":
            return f"every {WEEKDAYS[rule.weekday].capitalize()} at {at} {where}"
        case "monthly":
            shorter = " or the last day of a shorter month" if rule.day > 28 else ""
            return f"on day {rule.day} of every month{shorter} at {at} {where}"
        case "after":
            return f"after each successful {rule.job}"
        case "every":
            minutes = int(rule.interval.total_seconds()) // 60
            count, unit = (minutes // 60, "hour") if minutes % 60 == 0 else (minutes, "minute")
            return f"every {unit}" if count == 1 else f"every {count} {unit}s"


def next_due(rule: Rule, after: datetime) -> datetime:
    """The first due time strictly after an aware moment, in UTC. An `after` rule has none (ValueError)."""
    return min(moment for moment in _around(rule, after.astimezone(UTC)) if moment > after)


def last_due(rule: Rule, at: datetime) -> datetime:
    """The newest due time at or before an aware moment, in UTC."""
    return max(moment for moment in _around(rule, at.astimezone(UTC)) if moment <= at)


def due_run(
    rule: Rule,
    handled: datetime,
    now: datetime,
    *,
    newest_success: datetime | None = None,
    delay: timedelta = NO_DELAY,
) -> DueRun | None:
    """The one run that is owed now, or None.

    Args:
        rule: not an `after` rule.
        handled: the newest due time that was dealt with, or since when the job is known at all.
        now: aware.
        newest_success: when the job's newest success started, whoever ran it. One at or after a missed due time
            makes its catch-up needless.
        delay: of the start, by jitter; it makes nothing late.
    """
    due_at = last_due(rule, now)
    if due_at <= handled:
        return None
    is_catch_up = now - due_at > LATE_AFTER + delay
    if is_catch_up and newest_success is not None and newest_success >= due_at:
        return None
    return DueRun(due_at, is_catch_up, _count_between(rule, handled, due_at))


def jitter(seed: str, due_at: datetime, at_most: timedelta) -> timedelta:
    """A delay from 0 up to `at_most`: whole seconds, the same for the same seed and due time."""
    limit_s = int(at_most.total_seconds())
    digest = hashlib.sha256(f"{seed}@{due_at.astimezone(UTC).isoformat()}".encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8], "big") % (limit_s + 1)) if limit_s > 0 else NO_DELAY


def _count_between(rule: Rule, handled: datetime, due_at: datetime) -> int:
    count, moment = 0, next_due(rule, handled)
    while moment < due_at and count < COUNTED_AT_MOST:
        count, moment = count + 1, next_due(rule, moment)
    return count


def _around(rule: Rule, moment: datetime) -> Iterator[datetime]:
    """Due times near a moment in UTC: at least the newest at or before it and the oldest after it."""
    if rule.kind == "after":
        raise ValueError(f"`{rule.text}` has no times of its own")
    if rule.kind == "every":
        newest = _EPOCH + (moment - _EPOCH) // rule.interval * rule.interval
        yield from (newest, newest + rule.interval)
    elif rule.kind == "hourly":
        yield from _around_hourly(rule, moment)
    else:
        zone = zone_of(rule.zone)
        for day in _days(rule, moment.astimezone(zone).date()):
            instant = _instant(day, rule.at, zone)
            if instant is not None:
                yield instant


def _around_hourly(rule: Rule, moment: datetime) -> Iterator[datetime]:
    # Steps in elapsed time find both passes of a repeated hour and jump over a gap of any length.
    zone = zone_of(rule.zone)
    for halves in range(-5, 6):
        shown = (moment + timedelta(minutes=30 * halves)).astimezone(zone)
        local = shown.replace(minute=rule.at.minute, second=0, microsecond=0)
        for fold in (0, 1):
            instant = local.replace(fold=fold).astimezone(UTC)
            if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                yield instant


def _days(rule: Rule, near: date) -> Iterator[date]:
    if rule.kind == "monthly":
        for shift in (-2, -1, 0, 1, 2):
            year, month = divmod(near.year * 12 + near.month - 1 + shift, 12)
            yield date(year, month + 1, min(rule.day, calendar.monthrange(year, month + 1)[1]))
    elif rule.kind == "weekly":
        this_week = near + timedelta(days=rule.weekday - near.weekday())
        yield from (this_week + timedelta(weeks=weeks) for weeks in (-2, -1, 0, 1, 2))
    else:
        yield from (near + timedelta(days=days) for days in (-3, -2, -1, 0, 1, 2, 3))


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime | None:
    """A local time as an instant; None where the whole local day was skipped (Pacific/Apia, 30 December 2011)."""
    local = datetime.combine(day, at)
    instant = local.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    end_of_gap = _end_of_gap(local, zone)
    begins_before = (end_of_gap - timedelta(microseconds=1)).astimezone(zone).date() >= day
    ends_within = end_of_gap.astimezone(zone).date() <= day
    return end_of_gap if begins_before or ends_within else None


def _end_of_gap(local: datetime, zone: ZoneInfo) -> datetime:
    # Inside a gap, fold=1 counts with the offset after it and fold=0 with the one before it: the change lies between.
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    late = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    offset_after = late.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + ((late - early) // 2 // timedelta(seconds=1)) * timedelta(seconds=1)
        early, late = (early, middle) if middle.astimezone(zone).utcoffset() == offset_after else (middle, late)
    return late


def zone_of(name: str) -> ZoneInfo:
    """The IANA zone of that name. Raises: ConfigurationError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ConfigurationError(
            f"unknown time zone {name!r}",
            cause="not in the IANA time zone database",
            hint='write it as in `zone = "Europe/Berlin"` under [tool.ops.schedule]',
        ) from exc


def _time(text: str, at: str) -> time:
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", at)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise _bad(text, f"{at!r} is not a time of day from 00:00 to 23:59")
    return time(int(found[1]), int(found[2]))


def _weekday(text: str, word: str) -> int:
    matches = [number for number, name in enumerate(WEEKDAYS) if word in {name, name[:3]}]
    if not matches:
        raise _bad(text, f"{word!r} is not a day of the week")
    return matches[0]


def _bad(text: str, cause: str) -> ConfigurationError:
    return ConfigurationError(
        f"cannot read the schedule rule {text!r}", cause=cause, hint=f"write one such as {EXAMPLES}"
    )
