"""How do the results of check and scheduler look?

Every function takes the result and `as_json`; the JSON document is the result itself, the text is for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.output import plain, show, table, with_commands

if TYPE_CHECKING:
    from ops.model.finding import Finding


MARKS = {"ok": "ok  ", "warning": "WARN", "critical": "CRIT"}


def findings(found: Sequence[Finding], *, as_json: bool) -> None:
    """`inv check`: one line a finding, what to do beneath those that are not ok."""
    from ops.model.finding import worst

    told = [replace(finding, hint=with_commands(finding.hint)) for finding in found]

    def text() -> str:
        lines = []
        for finding in told:
            lines.append(f"{MARKS[finding.level]}  {finding.name:<20} {finding.message}")
            if finding.level != "ok" and finding.hint:
                lines.append(f"      {'':<20} -> {finding.hint}")
        return "\n".join(lines)

    took_s = round(sum(finding.duration_s for finding in found), 3)
    show({"level": worst(found), "findings": plain(told), "total_s": took_s}, as_json=as_json, text=text)


def schedule(status: Mapping[str, Any], *, as_json: bool) -> None:
    """`inv scheduler --status`: each job with its last and next run, and where it was looked for the scheduler."""

    def text() -> str:
        def when(moment: str | None) -> str:
            return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else "-"

        rows = [
            [job["name"], job["rule"], when(job["last_success_at"]), when(job["next_at"]), job["consecutive_failures"]]
            for job in status["jobs"]
        ]
        running = "running" if status["is_alive"] else "not running"
        said = [
            f"the scheduler of {status['stack']} is {running}: {status['state']}",
            f"looked at {' and at '.join(status['looked_at'])}",
            table(rows, ["job", "rule", "last success", "next run", "failures"]),
        ]
        said += [f"problem: {one}" for one in status["problems"]]
        said += [f"warning: {one}" for one in status["warnings"]]
        return "\n".join(said)

    show(status, as_json=as_json, text=text)


def job_fields(name: str, fields: Mapping[str, object], *, as_json: bool) -> None:
    """`inv scheduler --once JOB`: what the job said."""
    show(
        {"job": name, **fields},
        as_json=as_json,
        text=lambda: " ".join([f"{name} done", *(f"{key}={value}" for key, value in fields.items())]),
    )
