"""How do `inv check` and the scheduler's jobs get their tools?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ops.errors import ConfigurationError, CriticalCheckFailed
from ops.model.finding import Finding, worst
from ops.model.job import Job
from ops.model.schedule import parse_rule
from ops.wiring import offsite
from ops.wiring.sealing import sealing_of

if TYPE_CHECKING:
    from ops.model.manifest import Manifest
    from ops.model.schedule import Rule
    from ops.ports import DeadMansSwitch, Notifier
    from ops.wiring.toolbox import Toolbox

BACKUP_MAX_AGE_S = 26 * 3600.0
BACKUP_DEADLINE_S = 6 * 3600.0
DRILL_DEADLINE_S = 12 * 3600.0
JOB_LOCK_WAIT_S = 600.0
"""A job waits this long for a person's change to end, instead of failing at once."""
SETTINGS_OF_SCHEDULE = frozenset({"zone", "summary"})


def check(tools: Toolbox) -> tuple[Finding, ...]:
    """Judge the whole stack; read-only."""
    from ops.actions.check import check_stack
    from ops.wiring.database import stats

    judged = check_stack(
        engine=tools.engine,
        stack=tools.stack,
        database=lambda: tools.database,
        archives=tools.archives,
        migrator=lambda: tools.migrator if tools.project.alembic_config.exists() else None,
        read_stats=lambda: stats(tools),
        heartbeat_age_s=lambda: _heartbeat_age_s(tools),
        now=tools.clock.now(),
    )
    return (*judged, *offsite.findings(tools)) if tools.project.offsite else judged


def _heartbeat_age_s(tools: Toolbox) -> float | None:
    """Seconds since the scheduler's loop came round: from this machine's state, else from the service's container."""
    from ops.adapters.schedule_state import ScheduleState

    beat = ScheduleState(tools.state_folder).heartbeat()
    return None if beat is None else (tools.clock.now() - beat.at).total_seconds()


def fail_if_critical(findings: Sequence[Finding]) -> None:
    """End with exit code 4 where something is critical. Raises: CriticalCheckFailed."""
    if worst(findings) == "critical":
        bad = [finding.name for finding in findings if finding.level == "critical"]
        raise CriticalCheckFailed(
            f"{len(bad)} critical: {', '.join(bad)}",
            cause="; ".join(dict.fromkeys(finding.message for finding in findings if finding.level == "critical")),
            hint=next(finding.hint for finding in findings if finding.level == "critical") or "inv check",
        )


def jobs(tools: Toolbox, open_again: Callable[[], Toolbox]) -> Mapping[str, Job]:
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
        "check": lambda rule: Job("check", rule, lambda: _check(open_again()), retries=0),
    }
    zone = zone_name(tools)
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
        found[name] = makers[name](parse_rule(str(text), zone))
    if "backup" in found and "prune" not in found:
        found["prune"] = makers["prune"](parse_rule("after backup", zone))
    if "backup" in found and "offsite" not in found and tools.project.offsite:
        found["offsite"] = makers["offsite"](parse_rule("after backup", zone))
    return found


def zone_name(tools: Toolbox) -> str:
    """The zone of the schedule."""
    return str(tools.project.schedule.get("zone", "UTC"))


def summary_rule(tools: Toolbox) -> Rule | None:
    """When the day is summed up; None where nobody asked for it."""
    text = tools.project.schedule.get("summary")
    return parse_rule(str(text), zone_name(tools)) if text else None


def notifier(tools: Toolbox) -> Notifier | None:
    """Who is told; None where no URL is configured. Raises: ConfigurationError."""
    if not tools.settings.notify_urls:
        return None
    from ops.adapters.notifier_apprise import AppriseNotifier

    return AppriseNotifier(tools.settings.notify_urls)


def switches(tools: Toolbox) -> Mapping[str, DeadMansSwitch]:
    """The dead man's switch of the backup job, where one is configured."""
    if not tools.settings.ping_url:
        return {}
    from ops.adapters.ping import HttpSwitch

    return {"backup": HttpSwitch(tools.settings.ping_url)}


def manifests(tools: Toolbox) -> Sequence[Manifest]:
    """The catalog, newest first."""
    return tools.archives.manifests()


def _newest_backup(tools: Toolbox) -> datetime | None:
    newest = next(iter(tools.archives.manifests()), None)
    return newest.started_at if newest else None


def _backup(tools: Toolbox) -> Mapping[str, object]:
    from ops.actions.backup import Label, backup
    from ops.wiring.backups import limits
    from ops.wiring.drills import clean

    clean(tools)
    taken = backup(
        lock=tools.lock,
        database=tools.database,
        archives=tools.archives,
        clock=tools.clock,
        report=tools.report,
        stack=tools.stack_name,
        environment=tools.environment,
        label=Label(reason="scheduled"),
        wait_s=JOB_LOCK_WAIT_S,
        limits=limits(tools),
        sealing=sealing_of(tools),
    )
    return {"id": taken.manifest.id, "size_bytes": taken.manifest.size_bytes}


def _prune(tools: Toolbox) -> Mapping[str, object]:
    from ops.wiring.backups import prune

    plan, removed = prune(tools, is_acknowledged=False, is_dry=False, is_confirmed=True, lock_wait_s=JOB_LOCK_WAIT_S)
    return {"removed": len(removed or ()), "kept": len(plan.decisions) - len(removed or ())}


def _offsite(tools: Toolbox) -> Mapping[str, object]:
    return offsite.sync(tools, wait_s=JOB_LOCK_WAIT_S)


def _verify(tools: Toolbox) -> Mapping[str, object]:
    from ops.wiring.backups import refuse_bad, verify

    results = verify(tools, "", is_all=True)
    refuse_bad(tools, results)
    return {"verified": len(results)}


def _drill(tools: Toolbox) -> Mapping[str, object]:
    from ops.wiring.drills import drill

    done = drill(tools, "", lock_wait_s=JOB_LOCK_WAIT_S)
    return {"id": done.manifest.id, "rows": done.rows, "tables": done.tables, **done.steps_in_seconds()}


def _check(tools: Toolbox) -> Mapping[str, object]:
    findings = check(tools)
    fail_if_critical(findings)
    return {"warnings": sum(finding.level == "warning" for finding in findings)}
