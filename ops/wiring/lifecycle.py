"""How do the tasks of `ops/cli/lifecycle.py` flow: plan, show, ask, execute?"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ops.adapters.revision_files import read_history
from ops.errors import EngineUnreachable, OpsError, UnknownService
from ops.model.pending import stamp_command
from ops.wiring.audited import audited

if TYPE_CHECKING:
    from ops.actions.ask_login import Login
    from ops.actions.preview_stack import StackPreview
    from ops.actions.start import StartReport
    from ops.actions.stop import StopReport
    from ops.wiring.toolbox import Toolbox


def up(
    tools: Toolbox,
    *,
    is_dry: bool = False,
    timeout_s: float = 0.0,
    is_built: bool = False,
    is_forced: bool = False,
    are_orphans_removed: bool = False,
    lock_wait_s: float = 0.0,
) -> StackPreview | StartReport:
    """Start what was asked for and wait; dry, only the plan."""
    from ops.actions.preview_stack import StartOptions, preview_start
    from ops.actions.start import start

    refuse_development_secrets(tools)
    options = StartOptions(force_recreate=is_forced, remove_orphans=are_orphans_removed, build=is_built)
    services = tools.named_services
    if is_dry:
        return preview_start(tools.engine, tools.stack, clock=tools.clock, services=services, options=options)
    choice = tools.engine_choice
    tools.report.note(f"engine {choice.engine}: {choice.reason}")
    with tools.lock.acquire("up", wait_s=lock_wait_s), audited(tools, "up", services=list(services)):
        tools.record_engine()
        report = start(
            tools.engine,
            tools.stack,
            clock=tools.clock,
            report=tools.report,
            timeout_s=timeout_s or tools.settings.wait_timeout_s,
            services=services,
            options=options,
            login=_login(tools),
        )
        _wait_for_database(tools, report, timeout_s or tools.settings.wait_timeout_s)
        _warn_of_no_way(tools, report)
        return report


def _wait_for_database(tools: Toolbox, report: StartReport, timeout_s: float) -> None:
    """Wait for sessions where nothing else has told that the database is ready; then log in where that can be told.

    The timeout holds for this and for what the start has waited already. Asked is beside the server: whether there is a
    way to it from here is another question, and waiting does not answer it.

    Raises: ServiceUnhealthy, DatabaseRefused.
    """
    from ops.actions.wait_for_database import takes_sessions, wait_for_database

    service = tools.project.database_service
    status = report.services.get(service)
    if status is None or status.health != "none":
        return

    def ask() -> None:
        if not takes_sessions(tools.tools):
            tools.database.exists()

    began_s = tools.clock.monotonic() - report.wait_s
    wait_for_database(ask, service=service, clock=tools.clock, timeout_s=timeout_s, began_s=began_s)
    _login(tools).ask()


def _warn_of_no_way(tools: Toolbox, report: StartReport) -> None:
    """A database that runs and that nothing here can reach is no failure of `up`, but of every task after it."""
    if tools.project.database_service not in report.services:
        return
    try:
        _ = tools.endpoint
    except EngineUnreachable as error:
        tools.report.warn(f"{error.message}: {error.shown_cause}; {error.shown_hint}")
    except OpsError:
        return  # which the next task on it tells


def build(tools: Toolbox, names: Sequence[str], *, is_cache_left_out: bool) -> Mapping[str, str]:
    """Build images; service -> image id. Raises: BuildFailed."""
    with audited(tools, "build", services=list(names)) as details:
        images = tools.engine.build(tools.stack, names, no_cache=is_cache_left_out, report=tools.report)
        details["images"] = dict(images)
        return images


def pull(tools: Toolbox, names: Sequence[str]) -> Mapping[str, str]:
    """Pull images; service -> image id. Raises: BuildFailed."""
    with audited(tools, "pull", services=list(names)) as details:
        images = tools.engine.pull(tools.stack, names, report=tools.report)
        details["images"] = dict(images)
        return images


def run_in(tools: Toolbox, service: str, argv: Sequence[str], *, user: str) -> int:
    """Run a program in a service with our own streams; returns its exit code.

    The journal gets the program's name alone: arguments may hold secrets.
    """
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    with audited(tools, "exec", service=service, program=argv[0]) as details:
        details["exit_code"] = tools.engine.execute(
            tools.stack,
            service,
            argv,
            stdin=None if is_terminal else sys.stdin.buffer,
            stdout=sys.stdout.buffer,
            stderr=sys.stderr.buffer,
            user=user or None,
            interactive=is_terminal,
        )
    return int(details["exit_code"])


def _login(tools: Toolbox) -> Login:
    from ops.actions.ask_login import Login
    from ops.model.endpoint import PostgresEndpoint

    service = tools.project.database_service

    def check() -> None:
        endpoint = tools.engine.database_endpoint(tools.stack, service)  # a replaced container has another one
        if isinstance(endpoint, PostgresEndpoint):
            from ops.adapters.postgres.login import check_login

            check_login(endpoint)

    return Login(service, check)


def refuse_impossible(tools: Toolbox, report: StackPreview | StartReport) -> None:
    """Refuse a plan that `up` would refuse, once it was shown. Raises what `Engine.preflight` raises."""
    from ops.actions.preview_stack import StackPreview

    if isinstance(report, StackPreview):
        tools.engine.preflight(report.steps, tools.stack)


def images_to_build(tools: Toolbox, names: Sequence[str]) -> dict[str, str]:
    """What `build` would build, service -> image; nothing where the engine has no images."""
    return _images(tools, names, are_built=True)


def images_to_pull(tools: Toolbox, names: Sequence[str]) -> dict[str, str]:
    """What `pull` would pull, service -> image; nothing where the engine has no images."""
    return _images(tools, names, are_built=False)


def _images(tools: Toolbox, names: Sequence[str], *, are_built: bool) -> dict[str, str]:
    if tools.engine_choice.engine != "docker":
        return {}
    services = tools.stack.services
    chosen = [services[name] for name in names] or [
        one for one in services.values() if (one.build is not None) is are_built
    ]
    return {one.name: one.image or f"{tools.stack_name}-{one.name}" for one in chosen}


def pending_revisions(tools: Toolbox) -> str:
    """One sentence where the database is not at the head revision, or cannot be asked; empty where all is well."""
    heads, known = read_history(tools.project.alembic_config)
    try:
        current = tools.database.revisions() if heads else ()
    except UnknownService:
        return ""  # the database is not among the services that were started
    except OpsError as error:
        return f"whether revisions are pending cannot be told: {error.message}"
    if not heads or set(heads) <= set(current):
        return ""
    if not current and (tables := _tables_without_revision(tools)):
        has_app = tools.engine_choice.engine != "url" and tools.project.app_service in tools.stack.services
        stamp = stamp_command(heads[0], app_service=tools.project.app_service if has_app else "")
        return (
            f"the database has {tables} tables but no revision, which inv migrate refuses: once you know they equal"
            f" a revision: {stamp}"
        )
    at = f"the database is at {', '.join(current) or 'no revision'}, the head is {', '.join(heads)}"
    if strange := set(current) - known:
        return f"{at}: this checkout does not know {', '.join(sorted(strange))}: git pull, or inv rollback"
    return f"{at}: inv migrate"


def _tables_without_revision(tools: Toolbox) -> int:
    from ops.actions.check import tables_without_version
    from ops.wiring.database import stats

    try:
        return len(tables_without_version(tools.database, stats(tools)))
    except OpsError:
        return 0  # the shorter sentence is as true


def refuse_development_secrets(tools: Toolbox) -> None:
    """Refuse to start production with the passwords that the example file shows. Raises: Refused."""
    from ops.config import SETTINGS
    from ops.errors import Refused

    if not tools.settings.is_production:
        return
    shown = {setting.default for setting in SETTINGS if setting.is_secret and setting.default}
    for service in tools.stack.services.values():
        for name, value in service.environment.items():
            if any(secret in value for secret in shown):
                raise Refused(
                    f"services.{service.name}.environment.{name} holds the example password",
                    cause="everybody who has read the guide knows it",
                    hint="openssl rand -hex 32, into .env.production",
                )


def down(
    tools: Toolbox,
    *,
    are_volumes_removed: bool,
    are_orphans_removed: bool,
    is_forgotten: bool,
    is_confirmed: bool,
    is_dry: bool,
    lock_wait_s: float,
) -> StackPreview | StopReport:
    """Stop and remove the services; dry, only the plan."""
    from ops.actions.preview_stack import preview_stop
    from ops.actions.stop import stop

    if is_dry:
        return preview_stop(
            tools.engine, tools.stack, remove_volumes=are_volumes_removed, remove_orphans=are_orphans_removed
        )
    if are_volumes_removed:
        tools.confirm(
            f"all data of the stack {tools.stack_name} in its volumes would be deleted for good",
            is_confirmed=is_confirmed,
            expected=tools.stack_name,
        )
    with (
        tools.lock.acquire("down", wait_s=lock_wait_s),
        audited(tools, "down", are_volumes_removed=are_volumes_removed, is_forgotten=is_forgotten),
    ):
        report = stop(
            tools.engine,
            tools.stack,
            clock=tools.clock,
            report=tools.report,
            remove_volumes=are_volumes_removed,
            is_confirmed=True,
            remove_orphans=are_orphans_removed,
        )
        if is_forgotten:
            tools.engine_record.forget()
    return report
