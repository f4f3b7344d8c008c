"""How do the results of restore and rollback look?

Every function takes the result and `as_json`; the JSON document is the result itself, the text is for people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.model.backup_id import time_of
from ops.model.in_words import in_words
from ops.model.size import human_size
from ops.output import plain, show, with_commands

if TYPE_CHECKING:
    from ops.actions.rollback_run import RollbackReport
    from ops.model.restore_plan import RestorePlan
    from ops.model.restore_report import RestoreReport
    from ops.model.rollback_plan import RollbackPlan
    from ops.model.tables_plan import TablesPlan, TablesReport


def restored(plan: RestorePlan, report: RestoreReport | None, *, as_json: bool) -> None:
    """`inv restore`: the plan, or what was done."""
    show(
        plain(plan) if report is None else plain(report),
        as_json=as_json,
        text=lambda: _planned_restore(plan) if report is None else _done_restore(report),
    )


def _planned_restore(plan: RestorePlan) -> str:
    lines = [
        f"source     {plan.backup_id or plan.file} ({human_size(plan.archive_size_bytes)}"
        + (f", taken {plan.taken_at:%Y-%m-%d %H:%M:%S} UTC, {_age(plan)} ago" if plan.taken_at else "")
        + (f", {in_words(plan.earlier_s)} before the time asked for" if plan.earlier_s else "")
        + ")",
        f"into       a new database {plan.scratch}, then {plan.target}",
        f"revision   {', '.join(plan.revisions) if plan.revisions else 'known once it is loaded'}"
        + (f", then {', '.join(plan.upgrades)}" if plan.upgrades else ""),
        f"room       {human_size(plan.need_bytes)} needed"
        + (f", {human_size(plan.free_bytes)} free" if plan.free_bytes is not None else ""),
    ]
    if plan.kept:
        lines.append(f"kept       the database of now as {plan.kept} until {plan.kept_until:%Y-%m-%d %H:%M} UTC")
    elif plan.kept_until and not plan.is_swapped:
        lines.append(f"kept       {plan.target} until {plan.kept_until:%Y-%m-%d %H:%M} UTC")
    lines += [f"warning    {one}" for one in plan.warnings]
    lines += [f"refused    {with_commands(one)}" for one in plan.refusals]
    if plan.conflict:
        lines.append(f"conflict   {plan.conflict}")
    return "\n".join(lines)


def _age(plan: RestorePlan) -> str:
    """How old the backup is at the moment of the plan, whose id says when that was."""
    return in_words((time_of(plan.change_id) - plan.taken_at).total_seconds()) if plan.taken_at else ""


def _done_restore(report: RestoreReport) -> str:
    lines = [
        f"{report.database} has the contents of {report.source}: {report.rows:,} rows in {report.tables} tables"
        + (", each compared with the manifest" if report.is_verified else ""),
    ]
    if report.applied:
        lines.append(f"brought to {', '.join(report.revisions)} by {', '.join(report.applied)}")
    if report.is_swapped:
        lines.append(f"the application had no database for {report.away_s:.2f} s; all took {report.total_s:.1f} s")
    if report.kept:
        lines.append(with_commands(f"the old database is {report.kept}: inv rollback brings it back"))
    elif report.kept_until and not report.is_swapped:
        lines.append(f"it is kept until {report.kept_until:%Y-%m-%d %H:%M} UTC, then the next change drops it")
    lines += [f"made role {name} without login" for name in report.roles_made]
    lines += [f"not carried over: {one}" for one in report.not_carried_over]
    lines += [f"look at: {one}" for one in report.problems]
    lines += [f"removed {one}, left by a run that did not finish" for one in report.cleaned]
    return "\n".join(lines)


def restored_tables(plan: TablesPlan, report: TablesReport | None, *, as_json: bool) -> None:
    """`inv restore --table`: the plan, or what was done."""
    show(
        plain(plan) if report is None else plain(report),
        as_json=as_json,
        text=lambda: _planned_tables(plan) if report is None else _done_tables(report),
    )


def _planned_tables(plan: TablesPlan) -> str:
    loaded = plan.restore
    lines = [
        f"source     {loaded.backup_id} ({human_size(loaded.archive_size_bytes)}"
        + (f", taken {loaded.taken_at:%Y-%m-%d %H:%M:%S} UTC)" if loaded.taken_at else ")"),
        f"into       a new schema {plan.schema} of {loaded.database}, by way of {loaded.scratch}, which goes again",
        *(f"table      {one.name}: {one.row_count:,} rows" for one in plan.tables),
        "left out   foreign keys, triggers, rules and grants; no other table is touched",
        f"room       {human_size(loaded.need_bytes)} needed for all of the backup"
        + (f", {human_size(loaded.free_bytes)} free" if loaded.free_bytes is not None else ""),
    ]
    lines += [f"warning    {one}" for one in loaded.warnings]
    return "\n".join([*lines, *(f"refused    {with_commands(one)}" for one in loaded.refusals)])


def _done_tables(report: TablesReport) -> str:
    lines = [f"{report.schema} in {report.database} has {report.rows:,} rows of {report.source}, compared with it"]
    lines += [f"{one.name}: {one.row_count:,} rows" for one in report.tables]
    lines.append(f"all took {report.total_s:.1f} s; to be rid of it: DROP SCHEMA {report.schema} CASCADE")
    lines += [f"made role {name} without login" for name in report.roles_made]
    return "\n".join([*lines, *(f"removed {one}, left by a run that did not finish" for one in report.cleaned)])


def rollback(plan: RollbackPlan, report: RollbackReport | None, *, as_json: bool) -> None:
    """`inv rollback`: the plan with what would be set aside, or what was done."""
    show(
        plain(plan) if report is None else plain(report),
        as_json=as_json,
        text=lambda: _planned_rollback(plan) if report is None else _done_rollback(plan, report),
    )


def _planned_rollback(plan: RollbackPlan) -> str:
    lines = [
        f"undo       {plan.undone_kind} {plan.undoes} of {plan.undone_at:%Y-%m-%d %H:%M} UTC by {plan.undone_by}",
        f"way        {plan.way}: {plan.because}; about {plan.estimate_s:.0f} s",
        f"revision   {', '.join(plan.revisions_now) or 'none'} -> {', '.join(plan.revisions_after) or 'none'}",
    ]
    lines += [
        f"set aside  {one.name}: {_rows(one.rows_now)} now, {_rows(one.rows_then)} then" for one in plan.set_aside
    ]
    lines += [f"drops      {one}" for one in plan.loses]
    if plan.keeps is not None:
        lines.append(f"kept       what it replaces, as {plan.keeps.kind} {plan.keeps.name}".rstrip())
    return "\n".join([*lines, *(f"warning    {one}" for one in plan.warnings)])


def _done_rollback(plan: RollbackPlan, report: RollbackReport) -> str:
    now_at = ", ".join(report.revisions) or "no revision"
    lines = [f"{plan.undone_kind} {report.undoes} is undone by {report.way}: {report.database} is at {now_at}"]
    if report.kept is not None:
        way_back = f"{report.kept.kind} {report.kept.name}: inv rollback brings it back"
        lines.append(with_commands(f"what it replaced is {way_back}"))
    lines.append(f"the application had no database for {report.away_s:.2f} s; all took {report.total_s:.1f} s")
    return "\n".join(lines)


def _rows(count: int | None) -> str:
    return "not there" if count is None else f"{count:,} rows"
