"""Which tasks watch over the stack?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.cli.task import ops_task

if TYPE_CHECKING:
    from invoke.context import Context


@ops_task()
def check(_c: Context, prod: bool = False, json: bool = False) -> None:
    """Report whether the stack is fit for the night; read-only."""
    from ops.cli.shown import service as shown
    from ops.wiring import open_toolbox, service

    with open_toolbox(is_production=prod) as tools:
        findings = service.check(tools)
        shown.findings(findings, as_json=json)
        service.fail_if_critical(findings)


@ops_task(
    help={"status": "show jobs, last and next runs, and end", "once": "run this job now, in the foreground, and end"}
)
def scheduler(
    _c: Context, status: bool = False, once: str = "", prod: bool = False, dry_run: bool = False, json: bool = False
) -> None:
    """Run the nightly jobs: backup, prune, drill; in place of cron."""
    from invoke.exceptions import Exit

    from ops.adapters.schedule_state import ScheduleState
    from ops.cli.shown import service as shown
    from ops.scheduler import run_once, run_scheduler, scheduler_status
    from ops.wiring import open_toolbox, service
    from ops.wiring.jobs import jobs_of
    from ops.wiring.live_database import live_database
    from ops.wiring.scheduler_service import status_document

    with open_toolbox(is_production=prod, profiles=("*",)) as tools:
        jobs, state = jobs_of(tools, tools.again), ScheduleState(tools.state_folder)
        if status or dry_run:
            found = scheduler_status(
                jobs, clock=tools.clock, state=state, report=tools.report, stack=tools.stack_name,
                zone=service.zone_name(tools), backups=lambda: service.manifests(tools), live=live_database(tools),
                faults=lambda: service.faults(tools),
            )  # fmt: skip
            shown.schedule(status_document(tools, found), as_json=json)
            return
        if once:
            fields = run_once(
                jobs, once, clock=tools.clock, state=state, report=tools.report, stack=tools.stack_name,
                notifier=service.notifier(tools), switches=service.switches(tools),
            )  # fmt: skip
            shown.job_fields(once, fields, as_json=json)
            return
        code = run_scheduler(
            jobs, clock=tools.clock, state=state, report=tools.report, stack=tools.stack_name,
            zone=service.zone_name(tools), notifier=service.notifier(tools), switches=service.switches(tools),
            summary=service.summary_rule(tools), backups=lambda: service.manifests(tools),
            live=live_database(tools), faults=lambda: service.faults(tools),
            status_port=tools.settings.status_port or None, status_host=tools.settings.status_host,
        )  # fmt: skip
    if code:
        raise Exit(code=code)
