"""How does each task's result look as text?

Every function takes the result and `as_json`; the JSON document is the result itself, the text is for people.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.output import human_age, human_size, plain, show, table

if TYPE_CHECKING:
    from ops.actions.backup import BackupTaken
    from ops.actions.history import HistoryReport
    from ops.actions.preview_stack import StackPreview
    from ops.actions.prune import PrunePlan
    from ops.actions.start import StartReport
    from ops.actions.stop import StopReport
    from ops.actions.verify import Verified
    from ops.model.engine import LogLine, StackState
    from ops.model.finding import Finding
    from ops.model.manifest import Manifest
    from ops.model.migration_plan import MigrationPlan
    from ops.model.migration_report import MigrationReport
    from ops.model.restore_plan import RestorePlan
    from ops.model.restore_report import RestoreReport
    from ops.model.scheduler_status import SchedulerStatus
    from ops.model.stats import DatabaseStats
    from ops.wiring import Toolbox
    from ops.wiring.backups import BackupPlan

MARKS = {"ok": "ok  ", "warning": "WARN", "critical": "CRIT"}


def services(state: StackState, tools: Toolbox, *, as_json: bool) -> None:
    """`inv ps`: a list of `{service, state, health, restarts, ports}`."""
    left_out = tools.engine.left_out(tools.stack)
    rows = []
    for name in tools.stack.services:
        status = state.services.get(name)
        row: dict[str, Any] = {"service": name, "state": "absent", "health": "none", "restarts": 0, "ports": []}
        if name in left_out:
            row |= {"state": "left out", "reason": left_out[name]}
        elif status is not None:
            row |= {
                "state": status.state,
                "health": status.health,
                "restarts": status.restart_count,
                "ports": [f"{port.host_ip}:{port.published}->{port.target}/{port.protocol}" for port in status.ports],
            }
        rows.append(row)

    def text() -> str:
        cells = [
            [
                row["service"],
                row["state"],
                row["health"],
                row["restarts"],
                ", ".join(row["ports"]) or row.get("reason", ""),
            ]
            for row in rows
        ]
        return table(cells, ["service", "state", "health", "restarts", "ports"])

    show(rows, as_json=as_json, text=text)


def log_lines(lines: Iterable[LogLine], service_count: int) -> None:
    """`inv logs`: each line, behind its service's name where there are several."""
    for line in lines:
        prefix = f"{line.service} | " if service_count > 1 else ""
        sys.stdout.write(f"{prefix}{line.text}\n")
        sys.stdout.flush()


def images(built: Mapping[str, str], verb: str, *, as_json: bool) -> None:
    """`inv build` and `inv pull`: service -> image id."""
    show(
        [{"service": service, "image_id": image} for service, image in built.items()],
        as_json=as_json,
        text=lambda: (
            "\n".join(f"{service}: {verb} {image[:19]}" for service, image in built.items()) or "nothing to do"
        ),
    )


def findings(found: Sequence[Finding], *, as_json: bool) -> None:
    """`inv check`: one line a finding, what to do beneath those that are not ok."""
    from ops.model.finding import worst

    def text() -> str:
        lines = []
        for finding in found:
            lines.append(f"{MARKS[finding.level]}  {finding.name:<20} {finding.message}")
            if finding.level != "ok" and finding.hint:
                lines.append(f"      {'':<20} -> {finding.hint}")
        return "\n".join(lines)

    show({"level": worst(found), "findings": plain(found)}, as_json=as_json, text=text)


def stats(numbers: DatabaseStats, *, as_json: bool) -> None:
    """`inv stats`: the numbers and the largest tables."""

    def text() -> str:
        hit = "-" if numbers.cache_hit_ratio is None else f"{numbers.cache_hit_ratio:.1%}"
        head = [
            f"database     {numbers.database} on {numbers.server_version}, {human_size(numbers.size_bytes)}",
            f"connections  {numbers.connections} of {numbers.connection_limit}, {numbers.connections_active} active",
            f"cache hits   {hit}",
            f"locks        {numbers.locks_waiting} waiting",
            "",
        ]
        rows = [[one.name, one.row_estimate, human_size(one.size_bytes), one.dead_rows] for one in numbers.tables]
        return "\n".join(head) + table(rows, ["table", "rows", "size", "dead rows"])

    show(numbers, as_json=as_json, text=text)


def catalog(rows: Sequence[Mapping[str, Any]], now: datetime, *, as_json: bool) -> None:
    """`inv backups`: newest first."""

    def text() -> str:
        if not rows:
            return "no backup yet: inv backup"
        cells = [
            [
                row["id"],
                human_age((now - row["created_at"]).total_seconds()),
                human_size(row["size_bytes"]),
                row["revision"] or "-",
                row["reason"],
                "pinned" if row["pinned"] else "",
                human_age((now - row["verified_at"]).total_seconds()) if row["verified_at"] else "never",
                row.get("note", ""),
            ]
            for row in rows
        ]
        return table(cells, ["id", "age", "size", "revision", "reason", "pin", "verified", "note"])

    show(rows, as_json=as_json, text=text)


def revision_file(path: Path, *, as_json: bool) -> None:
    """`inv revision`: where the file is."""
    show({"path": str(path)}, as_json=as_json, text=lambda: f"wrote {path}: read it before you apply it")


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
            lines.append(f"  touches: {', '.join(step.tables)}")
        lines += [f"  {finding.level}: {finding.message}" for finding in step.findings]
        sql = step.sql if step.sql is not None else f"(unknown: {step.sql_unknown_because})"
        lines += [f"  | {line}" for line in sql.strip().splitlines()]
    kept = f"{plan.recovery} ({plan.recovery_because})"
    if plan.recovery != "none":
        kept += f", at most {human_size(plan.recovery_size_bytes)}"
    lines.append(f"\nkept first: {kept}")
    lines.append(f"way back: {plan.rollback}, about {plan.rollback_estimate_s:.0f} s")
    return "\n".join(lines)


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


def configuration(tools: Toolbox, *, as_json: bool) -> None:
    """`inv config`: the resolved stack and the settings, secrets masked."""
    from ops.config import SETTINGS

    variables = tools.settings.variables
    settings = {
        setting.name: "***" if setting.is_secret and variables.get(setting.name) else variables.get(setting.name, "")
        for setting in SETTINGS
    }
    stack = plain(tools.stack)
    document = json.loads(tools.log.masked(json.dumps({"settings": settings, "stack": _without_secrets(stack)})))

    def text() -> str:
        lines = ["settings"]
        for setting in SETTINGS:
            given = settings[setting.name]
            default = "***" if setting.is_secret and setting.default else setting.default
            lines.append(f"  {setting.name:<22} {given or default or '-'}{'' if given else '  (default)'}")
        lines.append(f"stack {tools.stack.project}")
        for name, one in document["stack"]["services"].items():
            lines.append(f"  {name}: {one['image'] or 'built here'}")
            lines += [f"    {key}={value}" for key, value in one["environment"].items()]
        return "\n".join(lines)

    show(document, as_json=as_json, text=text)


def _without_secrets(stack: Any) -> Any:
    from ops.wiring.toolbox import is_secret_name, without_password

    for service in stack["services"].values():
        service["environment"] = {
            name: "***" if is_secret_name(name) and "URL" not in name else without_password(value)
            for name, value in service["environment"].items()
        }
    return stack


def start_report(report: StackPreview | StartReport, tools: Toolbox, *, as_json: bool) -> None:
    """`inv up` and `inv plan`: the steps with their reasons, and where things answer."""
    from ops.actions.start import StartReport

    if isinstance(report, StartReport):
        document = plain(report) | {"engine": tools.engine_choice.engine}
        show(document, as_json=as_json, text=lambda: _started(report, tools))
        return
    steps = [
        {"action": step.action, "subject": step.subject, "reason": step.reason}
        for step in report.steps
        if step.is_change
    ]
    document = {
        "engine": tools.engine_choice.engine,
        "engine_reason": tools.engine_choice.reason,
        "steps": steps,
        "left_out": plain(report.left_out),
        "warnings": list(report.warnings),
    }

    def text() -> str:
        lines = [f"engine {tools.engine_choice.engine}: {tools.engine_choice.reason}"]
        lines += [f"{step['action']:<15} {step['subject']:<16} {step['reason']}" for step in steps] or ["nothing to do"]
        lines += [f"{'left out':<15} {name:<16} {why}" for name, why in report.left_out.items()]
        return "\n".join([*lines, *(f"warning: {one}" for one in report.warnings)])

    show(document, as_json=as_json, text=text)


def _started(report: StartReport, tools: Toolbox) -> str:
    from ops.wiring.lifecycle import pending_revisions

    lines = []
    for name, status in report.services.items():
        ports = ", ".join(f"{port.host_ip}:{port.published}" for port in status.ports)
        state = status.health if status.health != "none" else status.state
        lines.append(f"{name} is {state}{' at ' + ports if ports else ''}")
    lines += [f"{name} is left out: {why}" for name, why in report.left_out.items()]
    if not report.is_changed:
        lines.append("nothing had to be done")
    if pending := pending_revisions(tools):
        lines.append(pending)
    return "\n".join(lines)


def stop_report(report: StackPreview | StopReport, tools: Toolbox, *, as_json: bool) -> None:
    """`inv down`: the steps."""
    from ops.actions.stop import StopReport

    steps = [done.step for done in report.steps] if isinstance(report, StopReport) else list(report.steps)
    verb = "" if isinstance(report, StopReport) else "would "
    show(
        {"stack": tools.stack_name, "steps": plain(steps)},
        as_json=as_json,
        text=lambda: (
            "\n".join(f"{verb}{step.action:<15} {step.subject:<16} {step.reason}" for step in steps)
            or "nothing was there"
        ),
    )


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
        + (f", taken {plan.taken_at:%Y-%m-%d %H:%M:%S} UTC" if plan.taken_at else "")
        + (f", {human_age(plan.earlier_s)} before the time asked for" if plan.earlier_s else "")
        + ")",
        f"into       a new database {plan.scratch}, then {plan.target}",
        f"revision   {', '.join(plan.revisions) if plan.revisions else 'known once it is loaded'}"
        + (f", then {', '.join(plan.upgrades)}" if plan.upgrades else ""),
        f"room       {human_size(plan.need_bytes)} needed"
        + (f", {human_size(plan.free_bytes)} free" if plan.free_bytes is not None else ""),
    ]
    if plan.kept:
        lines.append(f"kept       the database of now as {plan.kept} until {plan.kept_until:%Y-%m-%d %H:%M} UTC")
    lines += [f"warning    {one}" for one in plan.warnings]
    lines += [f"refused    {one}" for one in plan.refusals]
    if plan.conflict:
        lines.append(f"conflict   {plan.conflict}")
    return "\n".join(lines)


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
        lines.append(f"the old database is {report.kept}: inv rollback brings it back")
    lines += [f"made role {name} without login" for name in report.roles_made]
    lines += [f"not carried over: {one}" for one in report.not_carried_over]
    lines += [f"look at: {one}" for one in report.problems]
    lines += [f"removed {one}, left by a run that did not finish" for one in report.cleaned]
    return "\n".join(lines)


def backup(taken: BackupTaken | BackupPlan, *, as_json: bool) -> None:
    """`inv backup`: what there is now, or would be."""
    from ops.actions.backup import BackupTaken

    if not isinstance(taken, BackupTaken):
        plan = taken
        show(
            plan,
            as_json=as_json,
            text=lambda: (
                f"would dump {plan.database} ({human_size(plan.size_bytes)}) into {plan.folder} "
                f"({human_size(plan.free_bytes)} free)"
            ),
        )
        return
    manifest = taken.manifest
    document = plain(manifest) | {f"{step}_s": round(seconds, 3) for step, seconds in taken.steps_s.items()}

    def text() -> str:
        rows = sum(one.row_count for one in manifest.tables)
        lines = [
            f"backup {manifest.id}: {rows:,} rows in {len(manifest.tables)} tables, {human_size(manifest.size_bytes)}",
            f"of revision {', '.join(manifest.revisions) or 'none'}",
            "decoded to its end, hashed, read back from the disk",
            f"by hand: {manifest.restore_by_hand}",
        ]
        lines += [f"suspicious: {one}" for one in manifest.suspicious]
        return "\n".join(lines)

    show(document, as_json=as_json, text=text)


def verified(results: Sequence[Verified], *, as_json: bool) -> None:
    """`inv verify`: one line a backup."""
    show(
        [
            {"id": one.manifest.id, "good": not one.problem, "problem": one.problem, "duration_s": one.duration_s}
            for one in results
        ],
        as_json=as_json,
        text=lambda: "\n".join(
            f"{one.manifest.id}  {'BAD   ' + one.problem if one.problem else 'whole'}" for one in results
        ),
    )


def pinned(manifest: Manifest, *, as_json: bool) -> None:
    """`inv pin`: how the backup is marked."""
    said = f"pinned{': ' + manifest.pin_note if manifest.pin_note else ''}" if manifest.pinned else "not pinned"
    show(
        {"id": manifest.id, "pinned": manifest.pinned, "note": manifest.pin_note},
        as_json=as_json,
        text=lambda: f"{manifest.id} is {said}",
    )


def pruned(plan: PrunePlan, removed: Sequence[str] | None, *, as_json: bool) -> None:
    """`inv prune`: every backup with what happens to it and why."""
    rows = [
        {
            "id": one.manifest.id,
            "kept": one.is_kept,
            "reasons": list(one.reasons),
            "size_bytes": one.manifest.size_bytes,
        }
        for one in plan.decisions
    ]
    document = {
        "decisions": rows,
        "withheld": plan.withheld,
        "would_remove": list(plan.removed),
        "removed": list(removed or ()),
        "freed_bytes": plan.freed_bytes if removed else 0,
    }

    def text() -> str:
        cells = [
            [
                one.manifest.id,
                "keep" if one.is_kept else "prune",
                human_size(one.manifest.size_bytes),
                "; ".join(one.reasons),
            ]
            for one in plan.decisions
        ]
        lines = [table(cells, ["id", "decision", "size", "because"]) if cells else "no backup yet"]
        if plan.withheld:
            lines.append(f"nothing may be removed: {plan.withheld}")
        verb = "would remove" if removed is None else "removed"
        lines.append(f"{verb} {len(plan.removed if removed is None else removed)}, {human_size(plan.freed_bytes)}")
        return "\n".join(lines)

    show(document, as_json=as_json, text=text)


def schedule(status: SchedulerStatus, *, as_json: bool) -> None:
    """`inv scheduler --status`: each job with its last and next run."""
    from ops.model.scheduler_status import status_json

    def text() -> str:
        def when(moment: datetime | None) -> str:
            return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "-"

        rows = [
            [job.name, job.rule, when(job.succeeded_at), when(job.next_at), job.consecutive_failures]
            for job in status.jobs
        ]
        head = f"the scheduler of {status.stack} is {'running' if status.is_alive else 'not running'}: {status.state}"
        said = [head, table(rows, ["job", "rule", "last success", "next run", "failures"])]
        said += [f"problem: {one}" for one in status.problems]
        said += [f"warning: {one}" for one in status.warnings]
        return "\n".join(said)

    show(status_json(status), as_json=as_json, text=text)


def job_fields(name: str, fields: Mapping[str, object], *, as_json: bool) -> None:
    """`inv scheduler --once JOB`: what the job said."""
    show(
        {"job": name, **fields},
        as_json=as_json,
        text=lambda: " ".join([f"{name} done", *(f"{key}={value}" for key, value in fields.items())]),
    )
