"""How do the results of schema and statistics tasks look?

Every function takes the result and `as_json`; the JSON document is the result itself, the text is for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ops.model.size import human_size
from ops.output import plain, show, table

if TYPE_CHECKING:
    from ops.actions.history import HistoryReport
    from ops.model.migration_plan import MigrationPlan
    from ops.model.migration_report import MigrationReport
    from ops.model.stats import DatabaseStats


def migration(plan: MigrationPlan, report: MigrationReport | None, *, as_json: bool) -> None:
    """`inv migrate`: the plan with SQL and lint, or what was applied."""
    show(
        {"plan": plain(plan), "done": plain(report)} if report is None else plain(report),
        as_json=as_json,
        text=lambda: _planned_migration(plan) if report is None else _done_migration(report),
    )


def _planned_migration(plan: MigrationPlan) -> str:
    if not plan.steps:
        return f"{plan.database} is at {plan.target or 'nothing'}: nothing to do"
    lines = [f"{plan.database}: {', '.join(plan.current) or 'empty'} -> {plan.target}"]
    for step in plan.steps:
        lines.append(f"\n{step.revision}  {step.message}")
        if step.tables:
            lines.append(f"  touches: {', '.join(_with_size(name, plan) for name in step.tables)}")
        lines += [f"  {finding.level}: {finding.message}" for finding in step.findings]
        sql = step.sql if step.sql is not None else f"(unknown: {step.sql_unknown_because})"
        lines += [f"  | {line}" for line in sql.strip().splitlines()]
    kept = f"{plan.recovery} ({plan.recovery_because})"
    if plan.recovery != "none":
        kept += f", at most {human_size(plan.recovery_size_bytes)}"
    lines.append(f"\nkept first: {kept}")
    lines.append(f"way back: {plan.rollback}, about {plan.rollback_estimate_s:.0f} s")
    return "\n".join(lines)


def _with_size(name: str, plan: MigrationPlan) -> str:
    """A table with its rows and size; without, where the plan's own earlier steps or nobody know it."""
    found = next((one for one in plan.table_sizes if name in {one.name, one.name.removeprefix("public.")}), None)
    if found is None:
        return name
    size = f", {human_size(found.size_bytes)}" if found.size_bytes else ""
    return f"{name} (about {found.row_estimate} rows{size})"


def _done_migration(report: MigrationReport) -> str:
    if not report.applied:
        return f"{report.database} is at {', '.join(report.to_revisions) or 'nothing'}: nothing to do"
    lines = [f"applied {step.revision} in {step.duration_s:.2f} s" for step in report.applied]
    if report.recovery is not None:
        lines.append(f"kept to go back to: {report.recovery.kind} {report.recovery.name}")
    lines += [f"look at: {problem}" for problem in report.problems]
    return "\n".join([*lines, f"{report.database} is at {', '.join(report.to_revisions)}"])


def history(report: HistoryReport, *, as_json: bool) -> None:
    """`inv history`: newest first; `*` marks where the database is."""

    def text() -> str:
        rows = [
            [
                "*" if one.id in report.current else "pending" if one.id in report.pending else "",
                one.id,
                one.message.splitlines()[0] if one.message else "",
                "yes" if one.has_downgrade else "no",
            ]
            for one in reversed(report.history.revisions)
        ]
        rows += [["?", name, "the history does not know it", ""] for name in report.unknown]
        said = table(rows, ["", "revision", "message", "downgrade"])
        if report.has_tables_without_revision:
            said += "\nthe database has tables but no revision: somebody made them without Alembic"
        return said

    show(report, as_json=as_json, text=text)


def revision_wanted(message: str, heads: Sequence[str], *, as_json: bool) -> None:
    """`inv revision --dry-run`: on top of what it would be written."""
    show(
        {"message": message, "down_revisions": list(heads)},
        as_json=as_json,
        text=lambda: f"would write a revision on top of {', '.join(heads) or 'nothing'}: {message}",
    )


def revision_file(path: Path, *, as_json: bool) -> None:
    """`inv revision`: where the file is."""
    show({"path": str(path)}, as_json=as_json, text=lambda: f"wrote {path}: read it, then inv migrate --dry-run")


def stats(numbers: DatabaseStats, *, as_json: bool) -> None:
    """`inv stats`: the numbers and the largest tables."""

    def text() -> str:
        hit = "-" if numbers.cache_hit_ratio is None else f"{numbers.cache_hit_ratio:.1%}"
        head = [
            f"database     {numbers.database} on {numbers.server_version}, {human_size(numbers.size_bytes)}",
        ]
        if not numbers.connection_limit:  # a file of SQLite: no connections, and no size of a table
            rows = [[one.name, one.row_estimate] for one in numbers.tables]
            return "\n".join([*head, table(rows, ["table", "rows"])])
        head += [
            f"connections  {numbers.connections} of {numbers.connection_limit}, {numbers.connections_active} active",
            f"cache hits   {hit}",
            f"locks        {numbers.locks_waiting} waiting",
        ]
        rows = [[one.name, one.row_estimate, human_size(one.size_bytes), one.dead_rows] for one in numbers.tables]
        return "\n".join([*head, table(rows, ["table", "rows", "size", "dead rows"])])

    show(numbers, as_json=as_json, text=text)
