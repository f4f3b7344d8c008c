"""What does the status page show?

One HTML document without scripts, external resources or style attributes; it reloads itself every minute. It is a
view of one `SchedulerStatus`, so it says what `/health` and `/metrics` say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from string import Template

from ops.adapters.status_page.drawings import Bar, bars, calendar
from ops.adapters.status_page.words import ago, duration, moment, size, text
from ops.model.manifest import Manifest
from ops.model.run_history import Run
from ops.model.scheduler_status import JobStatus, SchedulerStatus

STYLE = (files("ops.adapters.status_page") / "page.css").read_text(encoding="utf-8")
_PAGE = Template((files("ops.adapters.status_page") / "page.html").read_text(encoding="utf-8"))
BACKUP_JOB = "backup"
DAYS = 90
SHOWN_BACKUPS = 8
SHOWN_RUNS = 12
_HEADLINE = {"ok": "All is well", "degraded": "Running, with warnings", "failing": "Needs attention"}
_ICON_COLOUR = {"ok": "1a7f4b", "degraded": "b7791f", "failing": "c8321f"}


def page(status: SchedulerStatus) -> str:
    """The document."""
    return _PAGE.substitute(
        style=STYLE,
        stack=text(status.stack),
        state=status.state,
        headline=_headline(status),
        icon=_ICON_COLOUR[status.state],
        now=moment(status.now, status.zone),
        zone=text(status.zone),
        notices=_notices(status),
        tiles=_tiles(status),
        jobs="".join(_job(job, status) for job in status.jobs),
        charts=_charts(status),
        backups=_backups(status),
        runs=_runs(status),
    )


def _headline(status: SchedulerStatus) -> str:
    if status.state == "ok" and not any(job.succeeded_at for job in status.jobs):
        return "Waiting for the first run"
    return _HEADLINE[status.state]


def _notices(status: SchedulerStatus) -> str:
    items = [f'<li class="problem">{text(line)}</li>' for line in status.problems]
    items += [f'<li class="warning">{text(line)}</li>' for line in status.warnings]
    return f'<ul class="notices" role="status">{"".join(items)}</ul>' if items else ""


def _tiles(status: SchedulerStatus) -> str:
    return "".join((_last_backup(status), _last_drill(status), _next(status), _catalog(status)))


def _tile(name: str, value: str, below: str, mood: str = "") -> str:
    return f'<div class="tile {mood}"><dt>{name}</dt><dd><b>{value}</b><small>{below}</small></dd></div>'


def _last_backup(status: SchedulerStatus) -> str:
    job = next((job for job in status.jobs if job.name == BACKUP_JOB), None)
    if job is None or job.succeeded_at is None:
        return _tile("Last backup", "none yet", "no run has succeeded", "bad" if job and job.is_too_old else "")
    return _tile(
        "Last backup",
        ago(job.succeeded_at, status.now),
        moment(job.succeeded_at, status.zone) + _facts(job.last_success),
        "bad" if job.is_too_old else "good",
    )


def _last_drill(status: SchedulerStatus) -> str:
    job = next((job for job in status.jobs if job.name == "drill"), None)
    at = max(filter(None, (status.last_drill_at, job.succeeded_at if job else None)), default=None)
    if at is None:
        return _tile("Last drill", "none yet", "no backup was restored for proof")
    drilled = next((m.drill for m in status.backups if m.drill and m.drill.at == status.last_drill_at), None)
    took = f", took {text(duration(drilled.duration_s))}" if drilled else ""
    return _tile("Last drill", ago(at, status.now), moment(at, status.zone) + took)


def _next(status: SchedulerStatus) -> str:
    running = next((job for job in status.jobs if job.running_since), None)
    if running is not None and running.running_since is not None:
        return _tile("Now running", text(running.name), f"since {moment(running.running_since, status.zone)}", "good")
    coming = min((job for job in status.jobs if job.next_at), key=lambda job: str(job.next_at), default=None)
    if coming is None or coming.next_at is None:
        return _tile("Next run", "none", "nothing is scheduled")
    where = f"{text(coming.name)}, {moment(coming.next_at, status.zone)}"
    return _tile("Next run", ago(coming.next_at, status.now), where)


def _catalog(status: SchedulerStatus) -> str:
    count, total = len(status.backups), sum(manifest.size_bytes for manifest in status.backups)
    verified = status.last_verified_at
    below = f"verified {ago(verified, status.now)}" if verified else "none verified yet"
    return _tile("Catalog", f"{count} backup{'' if count == 1 else 's'}", f"{size(total)}, {below}")


def _job(job: JobStatus, status: SchedulerStatus) -> str:
    state, said = _job_state(job)
    coming = _when(job.next_at, ago(job.next_at, status.now), status) if job.next_at else text(job.rule)
    last = _when(job.last_run.started_at, _outcome(job.last_run), status) if job.last_run else "none"
    good = sum(day.state in {"ok", "late", "retried"} for day in job.days)
    bad = sum(day.state == "failed" for day in job.days)
    return (
        f'<article class="card job" id="job-{text(job.name)}"><header><h3>{text(job.name)}</h3>'
        f'<span class="pill {state}">{text(said)}</span></header><p class="rule">{text(job.rule)}</p>'
        f'<div class="about">{calendar(job.days, job.name)}'
        f"<dl><dt>Next</dt><dd>{coming}</dd><dt>Last</dt><dd>{last}</dd>"
        f"<dt>{len(job.days)} days</dt><dd>{good} good <i>{bad} failed</i></dd></dl></div></article>"
    )


def _when(at: datetime, beside: str, status: SchedulerStatus) -> str:
    return f"{moment(at, status.zone)} <i>{text(beside)}</i>"


def _job_state(job: JobStatus) -> tuple[str, str]:
    if job.running_since is not None:
        return "running", "running"
    if job.is_too_old:
        return "failing", "too old"
    if job.consecutive_failures:
        return "failing", f"failed {job.consecutive_failures}x" if job.consecutive_failures > 1 else "failed"
    return ("ok", "ok") if job.succeeded_at else ("none", "not run yet")


def _charts(status: SchedulerStatus) -> str:
    job = next((job for job in status.jobs if job.name == BACKUP_JOB), None)
    good = [run for run in (job.runs if job else ()) if run.state == "ok" and (status.now - run.started_at).days < DAYS]
    sizes = [_size_bar(run) for run in good if _size_of(run) is not None]
    times = [Bar(run.due_at, run.duration_s, _said(run)) for run in good if run.duration_s is not None]
    return "".join(
        f'<article class="card"><header><h3>{title}</h3><span>{newest}</span></header>{drawing}</article>'
        for title, newest, drawing in (
            (
                "Backup size",
                size(sizes[-1].value) if sizes else "",
                bars(sizes, label="backup sizes", kind="sizes", now=status.now, days=DAYS, written=size),
            ),
            (
                "Backup duration",
                duration(times[-1].value) if times else "",
                bars(times, label="backup durations", kind="times", now=status.now, days=DAYS, written=duration),
            ),
        )
    )


def _size_bar(run: Run) -> Bar:
    return Bar(run.due_at, _size_of(run) or 0.0, _said(run))


def _size_of(run: Run) -> float | None:
    found = run.fields.get("size_bytes")
    return float(found) if isinstance(found, int | float) else None


def _said(run: Run) -> str:
    return f"{run.due_at:%Y-%m-%d %H:%M} UTC{_facts(run)}"


def _facts(run: Run | None) -> str:
    found = None if run is None else _size_of(run)
    took = None if run is None else run.duration_s
    return (f", {size(found)}" if found is not None else "") + (f" in {duration(took)}" if took is not None else "")


def _backups(status: SchedulerStatus) -> str:
    rows = [_backup_row(manifest, status) for manifest in status.backups[:SHOWN_BACKUPS]]
    more = len(status.backups) - len(rows)
    caption = f'<p class="more">and {more} older, see them with <code>inv backups</code></p>' if more > 0 else ""
    return _table(("Backup", "Age", "Size", "Revision", "Proof"), rows, "no backup in the catalog yet") + caption


def _backup_row(manifest: Manifest, status: SchedulerStatus) -> Sequence[str]:
    marks = [
        '<span class="tag good">drilled</span>' if manifest.drill else "",
        '<span class="tag">verified</span>' if manifest.verified_at and not manifest.drill else "",
        '<span class="tag">pinned</span>' if manifest.pinned else "",
        '<span class="tag">encrypted</span>' if manifest.encryption else "",
        '<span class="tag">off-site</span>' if manifest.offsite else "",
        '<span class="tag bad">suspicious</span>' if manifest.suspicious and not manifest.acknowledged else "",
    ]
    return (
        f"<code>{text(manifest.id)}</code>",
        ago(manifest.finished_at, status.now),
        size(manifest.size_bytes),
        f"<code>{text(', '.join(manifest.revisions) or '-')}</code>",
        "".join(marks) or "-",
    )


def _runs(status: SchedulerStatus) -> str:
    newest = sorted((run for job in status.jobs for run in job.runs), key=lambda run: run.started_at, reverse=True)
    rows = [_run_row(run, status) for run in newest[:SHOWN_RUNS]]
    return _table(("Started", "Job", "Result", "Took", "Notes"), rows, "nothing has run yet")


def _run_row(run: Run, status: SchedulerStatus) -> Sequence[str]:
    took = duration(run.duration_s) if run.duration_s is not None else "-"
    notes = [
        "catch-up" if run.is_catch_up else "",
        "by hand" if run.is_manual else "",
        f"attempt {run.attempt}" if run.attempt > 1 else "",
        run.message,
        f"warned of {run.fields['warned']}" if run.fields.get("warned") else "",
    ]
    harmless = {"ok": "ok", "running": "running"}
    pill = "none" if run.is_stopped else harmless.get(run.state, "failing")
    return (
        moment(run.started_at, status.zone),
        text(run.job),
        f'<span class="pill {pill}">{text("stopped" if run.is_stopped else run.state)}</span>',
        took,
        text("; ".join(filter(None, notes))),
    )


def _outcome(run: Run) -> str:
    return "succeeded" if run.state == "ok" else "stopped" if run.is_stopped else run.state


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> str:
    if not rows:
        return f'<p class="empty">{empty}</p>'
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(
        "<tr>" + "".join(f'<td data-head="{name}">{cell}</td>' for name, cell in zip(heads, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
