"""How do the results of check and scheduler look?

Every function takes the result and `as_json`; the JSON document is the result itself, the text is for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ops.output import plain, show, table, with_commands

if TYPE_CHECKING:
    from ops.model.finding import Finding
    from ops.model.scheduler_status import SchedulerStatus


MARKS = {"ok": "ok  ", "warning": "WARN", "critical": "CRIT"}


def findings(found: Sequence[Finding], *, as_json: bool) -> None:
    """`inv check`: one line a finding, what to do beneath those that are not ok."""
    from ops.model.finding import worst

    def text() -> str:
        lines = []
        for finding in found:
            lines.append(f"{MARKS[finding.level]}  {finding.name:<20} {finding.message}")
            if finding.level != "ok" and finding.hint:
                lines.append(f"      {'':<20} -> {with_commands(finding.hint)}")
        return "\n".join(lines)

    took_s = round(sum(finding.duration_s for finding in found), 3)
    show({"level": worst(found), "findings": plain(found), "total_s": took_s}, as_json=as_json, text=text)


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
