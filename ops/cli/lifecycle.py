"""Which tasks start, stop and look at the stack's services?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ops.cli.task import ops_task

if TYPE_CHECKING:
    from invoke.context import Context

SERVICES = "only these services, comma-separated, and what they depend on (default: all)"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


@ops_task(
    help={
        "services": SERVICES,
        "profiles": "switch on the services of these profiles, comma-separated",
        "timeout": "seconds to wait until every service is ready (default: OPS_WAIT_TIMEOUT_S)",
        "build": "build images even where they exist",
        "force_recreate": "replace containers although nothing changed",
        "remove_orphans": "remove containers whose service the compose file no longer names",
    }
)
def up(
    _c: Context,
    services: str = "",
    profiles: str = "",
    timeout: float = 0.0,
    build: bool = False,
    force_recreate: bool = False,
    remove_orphans: bool = False,
    prod: bool = False,
    dry_run: bool = False,
    json: bool = False,
    lock_wait: float = 0.0,
) -> None:
    """Start the services and wait until each one is ready."""
    from ops.cli.shown import lifecycle as shown
    from ops.wiring import lifecycle, open_toolbox

    with open_toolbox(
        is_production=prod, profiles=_names(profiles), services=_names(services), is_strict=True
    ) as tools:
        report = lifecycle.up(
            tools,
            is_dry=dry_run,
            timeout_s=timeout,
            is_built=build,
            is_forced=force_recreate,
            are_orphans_removed=remove_orphans,
            lock_wait_s=lock_wait,
        )
        shown.start_report(report, tools, as_json=json)
        lifecycle.refuse_impossible(tools, report)


@ops_task(
    help={
        "volumes": "also delete the stack's volumes with all data: asks for the stack's name",
        "remove_orphans": "also remove containers whose service the compose file no longer names",
        "forget": "also forget which engine the stack runs on",
    }
)
def down(
    _c: Context,
    volumes: bool = False,
    remove_orphans: bool = False,
    forget: bool = False,
    prod: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    lock_wait: float = 0.0,
) -> None:
    """Stop and remove the services; data stays unless --volumes."""
    from ops.cli.shown import lifecycle as shown
    from ops.wiring import lifecycle, open_toolbox

    with open_toolbox(is_production=prod, profiles=("*",)) as tools:
        report = lifecycle.down(
            tools,
            are_volumes_removed=volumes,
            are_orphans_removed=remove_orphans,
            is_forgotten=forget,
            is_confirmed=yes,
            is_dry=dry_run,
            lock_wait_s=lock_wait,
        )
        shown.stop_report(report, tools, as_json=json)


@ops_task()
def ps(_c: Context, prod: bool = False, json: bool = False) -> None:
    """Show each service: state, health, restarts, ports."""
    from ops.cli.shown import lifecycle as shown
    from ops.wiring import open_toolbox

    with open_toolbox(is_production=prod) as tools:
        shown.services(tools.engine.observe(tools.stack), tools, as_json=json)


@ops_task(
    help={
        "service": "one service, or several comma-separated (default: all)",
        "follow": "go on printing until interrupted",
        "tail": "only the last so many lines of each service (default: all)",
        "since": "only lines younger than this, such as 10m, 2h or 2026-01-31T02:00:00Z",
    }
)
def logs(
    _c: Context, service: str = "", follow: bool = False, tail: int = -1, since: str = "", prod: bool = False
) -> None:
    """Print what the services printed."""
    from ops.cli.shown import lifecycle as shown
    from ops.model.moment import parse_since
    from ops.wiring import open_toolbox

    with open_toolbox(is_production=prod, profiles=("*",)) as tools:
        names = tools.known_services(_names(service))
        start = parse_since(since, now=tools.clock.now()) if since else None
        lines = tools.engine.logs(tools.stack, names, follow=follow, tail=tail if tail >= 0 else None, since=start)
        shown.log_lines(lines, len(names))


@ops_task(
    name="exec",
    help={"service": "where to run it (default: the application)", "user": "as this user instead of the service's own"},
)
def exec_(_c: Context, service: str = "", user: str = "", prod: bool = False, dry_run: bool = False) -> None:
    """Run a program in a service: inv exec -- alembic current."""
    import shlex

    from invoke.exceptions import Exit

    from ops.cli.remainder import program_of
    from ops.wiring import lifecycle, open_toolbox

    with open_toolbox(is_production=prod, profiles=("*",)) as tools:
        argv = program_of(sys.argv)
        where = tools.known_services((service or tools.project.app_service,))[0]
        if dry_run:
            tools.report.note(f"would run in {where}: {shlex.join(argv)}")
            return
        code = lifecycle.run_in(tools, where, argv, user=user)
    if code:
        raise Exit(code=code)


@ops_task(help={"services": SERVICES, "no_cache": "build every layer again"})
def build(
    _c: Context,
    services: str = "",
    no_cache: bool = False,
    prod: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Build the images of services that have a build section."""
    from ops.cli.shown import lifecycle as shown
    from ops.wiring import lifecycle, open_toolbox

    with open_toolbox(is_production=prod, services=_names(services)) as tools:
        if dry_run:
            shown.images_wanted(lifecycle.images_to_build(tools, _names(services)), "would be built", as_json=json)
            return
        images = lifecycle.build(tools, _names(services), is_cache_left_out=no_cache)
        shown.images(images, "built", as_json=json)


@ops_task(help={"services": SERVICES})
def pull(_c: Context, services: str = "", prod: bool = False, dry_run: bool = False, json: bool = False) -> None:
    """Pull the images of the services that name one."""
    from ops.cli.shown import lifecycle as shown
    from ops.wiring import lifecycle, open_toolbox

    with open_toolbox(is_production=prod, services=_names(services)) as tools:
        if dry_run:
            shown.images_wanted(lifecycle.images_to_pull(tools, _names(services)), "would be pulled", as_json=json)
            return
        images = lifecycle.pull(tools, _names(services))
        shown.images(images, "pulled", as_json=json)


@ops_task(help={"services": SERVICES, "profiles": "switch on the services of these profiles, comma-separated"})
def plan(_c: Context, services: str = "", profiles: str = "", prod: bool = False, json: bool = False) -> None:
    """Show what `up` would do now, and why; change nothing."""
    from ops.cli.shown import lifecycle as shown
    from ops.wiring import lifecycle, open_toolbox

    with open_toolbox(
        is_production=prod, profiles=_names(profiles), services=_names(services), is_strict=True
    ) as tools:
        report = lifecycle.up(tools, is_dry=True)
        shown.start_report(report, tools, as_json=json)
        lifecycle.refuse_impossible(tools, report)


@ops_task(help={"profiles": "switch on the services of these profiles, comma-separated"})
def config(_c: Context, profiles: str = "", prod: bool = False, json: bool = False) -> None:
    """Show the resolved compose file and settings, secrets masked."""
    from ops.cli.shown import lifecycle as shown
    from ops.wiring import open_toolbox

    with open_toolbox(is_production=prod, profiles=_names(profiles)) as tools:
        shown.configuration(tools, as_json=json)
