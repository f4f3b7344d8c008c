"""Which jobs does the scheduler of a project run, and what does each of them do?

Each runs in a process of its own with its own tools; its rule, zone, jitter, retries and limits are what
`[tool.ops.schedule]` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ops.errors import ConfigurationError, Degraded
from ops.model.finding import Finding
from ops.model.job import Job
from ops.model.job_settings import parse_job
from ops.model.manifest import of_database
from ops.model.schedule import parse_rule
from ops.wiring import offsite, service
from ops.wiring.live_database import live_database

if TYPE_CHECKING:
    from ops.model.schedule import Rule
    from ops.wiring.toolbox import Toolbox

BACKUP_MAX_AGE_S = 26 * 3600.0
BACKUP_DEADLINE_S = 6 * 3600.0
DRILL_DEADLINE_S = 12 * 3600.0
JOB_LOCK_WAIT_S = 600.0
"""A job waits this long for a person's change to end, instead of failing at once."""
SETTINGS_OF_SCHEDULE = frozenset({"zone", "summary"})


def jobs_of(tools: Toolbox, open_again: Callable[[], Toolbox]) -> Mapping[str, Job]:
    """The jobs of `[tool.ops.schedule]`, by name.

    Args:
        tools: of the daemon.
        open_again: gives a job's own tools, in the job's own process: no connection is shared with the daemon.

    Raises: ConfigurationError for a job that is not known or a rule that cannot be read.
    """
    from ops.wiring.drills import newest as newest_drill

    makers: dict[str, Callable[[Rule], Job]] = {
        "backup": lambda rule: Job(
            "backup",
            rule,
            lambda: _backup(open_again()),
            retries=3,
            deadline_s=BACKUP_DEADLINE_S,
            max_age_s=BACKUP_MAX_AGE_S,
            succeeded_at=lambda: _newest_backup(tools),
        ),
        "prune": lambda rule: Job("prune", rule, lambda: _prune(open_again())),
        "verify": lambda rule: Job("verify", rule, lambda: _verify(open_again())),
        "drill": lambda rule: Job(
            "drill",
            rule,
            lambda: _drill(open_again()),
            retries=1,
            deadline_s=DRILL_DEADLINE_S,
            succeeded_at=lambda: newest_drill(tools),
        ),
        "offsite": lambda rule: Job(
            "offsite", rule, lambda: offsite.sync(open_again(), wait_s=JOB_LOCK_WAIT_S), retries=5
        ),
        "offsite-check": lambda rule: Job(
            "offsite-check",
            rule,
            lambda: _judged(open_again(), offsite.findings, is_strict=True),
            retries=2,
            backoff_s=300.0,
        ),
        "certificate": lambda rule: Job(
            "certificate", rule, lambda: _judged(open_again(), service.certificates), retries=0
        ),
        "disk": lambda rule: Job("disk", rule, lambda: _judged(open_again(), service.room), retries=0),
        "check": lambda rule: Job("check", rule, lambda: _judged(open_again(), service.check), retries=0),
    }
    zone = service.zone_name(tools)
    found: dict[str, Job] = {}
    for name, text in tools.project.schedule.items():
        if name in SETTINGS_OF_SCHEDULE:
            continue
        if name not in makers:
            raise ConfigurationError(
                f"tool.ops.schedule.{name} is no job",
                cause=f"there are {', '.join(makers)}",
                hint="docs/scheduler.md",
            )
        settings = parse_job(name, text, zone)
        found[name] = settings.applied_to(makers[name](settings.rule))
    follows = parse_rule("after backup", zone)
    if "backup" in found and "prune" not in found:
        found["prune"] = makers["prune"](follows)
    if "backup" in found and "offsite" not in found and tools.project.offsite:
        found["offsite"] = makers["offsite"](follows)
    return found


def _newest_backup(tools: Toolbox) -> datetime | None:
    newest = next(iter(of_database(tools.archives.manifests(), live_database(tools))), None)
    return newest.started_at if newest else None


def _backup(tools: Toolbox) -> Mapping[str, object]:
    from ops.actions.backup import Label
    from ops.wiring.backups import take_alone

    taken = take_alone(tools, Label(reason="scheduled"), lock_wait_s=JOB_LOCK_WAIT_S)
    return {"id": taken.manifest.id, "size_bytes": taken.manifest.size_bytes}


def _prune(tools: Toolbox) -> Mapping[str, object]:
    from ops.wiring.backups import prune

    done = prune(tools, is_acknowledged=False, is_dry=False, is_confirmed=True, lock_wait_s=JOB_LOCK_WAIT_S)
    removed = len(done.removed or ())
    return {"removed": removed, "kept": len(done.plan.decisions) - removed}


def _verify(tools: Toolbox) -> Mapping[str, object]:
    from ops.wiring.backups import refuse_bad, verify

    results = verify(tools, "", is_all=True)
    refuse_bad(tools, results)
    return {"verified": len(results)}


def _drill(tools: Toolbox) -> Mapping[str, object]:
    from ops.wiring.drills import drill

    done = drill(tools, "", lock_wait_s=JOB_LOCK_WAIT_S)
    return {"id": done.manifest.id, "rows": done.rows, "tables": done.tables, **done.steps_in_seconds()}


def _judged(
    tools: Toolbox, judge: Callable[[Toolbox], Sequence[Finding]], *, is_strict: bool = False
) -> Mapping[str, object]:
    """Fail where something is critical, and where `is_strict` on a warning; else warnings are in the run's fields."""
    findings = judge(tools)
    service.fail_if_critical(findings)
    warned = [f"{one.name}: {one.message}" for one in findings if one.level == "warning"]
    if warned and is_strict:
        raise Degraded(warned[0], cause="; ".join(warned[1:]) or None, hint="inv check")
    return {"warnings": len(warned), **({"warned": "; ".join(warned)} if warned else {})}
