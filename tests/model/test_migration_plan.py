"""Are pending revisions, conflicts, recovery and losses decided as the rules say?"""

from __future__ import annotations

import pytest

from ops.errors import RevisionConflict
from ops.model.database import DatabaseFacts
from ops.model.migration_plan import PlannedStep, downgrade_loses, is_reversible, make_plan, planned_steps
from ops.model.pending import pending, stamp_command, target_of
from ops.model.revision import History, Outlook, Revision, StepSql
from ops.model.stats import TableSize


def revision(name, *downs, needs=(), back=True):
    return Revision(name, downs, f"makes {name}", f"versions/{name}.py", back, needs)


LINE = History((revision("a"), revision("b", "a"), revision("c", "b")), ("c",))
DIAMOND = History((revision("a"), revision("b", "a"), revision("c", "a"), revision("m", "b", "c")), ("m",))
POSTGRES = DatabaseFacts("postgresql", "shop", "17.11", 17, "1", 50_000_000)
SQLITE = DatabaseFacts("sqlite", "shop.db", "3.40", 3, "/shop.db", 1000)


def ids(revisions):
    return [item.id for item in revisions]


def steps_of(sqls, *, history=LINE, back=True):
    """A step for each name -> SQL, as a plan has them."""
    sql = {name: text if isinstance(text, StepSql) else StepSql(text) for name, text in sqls.items()}
    revisions = [revision(name, back=back) for name in sqls]
    return planned_steps(Outlook(history, sql), revisions)


@pytest.mark.parametrize(
    ("history", "current", "target", "expected"),
    [
        (LINE, (), "head", ["a", "b", "c"]),
        (LINE, ("a",), "head", ["b", "c"]),
        (LINE, ("a",), "b", ["b"]),
        (LINE, ("c",), "head", []),
        (LINE, ("c",), "a", []),
        (DIAMOND, ("a",), "head", ["b", "c", "m"]),
        (DIAMOND, ("b",), "head", ["c", "m"]),
        (DIAMOND, ("b", "c"), "head", ["m"]),
        (DIAMOND, (), "c", ["a", "c"]),
        (History((), ()), (), "head", []),
    ],
)
def test_pending_are_the_ancestors_of_the_target_that_the_database_lacks(history, current, target, expected):
    assert ids(pending(history, current, target=target)) == expected


def test_a_dependency_on_another_branch_counts_as_applied_with_what_needs_it():
    history = History((revision("a"), revision("x"), revision("b", "a", needs=("x",))), ("b",))

    assert ids(pending(history, ("b",))) == []
    assert ids(pending(history, ("a",))) == ["x", "b"]


def test_several_heads_are_a_conflict_with_the_command_that_merges_them():
    forked = History((revision("a"), revision("b", "a"), revision("c", "a")), ("b", "c"))

    with pytest.raises(RevisionConflict) as caught:
        pending(forked, ("a",))

    assert caught.value.message == "the schema history has 2 heads: b, c"
    assert caught.value.hint == "alembic merge -m 'merge heads' b c"


def test_a_database_ahead_of_the_scripts_and_one_made_without_alembic_are_conflicts():
    with pytest.raises(RevisionConflict, match="at revision zz, which the scripts do not have"):
        pending(LINE, ("zz",))
    with pytest.raises(RevisionConflict, match=r"has 7 tables but no revision: t0, t1, t2, t3, t4 \.\.\."):
        pending(LINE, (), tables=[f"t{number}" for number in range(7)])


def test_a_target_may_be_shortened_but_not_be_ambiguous():
    history = History((revision("abc1"), revision("abd2", "abc1")), ("abd2",))

    assert target_of(history, "abc") == "abc1"
    with pytest.raises(RevisionConflict, match="more than one revision is called ab"):
        target_of(history, "ab")
    with pytest.raises(RevisionConflict, match="no revision is called x"):
        target_of(history, "x")


@pytest.mark.parametrize(
    ("facts", "steps", "is_empty", "expected"),
    [
        (POSTGRES, steps_of({}), False, ("none", "none")),
        (POSTGRES, steps_of({"a": "CREATE TABLE t (id int)"}), False, ("none", "downgrade")),
        (POSTGRES, steps_of({"a": "CREATE TABLE t (id int)"}, back=False), False, ("backup", "restore")),
        (POSTGRES, steps_of({"a": "DROP TABLE t"}), False, ("backup", "restore")),
        (POSTGRES, steps_of({"a": "DROP TABLE t"}), True, ("none", "downgrade")),
        (POSTGRES, steps_of({"a": StepSql(None, "reads data")}), False, ("backup", "restore")),
        (SQLITE, steps_of({"a": "CREATE TABLE t (id int)"}), False, ("copy", "swap")),
    ],
    ids=["nothing", "additive", "one way", "destructive", "empty database", "unknown SQL", "sqlite"],
)
def test_what_is_kept_and_how_one_would_go_back(facts, steps, is_empty, expected):
    plan = make_plan(facts=facts, current=(), target="a", head="a", steps=steps, is_empty=is_empty)

    assert (plan.recovery, plan.rollback) == expected
    assert plan.recovery_size_bytes == (0 if plan.recovery == "none" else facts.size_bytes)


@pytest.mark.parametrize(
    ("sql", "index", "is_named"),
    [
        ("CREATE INDEX CONCURRENTLY ix_note ON note (a)", "public.ix_note", True),
        ("CREATE INDEX CONCURRENTLY IX_Note ON note (a)", "public.ix_note", True),
        ("CREATE INDEX CONCURRENTLY ix_note_title ON note (a)", "public.ix_note", False),
        ("CREATE INDEX CONCURRENTLY ix_note ON note (a)", "public.note_", False),
        ('CREATE INDEX CONCURRENTLY "of a.b" ON note (a)', '"my.own"."of a.b"', True),
        ("CREATE INDEX CONCURRENTLY b ON note (a)", 'public."of a.b"', False),
        (None, "public.ix_note", False),
    ],
)
def test_an_index_is_a_step_s_own_where_its_sql_names_just_that(sql, index, is_named):
    step = PlannedStep("b", (), "", "", sql, "", (), (), has_downgrade=False)

    assert step.names(index) is is_named


def test_a_plan_has_the_sizes_of_the_tables_that_its_steps_touch():
    sizes = (TableSize("public.t", 10, 4096), TableSize("public.other", 1, 1), TableSize("s.u", 5, 8192))

    plan = make_plan(
        facts=POSTGRES, current=("a",), target="b", head="c", sizes=sizes,
        steps=steps_of({"b": "ALTER TABLE t ADD x int; ALTER TABLE s.u ADD x int"}),
    )  # fmt: skip

    assert [size.name for size in plan.table_sizes] == ["public.t", "s.u"]


def planned(history, current):
    steps = planned_steps(Outlook(history), pending(history, current))
    return make_plan(facts=POSTGRES, current=current, target="x", head="x", steps=steps)


@pytest.mark.parametrize(
    ("history", "begun_at", "now", "left"),
    [
        (LINE, (), (), ["a", "b", "c"]),
        (LINE, (), ("b",), ["c"]),
        (LINE, (), ("c",), []),
        (DIAMOND, ("a",), ("b",), ["c", "m"]),
        (DIAMOND, ("a",), ("b", "c"), ["m"]),
        (DIAMOND, ("b", "c"), ("c", "b"), ["m"]),
    ],
)
def test_what_somebody_else_applied_meanwhile_is_left_out(history, begun_at, now, left):
    assert [step.revision for step in planned(history, begun_at).remaining(now)] == left


@pytest.mark.parametrize("now", [(), ("a", "elsewhere"), ("elsewhere",)])
def test_a_database_that_went_elsewhere_since_the_plan_is_a_conflict(now):
    with pytest.raises(RevisionConflict, match="neither begins nor passes"):
        planned(LINE, ("a",)).remaining(now)


def test_a_downgrade_that_only_drops_what_nobody_could_write_to_loses_nothing():
    steps = steps_of({"a": "CREATE INDEX ix ON t (x)", "b": "ALTER TABLE t ALTER x DROP NOT NULL"})
    downs = {"a": StepSql("DROP INDEX ix"), "b": StepSql("ALTER TABLE t ALTER x SET NOT NULL")}

    assert downgrade_loses(steps, downs) == ()
    assert is_reversible(steps, downs)


def test_losses_come_newest_step_first_and_say_which_values_are_meant():
    steps = steps_of({"a": "ALTER TABLE t ADD x int", "b": "ALTER TABLE t DROP COLUMN y"})
    downs = {"a": StepSql("ALTER TABLE t DROP COLUMN x"), "b": StepSql("ALTER TABLE t ADD y int")}

    losses = downgrade_loses(steps, downs)

    assert [(loss.revision, loss.kind, loss.table, loss.column) for loss in losses] == [
        ("b", "already-lost", "t", "y"),
        ("a", "written-since", "t", "x"),
    ]
    assert losses[1].text == "downgrade of a: column t.x and its values are dropped"
    assert not is_reversible(steps, downs)


def test_no_downgrade_and_unknown_sql_cannot_be_called_reversible():
    one_way = steps_of({"a": "CREATE TABLE t (id int)"}, back=False)
    unknown = steps_of({"b": StepSql(None, "reads data")})
    silent = steps_of({"c": "CREATE INDEX ix ON t (x)"})

    losses = downgrade_loses((*one_way, *unknown, *silent), {"b": StepSql("SELECT 1"), "c": StepSql(None, "reads too")})

    assert [(loss.revision, loss.kind) for loss in losses] == [
        ("c", "unknown"),
        ("b", "unknown"),
        ("a", "no-downgrade"),
    ]
    assert losses[0].text == "the downgrade of c may destroy data: reads too"


def test_what_an_earlier_pending_step_makes_cannot_be_lost_by_a_later_one():
    first, second = steps_of({"a": "CREATE TABLE t (id int)", "b": "DROP TABLE t; DROP TABLE u; UPDATE t SET id = 1"})

    assert first.findings == ()
    assert [finding.table for finding in second.findings] == ["u"]
    assert second.tables == ("u",)


def test_the_command_that_stamps_says_which_database_it_is_about() -> None:
    assert stamp_command("0001", app_service="web") == "inv exec --service web -- alembic stamp 0001"
    assert stamp_command("0001") == "alembic stamp 0001 with DATABASE_URL set to this database"
