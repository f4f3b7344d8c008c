"""Does a job run as the project's configuration says?"""

from __future__ import annotations

import pytest

from ops.errors import ConfigurationError
from ops.model.job import Job
from ops.model.job_settings import parse_job
from ops.model.schedule import parse_rule

JOB = Job("backup", parse_rule("daily 00:00"), dict, retries=3, deadline_s=9.0, max_age_s=8.0)


def test_a_text_is_the_rule_and_everything_else_stays_as_the_job_was_made() -> None:
    job = parse_job("backup", "daily 02:00", "Europe/Berlin").applied_to(JOB)

    assert (job.rule.text, job.rule.zone) == ("daily 02:00", "Europe/Berlin")
    assert (job.retries, job.jitter_s, job.deadline_s, job.max_age_s) == (3, 0.0, 9.0, 8.0)


def test_a_table_says_zone_jitter_retries_and_limits() -> None:
    table = {
        "rule": "daily 02:30", "zone": "Australia/Lord_Howe", "jitter": "10m", "retries": 5, "backoff": "30s",
        "deadline": "2h", "max-age": "26h",
    }  # fmt: skip

    job = parse_job("backup", table, "UTC").applied_to(JOB)

    assert job.rule.zone == "Australia/Lord_Howe"
    assert (job.jitter_s, job.retries, job.backoff_s, job.deadline_s, job.max_age_s) == (
        600.0,
        5,
        30.0,
        7200.0,
        93600.0,
    )


@pytest.mark.parametrize(
    "value",
    [
        5,
        {"zone": "UTC"},
        {"rule": "daily 02:00", "jiter": "5m"},
        {"rule": "daily 02:00", "retries": -1},
        {"rule": "daily 02:00", "retries": True},
        {"rule": "daily 02:00", "jitter": "soon"},
        {"rule": "daily 02:00", "zone": "Mars/Olympus"},
        {"rule": "nightly"},
    ],
)
def test_what_cannot_be_meant_is_refused(value) -> None:
    with pytest.raises(ConfigurationError):
        parse_job("backup", value, "UTC")
