"""Does each rule of `inv check` tell fit from unfit?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ops.model import readiness
from ops.model.compose.project import Service, Stack
from ops.model.database import DatabaseCopy
from ops.model.engine import ServiceStatus
from ops.model.finding import Finding, worst
from ops.model.manifest import Drill
from ops.model.revision import History, Revision
from ops.model.stats import DatabaseStats, LongTransaction
from tests.fakes.manifests import manifest

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def stack_of(tmp_path, **services) -> Stack:
    return Stack("shop", tmp_path, (), {name: Service(name, **keys) for name, keys in services.items()})


def test_a_service_that_is_not_there_is_critical(tmp_path) -> None:
    finding = readiness.judge_services(stack_of(tmp_path, db={}, app={}), {"db": ServiceStatus("db", "running")}, {})

    assert (finding.level, finding.message) == ("critical", "app is absent")


def test_a_one_shot_that_ended_well_and_a_service_left_out_are_fine(tmp_path) -> None:
    stack = stack_of(tmp_path, job={}, nginx={})

    finding = readiness.judge_services(
        stack, {"job": ServiceStatus("job", "exited", exit_code=0)}, {"nginx": "no process"}
    )

    assert finding.level == "ok"


HISTORY = History((Revision("1", (), "", "", True), Revision("2", ("1",), "", "", True)), ("2",))


@pytest.mark.parametrize(
    ("current", "level"), [(("2",), "ok"), (("1",), "warning"), ((), "warning"), (("9",), "critical")]
)
def test_the_revision_is_judged_against_the_head(current, level) -> None:
    assert readiness.judge_revision(current, HISTORY).level == level


def test_tables_without_a_revision_are_told_as_such_and_not_answered_with_a_migrate() -> None:
    finding = readiness.judge_revision((), HISTORY, ("public.books", "public.users"))

    assert finding.level == "warning"
    assert "no revision, but tables" in finding.message
    assert "public.books" in finding.message
    assert "alembic stamp ID with DATABASE_URL set to this database" in finding.hint
    assert finding.hint.startswith("inv migrate refuses")


def kept(size_bytes: int, number: int = 0) -> DatabaseCopy:
    at = NOW + timedelta(minutes=number)
    return DatabaseCopy(
        f"shop__before_{number}", "recovery-point", "shop", "restore", str(number), at, at + timedelta(7), size_bytes
    )


@pytest.mark.parametrize(
    ("sizes", "free", "level"),
    [([], 10, "ok"), ([100, 100, 100], 1000, "ok"), ([100, 100, 101], 1000, "warning"), ([100, 100], 150, "warning"),
     ([100, 100], None, "ok")],
)  # fmt: skip
def test_kept_copies_that_take_more_room_than_is_good_are_named(sizes, free, level) -> None:
    copies = tuple(kept(size * 1_000_000, number) for number, size in enumerate(sizes))

    finding = readiness.judge_kept_copies(copies, 100_000_000, None if free is None else free * 1_000_000)

    assert finding.level == level
    if level == "warning":
        assert "shop__before_0 (100.0 MB, until 2026-02-07 12:00 UTC)" in finding.message
        assert "inv prune --copies" in finding.hint


def test_two_heads_are_critical() -> None:
    assert readiness.judge_revision(("2",), History((), ("2", "3"))).level == "critical"


def test_no_backup_at_all_is_critical() -> None:
    assert readiness.judge_backup((), NOW).level == "critical"


def backup_of(hours_ago: float, **more):
    at = NOW - timedelta(hours=hours_ago)
    return manifest(**{"id": f"{at:%Y%m%dT%H%M%SZ}", "started_at": at, "finished_at": at, "verified_at": at, **more})


@pytest.mark.parametrize(("hours", "level"), [(1, "ok"), (26, "ok"), (27, "warning"), (51, "critical")])
def test_the_age_of_the_newest_good_backup_is_said_as_a_number(hours, level) -> None:
    finding = readiness.judge_backup((backup_of(hours),), NOW)

    assert finding.level == level
    assert f"{hours}.0 h would be lost now" in finding.message


def test_a_newer_backup_that_is_not_good_or_of_the_future_does_not_count() -> None:
    catalog = (
        backup_of(-5),
        backup_of(1, suspicious=("a table lost its rows",)),
        backup_of(2, verified_at=None),
        backup_of(30),
    )

    finding = readiness.judge_backup(catalog, NOW)

    assert finding.level == "warning"
    assert "30.0 h would be lost now" in finding.message
    assert "a table lost its rows" in finding.message
    assert readiness.judge_backup(catalog[:3], NOW).level == "critical"


def test_a_young_good_backup_with_a_bad_newer_one_is_a_warning() -> None:
    finding = readiness.judge_backup((backup_of(1, verified_at=None), backup_of(3)), NOW)

    assert (finding.level, "never verified" in finding.message) == ("warning", True)


@pytest.mark.parametrize(("days", "level"), [(1, "ok"), (9, "warning")])
def test_the_age_of_the_newest_drill_is_said(days, level) -> None:
    drilled = backup_of(300, drill=Drill(NOW - timedelta(days=days), 4.0, "17.1", "me"))

    finding = readiness.judge_drill((backup_of(1), drilled), NOW)

    assert (finding.level, f"{days}.0 days ago" in finding.message) == (level, True)
    assert readiness.judge_drill((backup_of(1),), NOW).level == "warning"


@pytest.mark.parametrize(("free", "level"), [(130, "ok"), (110, "critical"), (None, "warning")])
def test_room_is_asked_with_a_reserve(free, level) -> None:
    assert readiness.judge_room("room", free, 100, hint="make some").level == level


def test_room_that_is_missing_is_told_in_units_that_show_the_difference() -> None:
    found = readiness.judge_room("room", 409_600, 6_232_921, hint="inv prune")

    assert (found.message, found.hint) == ("409.6 kB free, about 7.5 MB needed", "inv prune")


def test_scratch_and_expired_copies_are_named() -> None:
    def copy(name, role, expires_at=None):
        return DatabaseCopy(name, role, "app", "restore", "x", NOW - timedelta(days=9), expires_at)

    copies = [
        copy("app__scratch", "scratch"),
        copy("app__old", "recovery-point", NOW - timedelta(1)),
        copy("app__new", "recovery-point", NOW + timedelta(1)),
    ]

    finding = readiness.judge_copies(copies, NOW)

    assert (finding.level, finding.message) == ("warning", "left behind: app__scratch, app__old")
    fine = readiness.judge_copies(copies[2:], NOW)
    assert (fine.level, fine.message) == ("ok", "none; kept: app__new until 2026-02-01 12:00 UTC")


def test_statistics_tell_wraparound_long_transactions_and_collations() -> None:
    stats = DatabaseStats(
        "app", "17.1", 1, (), transaction_age=1_900_000_000, collation_mismatches=("database app",),
        long_transactions=(LongTransaction(7, "u", "app", "idle in transaction", 400.0, "SELECT 1"),),
    )  # fmt: skip

    levels = {finding.name: finding.level for finding in readiness.judge_stats(stats)}

    assert levels == {"wraparound": "critical", "transactions": "warning", "collation": "critical"}


def test_the_worst_finding_counts() -> None:
    assert worst([Finding("a", "ok", ""), Finding("b", "critical", ""), Finding("c", "warning", "")]) == "critical"
    assert worst([]) == "ok"


@pytest.mark.parametrize(("age_s", "level"), [(None, "warning"), (5.0, "ok"), (500.0, "critical")])
def test_a_scheduler_that_fell_silent_is_critical_and_one_that_never_ran_a_warning(age_s, level) -> None:
    assert readiness.judge_scheduler(age_s).level == level
