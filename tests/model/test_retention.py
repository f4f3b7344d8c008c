"""Is every backup kept or dropped by the rules, for a reason, and never the last good one?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.errors import ConfigurationError
from ops.model.manifest import Manifest
from ops.model.retention import decide, doubtful, withheld_because
from ops.model.retention_policy import Policy, parse_policy
from tests.fakes.manifests import FACTS, manifest

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STARTS = [datetime(2023, 12, 20, tzinfo=UTC), datetime(2024, 2, 27, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)]
DATABASES: list[dict[str, Any]] = [
    {},
    {"format": "sqlite", "database": replace(FACTS, kind="sqlite", name="comicpile")},
    {"environment": "production"},
]
FORMS = {
    "keep_hourly": "%Y-%m-%d %H %z",
    "keep_daily": "%Y-%m-%d",
    "keep_weekly": "%G-%V",
    "keep_monthly": "%Y-%m",
    "keep_yearly": "%Y",
}


def kept(backups: Sequence[Manifest], policy: Policy, now: datetime = NOW) -> set[str]:
    return {decision.manifest.id for decision in decide(backups, policy, now) if decision.is_kept}


def days(count: int, start: datetime = NOW - timedelta(days=400)) -> list[Manifest]:
    return [manifest(start + timedelta(days=day)) for day in range(count)]


def reference(backups: Sequence[Manifest], policy: Policy, now: datetime) -> set[str]:
    """The rules once more, as simply as can be: each database by itself, unless the newest of one looks wrong."""
    by_time = sorted(backups, key=lambda one: one.started_at)
    databases = {f"{one.environment} {one.database.kind} {one.database.name}" for one in backups}
    groups = [
        [one for one in by_time if f"{one.environment} {one.database.kind} {one.database.name}" == database]
        for database in databases
    ]
    if any(group[-1].suspicious and not group[-1].acknowledged for group in groups):
        return {one.id for one in backups}
    return {id for group in groups for id in reference_of_one(group, policy, now)}


def reference_of_one(by_time: Sequence[Manifest], policy: Policy, now: datetime) -> set[str]:
    """One database's: text keys, groups, sorting."""
    future = [one for one in by_time if one.started_at > now + timedelta(minutes=5)]
    past = [one for one in by_time if one not in future]
    good = [one for one in past if one.verified_at and (one.acknowledged or not one.suspicious)]
    keep = {one.id for one in future}
    keep |= {one.id for one in by_time if one.pinned and (one.expires_at is None or one.expires_at > now)}
    keep |= {one.id for one in [one for one in past if one.verified_at][-1:]}
    keep |= {one.id for one in good[-max(1, policy.minimum) :]}
    keep |= {one.id for one in good[-policy.keep_last :] if policy.keep_last}
    bad = [one for one in by_time if one not in good and one not in future]
    keep |= {one.id for one in bad if not good or one.started_at > good[-1].started_at}
    for rule, form in FORMS.items():
        wanted = getattr(policy, rule)
        if not wanted or not good:
            continue
        newest_of = {one.started_at.astimezone(policy.zone).strftime(form): one.id for one in good}
        latest = list(newest_of.values())[-wanted:]
        keep |= set(latest)
        if len(newest_of) < wanted:
            keep.add(good[0].id)
    return keep


@st.composite
def catalogs(draw: st.DrawFn) -> list[Manifest]:
    start = draw(st.sampled_from(STARTS))
    minutes = draw(st.lists(st.integers(0, 2 * 366 * 24 * 60), max_size=60, unique=True))
    backups = []
    for minute in minutes:
        at = start + timedelta(minutes=minute)
        extra: dict[str, Any] = {}
        if draw(st.integers(0, 9)) == 0:
            extra["verified_at"] = None
        if draw(st.integers(0, 9)) == 0:
            extra |= {"suspicious": ("rows collapsed",), "acknowledged": draw(st.booleans())}
        if draw(st.integers(0, 9)) == 0:
            extra |= {"pinned": True, "expires_at": draw(st.none() | st.just(at + timedelta(days=30)))}
        extra |= draw(st.sampled_from(DATABASES[: 1 + draw(st.integers(0, 2))]))
        backups.append(manifest(at, **extra))
    return backups


policies = st.builds(
    Policy,
    keep_last=st.integers(0, 5),
    keep_hourly=st.integers(0, 30),
    keep_daily=st.integers(0, 10),
    keep_weekly=st.integers(0, 6),
    keep_monthly=st.integers(0, 14),
    keep_yearly=st.integers(0, 3),
    minimum=st.integers(0, 5),
    zone=st.sampled_from([UTC, BERLIN, LORD_HOWE]),
)
moments = st.integers(0, 800).map(lambda day: datetime(2024, 6, 1, tzinfo=UTC) + timedelta(days=day))


@settings(max_examples=200)
@given(catalogs(), policies, moments)
def test_the_decisions_are_those_of_the_reference_model(backups: list[Manifest], policy: Policy, now: datetime) -> None:
    assert kept(backups, policy, now) == reference(backups, policy, now)


@given(catalogs(), policies, moments)
def test_a_second_run_drops_nothing_and_order_does_not_matter(
    backups: list[Manifest], policy: Policy, now: datetime
) -> None:
    decisions = decide(backups, policy, now)
    survivors = [decision.manifest for decision in decisions if decision.is_kept]

    assert kept(survivors, policy, now) == {survivor.id for survivor in survivors}
    assert decide(list(reversed(backups)), policy, now) == decisions


@given(catalogs(), policies, moments)
def test_every_decision_has_a_reason_and_the_best_is_never_dropped(
    backups: list[Manifest], policy: Policy, now: datetime
) -> None:
    decisions = decide(backups, policy, now)

    assert all(decision.reasons for decision in decisions)
    assert not backups or any(decision.is_kept for decision in decisions)
    verified = [one for one in backups if one.verified_at and one.started_at <= now]
    if verified:
        assert max(verified, key=lambda one: one.started_at).id in kept(backups, policy, now)


@pytest.mark.parametrize("zone", [UTC, BERLIN, LORD_HOWE])
def test_two_years_of_nightly_backups_and_prunes_keep_what_the_policy_asks_for(zone: Any) -> None:
    policy = Policy(keep_last=3, keep_daily=7, keep_weekly=4, keep_monthly=6, keep_yearly=2, minimum=3, zone=zone)
    catalog: list[Manifest] = []
    first = datetime(2024, 1, 1, 2, 30, tzinfo=zone)

    for night in range(2 * 366):
        if 200 <= night < 230:  # a month without a single backup
            continue
        now = (first + timedelta(days=night)).astimezone(UTC)
        catalog.append(manifest(now))
        survivors = kept(catalog, policy, now)
        assert survivors == reference(catalog, policy, now)
        catalog = [one for one in catalog if one.id in survivors]
        assert now.strftime("%Y%m%d") in max(survivors)

    months = [one.started_at.astimezone(zone).strftime("%Y-%m") for one in catalog]
    assert sorted(set(months)) == ["2025-08", "2025-09", "2025-10", "2025-11", "2025-12", "2026-01"]
    assert len(catalog) == 13


def test_thirty_days_without_a_backup_drop_nothing() -> None:
    policy = Policy(keep_daily=7)
    backups = days(7)
    month_later = backups[-1].started_at + timedelta(days=30)

    assert kept(backups, policy, month_later) == {one.id for one in backups}


def test_a_newest_backup_that_looks_wrong_withholds_everything_until_it_is_acknowledged() -> None:
    policy = Policy(keep_last=1)
    backups = [*days(10), manifest(NOW, suspicious=("public.threads went from 5000 to 0 rows",))]

    withheld = decide(backups, policy, NOW)

    assert all(decision.is_kept for decision in withheld)
    assert "public.threads went from 5000 to 0 rows" in withheld_because(backups)
    assert "pruning is withheld" in withheld[5].reasons[0]
    backups[-1] = manifest(NOW, suspicious=("x",), acknowledged=True)
    assert kept(backups, policy) == {backups[-1].id}
    assert withheld_because(backups) is None


def of_sqlite(at: datetime, **changes: Any) -> Manifest:
    return manifest(at, format="sqlite", database=replace(FACTS, kind="sqlite", name="comic_pile.db"), **changes)


def test_after_a_move_from_sqlite_each_database_keeps_what_the_policy_asks_for() -> None:
    before = [of_sqlite(NOW - timedelta(days=day)) for day in range(20, 10, -1)]
    since = [manifest(NOW - timedelta(days=day)) for day in range(10, -1, -1)]
    policy = Policy(keep_last=2, keep_daily=4, minimum=3)

    first_night = kept([*before, since[0]], policy)

    assert first_night == {since[0].id, *(one.id for one in before[-4:])}
    assert kept([*before, *since], policy) == {one.id for one in (*before[-4:], *since[-4:])}
    assert kept([*since, *(replace(one, environment="production") for one in before)], Policy(keep_last=1)) == {
        since[-1].id,
        before[-1].id,
    }


def test_a_backup_that_looks_wrong_is_withheld_for_though_another_database_has_newer_ones() -> None:
    wrong = of_sqlite(NOW - timedelta(days=20), suspicious=("threads went from 5000 to 0 rows",))
    backups = [of_sqlite(NOW - timedelta(days=30)), wrong, *days(10, NOW - timedelta(days=10))]

    assert kept(backups, Policy(keep_last=1)) == {one.id for one in backups}
    assert doubtful(backups) == (wrong,)
    assert withheld_because(backups) == (
        f"the newest backup {wrong.id} of comic_pile.db (sqlite, development) looks wrong: "
        "threads went from 5000 to 0 rows"
    )
    backups[1] = replace(wrong, acknowledged=True)
    assert kept(backups, Policy(keep_last=1)) == {wrong.id, backups[-1].id}


def test_the_leap_day_and_week_53_are_a_day_and_a_week() -> None:
    leap = [manifest(datetime(2024, 2, 28 + day, tzinfo=UTC)) for day in range(2)]
    leap.append(manifest(datetime(2024, 3, 1, tzinfo=UTC)))
    weeks = [manifest(datetime(2026, 12, day, tzinfo=UTC)) for day in (20, 27, 31)]
    weeks.append(manifest(datetime(2027, 1, 3, tzinfo=UTC)))
    later = datetime(2027, 6, 1, tzinfo=UTC)

    assert len(kept(leap, Policy(keep_daily=3), later)) == 3
    assert kept(weeks, Policy(keep_weekly=2, minimum=0), later) == {weeks[1].id, weeks[3].id}


def test_the_hour_that_comes_twice_in_autumn_is_two_hours() -> None:
    first = manifest(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    second = manifest(datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    later = datetime(2027, 1, 1, tzinfo=UTC)

    assert kept([first, second], Policy(keep_hourly=2, zone=BERLIN), later) == {first.id, second.id}


def test_a_day_is_one_of_the_policys_zone() -> None:
    evening = manifest(datetime(2026, 1, 10, 22, 30, tzinfo=UTC))
    night = manifest(datetime(2026, 1, 10, 23, 30, tzinfo=UTC))

    assert len(kept([evening, night], Policy(keep_daily=2, zone=BERLIN))) == 2
    older = manifest(datetime(2026, 1, 9, tzinfo=UTC))
    assert kept([older, evening, night], Policy(keep_daily=2, zone=UTC)) == {older.id, night.id}


def test_a_pin_holds_until_it_expires() -> None:
    backups = days(5)
    backups[0] = manifest(backups[0].started_at, pinned=True, pin_note="before the move")
    backups[1] = manifest(backups[1].started_at, pinned=True, expires_at=NOW - timedelta(seconds=1))

    assert kept(backups, Policy(keep_last=1)) == {backups[0].id, backups[4].id}
    assert decide(backups, Policy(keep_last=1), NOW)[-1].reasons == ("pinned: before the move",)


@pytest.mark.parametrize(
    ("key", "value"), [("keep-fortnightly", 1), ("keep-daily", -1), ("keep-daily", "7"), ("minimum", True), ("zone", 1)]
)
def test_a_policy_with_a_wrong_key_or_number_is_a_configuration_error(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=key):
        parse_policy({key: value})


def test_the_policy_of_the_project_file_is_read() -> None:
    policy = parse_policy({"keep-last": 7, "keep-daily": 7, "minimum": 3}, BERLIN)

    assert policy == Policy(keep_last=7, keep_daily=7, minimum=3, zone=BERLIN)
    assert not policy.is_empty
    assert parse_policy({"minimum": 3}).is_empty
