"""Which tasks watch over the stack?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.cli.task import ops_task

if TYPE_CHECKING:
    from invoke.context import Context


@ops_task()
def check(_c: Context, prod: bool = False, json: bool = False) -> None:
    """Report whether the stack is fit for the night; read-only."""
    from ops.cli import shown
    from ops.wiring import open_toolbox, service

    with open_toolbox(is_production=prod, profiles=("*",)) as tools:
        findings = service.check(tools)
        shown.findings(findings, as_json=json)
        service.fail_if_critical(findings)


@ops_task(
    help={"status": "show jobs, last and next runs, and end", "once": "run this job now, in the foreground, and end"}
)
def scheduler(_c: Context, status: bool = False, once: str = "", prod: bool = False, json: bool = False) -> None:
    """Run the nightly jobs: backup, prune, drill; in place of cron."""
    from invoke.exceptions import Exit

    from ops.cli import shown
    from ops.scheduler_wiring import open_scheduler

    with open_scheduler(is_production=prod) as daemon:
        if status:
            shown.schedule(daemon.status(), as_json=json)
            return
        code = daemon.once(once) if once else daemon.run()
    if code:
        raise Exit(code=code)
