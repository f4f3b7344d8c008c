"""What does the project's configuration say of one job: its rule, zone, jitter, retries and limits?

`backup = "daily 02:00"` says when; `backup = { rule = "daily 02:00", zone = "Europe/Berlin", jitter = "10m" }` says
more. What is left out is as the job was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ops.errors import ConfigurationError
from ops.model.job import Job
from ops.model.moment import parse_span
from ops.model.schedule import Rule, parse_rule

SPANS = {"jitter": "jitter_s", "backoff": "backoff_s", "deadline": "deadline_s", "max-age": "max_age_s"}
"""Key -> field of a job, in seconds."""
KEYS = ("rule", "zone", "retries", *SPANS)
MOST_RETRIES = 20


@dataclass(frozen=True, slots=True)
class JobSettings:
    """A job's rule, and the fields of `Job` that are to be other than its own."""

    rule: Rule
    fields: Mapping[str, Any]

    def applied_to(self, job: Job) -> Job:
        """The job as it was configured."""
        return replace(job, rule=self.rule, **self.fields)


def parse_job(name: str, value: object, zone: str) -> JobSettings:
    """Read one entry of `[tool.ops.schedule]`.

    Args:
        name: of the job.
        value: a rule as text, or a table with the keys of `KEYS`.
        zone: where the table names none.

    Raises: ConfigurationError, naming the key.
    """
    table = {"rule": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping) or not isinstance(table.get("rule"), str):
        raise _bad(name, f"{value!r} is no rule", 'a text such as "daily 02:00", or a table with `rule`')
    for key in table:
        if key not in KEYS:
            raise _bad(f"{name}.{key}", "it is unknown", f"known are {', '.join(KEYS)}")
    rule = parse_rule(table["rule"], str(table.get("zone", zone)))
    fields: dict[str, Any] = {
        field: parse_span(str(table[key])).total_seconds() for key, field in SPANS.items() if key in table
    }
    if "retries" in table:
        retries = table["retries"]
        if type(retries) is not int or not 0 <= retries <= MOST_RETRIES:
            raise _bad(f"{name}.retries", f"it is {retries!r}", f"a whole number from 0 to {MOST_RETRIES}")
        fields["retries"] = retries
    return JobSettings(rule, fields)


def _bad(key: str, cause: str, wanted: str) -> ConfigurationError:
    return ConfigurationError(
        f"tool.ops.schedule.{key} cannot be used", cause=f"{cause}; wanted is {wanted}", hint="docs/scheduler.md"
    )
