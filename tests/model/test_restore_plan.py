"""What forbids a restore, and is all of it said at once?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ops.errors import RestoreRefused, RevisionConflict
from ops.model.database import Inspection, ServerOffers
from ops.model.restore_plan import ForeignFile, RestorePlan, Target, plan_for_backup, plan_for_file
from ops.model.revision import History, Revision
from tests.fakes.manifests import AT, FACTS, manifest

OFFERS = ServerOffers("postgresql", "17.11", 17, frozenset({"plpgsql", "citext"}), frozenset({"none", "gzip", "zstd"}))
TARGET = Target("20260201T000000Z", "comic-pile", FACTS, "comicpile", OFFERS, 10**9, (), kept_until=AT)
PARENTS = {"0001": (), "0002": ("0001",), "0003": ("0002",)}
HISTORY = History(tuple(Revision(id, down, id, f"{id}.py", True) for id, down in PARENTS.items()), ("0003",))


def plan(
    target: Target = TARGET, *, history: History | None = HISTORY, how: dict[str, Any] | None = None, **backup: Any
):
    return plan_for_backup(manifest(**backup), target, history=history, **(how or {}))


def reason(planned: RestorePlan) -> str:
    with pytest.raises(RestoreRefused) as refusal:
        planned.refuse()
    return refusal.value.cause or ""


def test_a_good_backup_of_this_stack_is_planned_to_the_head() -> None:
    planned = plan()

    planned.refuse()
    assert (planned.revisions, planned.upgrades, planned.rows) == (("0002",), ("0003",), 5003)
    assert planned.scratch == "comicpile__scratch_20260201t000000z"
    assert (planned.target, planned.is_swapped) == ("comicpile", True)
    assert (planned.kept, planned.kept_until) == ("comicpile__before_20260201t000000z", AT)
    assert planned.need_bytes == 1_200_000


@pytest.mark.parametrize(
    ("target", "backup", "said"),
    [
        ({"free_bytes": 10}, {}, "it needs 1.2 MB beside the live database, and 10 B are free: inv prune --copies"),
        ({"blockers": ("replication slot x belongs to it",)}, {}, "replication slot x belongs to it: a swap would"),
        ({"as_name": "comicpile"}, {}, "a database comicpile is there already"),
        ({"as_name": "x" * 64}, {}, "is longer than 63 bytes"),
        ({}, {"stack": "other"}, "it is a backup of stack other, this is comic-pile (--from-stack other allows it)"),
        ({}, {"codec": "lz4"}, "pg_restore there cannot read lz4"),
        ({}, {"encryption": "age"}, "the archive is encrypted with age"),
        ({}, {"database": replace(FACTS, extensions={"postgis": "3"})}, "cannot install the extension postgis"),
        ({}, {"database": replace(FACTS, kind="sqlite")}, "it holds a sqlite database, comicpile is postgresql"),
    ],
)
def test_what_forbids_a_restore_is_named(target: dict[str, Any], backup: dict[str, Any], said: str) -> None:
    assert said in reason(plan(replace(TARGET, **target), **backup))


def test_all_reasons_are_named_at_once() -> None:
    said = reason(plan(replace(TARGET, free_bytes=10), stack="other", codec="lz4"))

    assert said.count(";") == 2


def test_another_stacks_backup_is_allowed_by_its_name_and_by_no_other() -> None:
    plan(stack="other", how={"from_stack": "other"}).refuse()

    assert "not of third" in reason(plan(stack="other", how={"from_stack": "third"}))


def test_where_the_free_space_is_unknown_it_does_not_forbid() -> None:
    plan(replace(TARGET, free_bytes=None)).refuse()


def test_a_look_beside_the_live_database_is_not_kept_from_it_by_what_blocks_a_swap() -> None:
    planned = plan(replace(TARGET, as_name="look", blockers=("a slot",)))

    planned.refuse()
    assert (planned.scratch, planned.target, planned.kept, planned.kept_until) == ("look", "look", "", AT)


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (History(HISTORY.revisions[:1], ("0001",)), "its revision 0002 is not in this checkout's history"),
        (replace(HISTORY, heads=("0003", "000x")), "the schema history has 2 heads: 0003, 000x"),
    ],
)
def test_a_revision_that_does_not_fit_is_a_conflict_unless_it_is_kept(history: History, said: str) -> None:
    with pytest.raises(RevisionConflict) as conflict:
        plan(history=history).refuse()

    assert conflict.value.cause == said
    plan(history=history, how={"is_revision_kept": True}).refuse()


def test_without_a_schema_history_revisions_stay_as_they_are() -> None:
    assert plan(history=None).upgrades == ()


def test_how_much_older_the_backup_is_than_asked_for_is_told() -> None:
    assert plan(how={"asked_at": AT + timedelta(hours=2)}).earlier_s == 7200


def test_doubts_about_a_backup_are_told_and_do_not_forbid() -> None:
    planned = plan(
        replace(TARGET, live=replace(FACTS, encoding="LATIN1")),
        suspicious=("half the size",),
        database=replace(FACTS, server_major=18, server_version="18.6"),
        revisions=(),
    )

    planned.refuse()
    assert planned.warnings == (
        "the backup looks wrong: half the size",
        "it comes from PostgreSQL 18.6, this is 17.11",
        "its encoding is UTF8, the new database's LATIN1",
        "it holds no revision: its schema stays as it is",
    )


def foreign(target: Target = TARGET, format: str = "plain", **found: Any) -> RestorePlan:
    inspection = Inspection(**{"plain_size_bytes": 1000, **found})
    return plan_for_file(ForeignFile("/x.sql", format, "none", 1000, inspection), target)


def test_a_foreign_file_is_planned_with_the_warning_that_nothing_vouches_for_it() -> None:
    planned = foreign(server_version="17.2")

    planned.refuse()
    assert (planned.origin, planned.revisions, planned.rows, planned.need_bytes) == ("a server 17.2", None, None, 2000)
    assert planned.warnings == ("a file without a manifest: nothing tells whether rows are missing",)


def test_what_an_inspection_found_forbids_a_foreign_file() -> None:
    assert reason(foreign(refusals=(r"line 2: the psql command \!",))) == r"line 2: the psql command \!"
    assert "extension postgis" in reason(foreign(extensions=("postgis",)))
    assert "inv transfer" in reason(foreign(format="sqlite"))


def test_too_little_room_forbids_a_foreign_file_and_perhaps_too_little_warns() -> None:
    assert "1.0 kB are free" in reason(foreign(replace(TARGET, free_bytes=1000)))
    assert "watch the disk" in foreign(replace(TARGET, free_bytes=1500)).warnings[0]


def test_where_the_live_database_is_gone_nothing_is_kept() -> None:
    planned = plan(replace(TARGET, live=None))

    planned.refuse()
    assert (planned.is_live_there, planned.kept, planned.kept_until) == (False, "", None)
