"""How do the results of a transfer look?

Every function takes the result and `as_json`; the JSON document is the plan or the report, the text is for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ops.model.size import human_size
from ops.output import plain, show, table, with_commands

if TYPE_CHECKING:
    from ops.model.transfer.back import BackPlan, BackReport
    from ops.model.transfer.fault import Fix
    from ops.model.transfer.plan import LoadedTable, TransferPlan, TransferReport

_INNER = frozenset({"pairs", "target", "lines", "rules"})
"""What a plan carries for its own use."""


def transferred(plan: TransferPlan, report: TransferReport | None, *, as_json: bool) -> None:
    """`inv transfer --source`: the plan, or what was done."""
    show(
        _planned_document(plan) if report is None else plain(report),
        as_json=as_json,
        text=lambda: _planned(plan) if report is None else _done(report),
    )


def taken_back(plan: BackPlan, report: BackReport | None, *, as_json: bool) -> None:
    """`inv transfer --to`: the plan, or what was done."""
    show(
        _planned_document(plan) if report is None else plain(report),
        as_json=as_json,
        text=lambda: _planned_back(plan) if report is None else _done_back(report),
    )


def _planned_document(plan: TransferPlan | BackPlan) -> dict[str, Any]:
    forbidden = plan.forbidden
    document = {name: value for name, value in plain(plan).items() if name not in _INNER}
    return {**document, "rows": plan.rows, "refused": None if forbidden is None else forbidden.message}


def _planned(plan: TransferPlan) -> str:
    copy = plan.snapshot
    known = ", ".join(copy.revisions) or f"recognised as {copy.recognised}"
    lines = [
        f"source     {plan.file} ({human_size(copy.size_bytes)}), revision {known}"
        + (f", then {', '.join(copy.applied)}" if copy.applied else ""),
        f"into       a new database {plan.scratch} at {plan.head}, then {plan.database}",
        f"room       {human_size(plan.need_bytes)} needed"
        + (f", {human_size(plan.free_bytes)} free" if plan.free_bytes is not None else ""),
    ]
    if plan.kept:
        until = f" until {plan.kept_until:%Y-%m-%d %H:%M} UTC" if plan.kept_until else ""
        lines.append(f"kept       the database of now ({plan.live_rows:,} rows) as {plan.kept}{until}")
    if plan.tables:
        lines.append(
            table([(one.name, one.rows, one.dropped, one.quarantined, one.columns) for one in plan.tables], _HEADINGS)
        )
    lines += _fixed(plan.fixes)
    if plan.list_file:
        lines.append(f"listed     every row that is dropped, quarantined or loses its parent, in {plan.list_file}")
    lines += [f"look at    {one}" for one in plan.survey.sentences]
    lines += [f"warning    {one}" for one in plan.warnings]
    lines += [f"differs    {one}" for one in plan.differences]
    lines += [f"fault      {one}" for one in plan.faults]
    listed: dict[tuple[str, str], int] = {}
    for fault in plan.faults:
        listed[fault.table, fault.column] = listed.get((fault.table, fault.column), 0) + 1
    for count in plan.fault_counts:
        left = count.count - listed.get((count.table, count.column), 0)
        if left:
            lines.append(f"fault      {count.table}.{count.column}: {left} more rows")
    return "\n".join([*lines, *_refused(plan)])


_HEADINGS = ("table", "rows", "dropped", "quarantined", "columns")


def _refused(plan: TransferPlan | BackPlan) -> list[str]:
    forbidden = plan.forbidden
    return [] if forbidden is None else [f"refused    {forbidden.message}"]


def _fixed(fixes: Sequence[Fix]) -> list[str]:
    return [f"changed    {fix} (row {', '.join(map(str, fix.rows[:5]))}{', ...' * (fix.count > 5)})" for fix in fixes]


def _done(report: TransferReport) -> str:
    lines = [
        f"{report.database} has the contents of {report.source}: {report.rows:,} rows, compared by checksum",
        _tables(report.tables),
        *_fixed(report.fixes),
        *([f"every row that was dropped, quarantined or lost its parent: {report.list_file}"] * bool(report.list_file)),
        f"the application had no database for {report.away_s:.2f} s; all took {report.total_s:.1f} s",
    ]
    if report.kept:
        lines.append(with_commands(f"the old database is {report.kept}: inv rollback brings it back"))
    lines += [f"warning: {one}" for one in report.warnings]
    lines += [f"look at: {one}" for one in report.problems]
    return "\n".join([*lines, *(f"removed {one}" for one in report.cleaned)])


def _tables(tables: Sequence[LoadedTable]) -> str:
    lines = [table([(one.name, one.rows, one.checksum) for one in tables], ("table", "rows", "checksum"))]
    for algorithm in sorted({one.algorithm for one in tables}):
        named = ", ".join(one.name for one in tables if one.algorithm == algorithm)
        lines.append(f"checksum   {algorithm}: {named}")
    return "\n".join(lines)


def _planned_back(plan: BackPlan) -> str:
    return "\n".join(
        [
            f"source     {plan.database} at {plan.revision}",
            *_into(plan),
            table([(one.name, one.rows, one.columns) for one in plan.tables], ("table", "rows", "columns")),
            *(f"differs    {one}" for one in plan.differences),
            *_refused(plan),
        ]
    )


def _into(plan: BackPlan) -> list[str]:
    there = plan.there
    if there is None:
        return [f"into       a new file {plan.file}"]
    size, revisions = human_size(there.size_bytes), ", ".join(there.revisions) or "none"
    return [
        f"into       {plan.file}, which is there: {there.rows:,} rows, {size}, revision {revisions}",
        f"open       {', '.join(there.open_by) or 'nobody seems to have it open'}",
        f"kept       what it holds now as {there.kept}, beside it, until {there.kept_until:%Y-%m-%d %H:%M} UTC",
    ]


def _kept(report: BackReport) -> list[str]:
    if not report.kept:
        return []
    return [
        f"the file was locked for {report.away_s:.2f} s; what it held is {report.kept} beside it",
        f"to bring that back: OPS_ENGINE=url DATABASE_URL=sqlite:///{report.file} inv rollback",
        *(f"removed {one}" for one in report.cleaned),
    ]


def _done_back(report: BackReport) -> str:
    return "\n".join(
        [
            f"{report.file} ({human_size(report.size_bytes)}) holds {report.database} at {report.revision}",
            f"{report.rows:,} rows, every table compared by checksum",
            _tables(report.tables),
            f"all took {report.total_s:.1f} s; to run on it: export OPS_ENGINE=url DATABASE_URL=sqlite:///{report.file}",
            *_kept(report),
        ]
    )
