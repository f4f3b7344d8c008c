"""How do `inv check` and the scheduler get their tools?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ops.errors import CriticalCheckFailed
from ops.model.certificate import judge_certificates, parse_rules
from ops.model.finding import Finding, worst
from ops.model.schedule import parse_rule
from ops.wiring import offsite
from ops.wiring.heartbeat import heartbeat_age_s
from ops.wiring.live_database import live_database

if TYPE_CHECKING:
    from ops.model.manifest import Manifest
    from ops.model.schedule import Rule
    from ops.ports import DeadMansSwitch, Notifier
    from ops.wiring.toolbox import Toolbox


def check(tools: Toolbox) -> tuple[Finding, ...]:
    """Judge the whole stack; read-only."""
    from ops.actions.check import check_stack
    from ops.wiring.database import stats

    return check_stack(
        engine=tools.engine,
        stack=tools.stack,
        database=lambda: tools.database,
        archives=tools.archives,
        live=live_database(tools),
        migrator=lambda: tools.migrator if tools.project.alembic_config.exists() else None,
        read_stats=lambda: stats(tools),
        heartbeat_age_s=lambda: heartbeat_age_s(tools),
        certificates=lambda: certificates(tools),
        clock=tools.clock,
        further={"off-site": lambda: offsite.findings(tools)} if tools.project.offsite else {},
    )


def room(tools: Toolbox) -> tuple[Finding, ...]:
    """Whether the disks have room for the next backup and for a restore."""
    from ops.actions.check import check_room

    return check_room(archives=tools.archives, database=lambda: tools.database, clock=tools.clock)


def faults(tools: Toolbox) -> tuple[str, ...]:
    """Why the scheduler could make no backup now: a daemon that finds it out at night is too late."""
    from ops.adapters.archive_folder import why_unwritable

    reason = why_unwritable(tools.settings.backup_dir / tools.stack_name)
    return (reason,) if reason else ()


def certificates(tools: Toolbox) -> tuple[Finding, ...]:
    """How long the certificates of the proxy are good. Raises: ConfigurationError."""
    from ops.adapters.certificate_files import certificate_files

    rules = parse_rules(tools.project.certificates)
    return judge_certificates(certificate_files(tools.project.root, rules.files), rules, tools.clock.now())


def fail_if_critical(findings: Sequence[Finding]) -> None:
    """End with exit code 4 where something is critical. Raises: CriticalCheckFailed."""
    if worst(findings) == "critical":
        bad = [finding.name for finding in findings if finding.level == "critical"]
        raise CriticalCheckFailed(
            f"{len(bad)} critical: {', '.join(bad)}",
            cause="; ".join(dict.fromkeys(finding.message for finding in findings if finding.level == "critical")),
            hint=next(finding.hint for finding in findings if finding.level == "critical") or "inv check",
        )


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
