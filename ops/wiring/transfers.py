"""How does `inv transfer` flow: guard, plan, show, ask, execute exactly that plan?"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from ops.errors import ConfigurationError
from ops.model.database_url import parse_database_url
from ops.model.endpoint import PostgresEndpoint, SqliteEndpoint
from ops.model.transfer.rules import NO_RULES, Rules, parse_rules
from ops.wiring.audited import audited
from ops.wiring.guard import refuse_another_database

if TYPE_CHECKING:
    from ops.actions.transfer_tools import TransferTools
    from ops.model.transfer.back import BackPlan, BackReport
    from ops.model.transfer.plan import TransferPlan, TransferReport
    from ops.wiring.toolbox import Toolbox


def transfer_tools(tools: Toolbox) -> TransferTools:
    """What a transfer works with. Raises: ConfigurationError where the live database is no PostgreSQL."""
    from ops.adapters.alembic_migrator import AlembicMigrator
    from ops.adapters.alembic_runner import run_in_tree
    from ops.wiring.migrator import build_migrator, environment_of

    endpoint = tools.endpoint
    if not isinstance(endpoint, PostgresEndpoint):
        raise ConfigurationError(
            f"this stack's database is {endpoint}: a transfer needs PostgreSQL on one side",
            cause="it moves between the stack's PostgreSQL and a SQLite file",
            hint="unset DATABASE_URL and OPS_ENGINE, then inv up",
        )
    migrator = build_migrator(tools, is_twice=True)  # the history now, the new database's revisions later
    from ops.actions.transfer_tools import TransferTools  # while those two start
    from ops.adapters.sqlite.database import SqliteDatabase
    from ops.adapters.sqlite.holders import holders
    from ops.adapters.transfer.bridge import SqlitePostgresBridge

    run = run_in_tree(tools.project.root, python=sys.executable, environment=environment_of(tools))
    config = str(tools.project.alembic_config.relative_to(tools.project.root))
    return TransferTools(
        database=tools.database,
        bridge=SqlitePostgresBridge(
            endpoint,
            tools.state_folder / "transfer",
            tools.report,
            load_idle_timeout_s=tools.settings.load_idle_timeout_s,
        ),
        migrator=migrator,
        migrator_of=lambda path: AlembicMigrator(run, SqliteEndpoint(path), config=config, is_orphan_refused=False),
        file_database=lambda path: SqliteDatabase(SqliteEndpoint(path), clock=tools.clock, by=tools.who),
        holders=holders,
        lock=tools.lock,
        journal=tools.journal,
        clock=tools.clock,
        report=tools.report,
        lists=tools.state_folder / "transfers",
        by=tools.by,
        stack=tools.stack_name,
        live=tools.live_name,
    )


def transfer(
    tools: Toolbox, *, source: str, rules: str, is_dry: bool, is_confirmed: bool, lock_wait_s: float
) -> tuple[TransferPlan, TransferReport | None]:
    """Plan the way into PostgreSQL, and unless dry ask and carry out exactly that plan."""
    from ops.actions.transfer import TransferRequest, planned_transfer
    from ops.actions.transfer import transfer as carry_out

    refuse_another_database(tools)
    request = TransferRequest(_sqlite_file(tools, source, "--source"), _read_rules(tools, rules), is_dry=is_dry)
    given = transfer_tools(tools)
    with planned_transfer(request, given, lock_wait_s=lock_wait_s) as plan:
        if is_dry:
            return plan, None
        for fault in plan.faults:
            tools.report.warn(str(fault))
        plan.refuse()
        if plan.live_rows:
            tools.confirm(
                f"{plan.database} with {plan.live_rows} rows would give way to {plan.file} with {plan.rows} rows; "
                f"the old database is kept as {plan.kept}",
                is_confirmed=is_confirmed,
            )
        return plan, carry_out(plan, given, lock_wait_s=lock_wait_s)


def transfer_back(
    tools: Toolbox, *, to: str, is_dry: bool, is_confirmed: bool, lock_wait_s: float
) -> tuple[BackPlan, BackReport | None]:
    """Plan the way back to a SQLite file, and unless dry carry it out; asks where rows give way."""
    from ops.actions.transfer_back import plan_back
    from ops.actions.transfer_back import transfer_back as carry_out

    file = _sqlite_file(tools, to, "--to")
    given = transfer_tools(tools)
    plan = plan_back(file, given)
    if is_dry:
        return plan, None
    plan.refuse()
    if plan.there is not None and plan.there.rows:
        is_open = f", open in {', '.join(plan.there.open_by)}," if plan.there.open_by else ""
        tools.confirm(
            f"{plan.file} with {plan.there.rows} rows{is_open} would give way to {plan.database} with {plan.rows} rows;"
            f" what it holds now is kept beside it as {plan.there.kept}",
            is_confirmed=is_confirmed,
        )
    with audited(tools, "transfer-back", file=file.name):
        return plan, carry_out(plan, given, lock_wait_s=lock_wait_s)


def _sqlite_file(tools: Toolbox, url: str, argument: str) -> Path:
    endpoint = parse_database_url(url, base=tools.project.root)
    if not isinstance(endpoint, SqliteEndpoint):
        raise ConfigurationError(f"{argument} names no SQLite file", hint=f"inv transfer {argument} sqlite:///FILE")
    return endpoint.path


def _read_rules(tools: Toolbox, name: str) -> Rules:
    if not name:
        return NO_RULES
    try:
        with (tools.project.root / name).open("rb") as file:
            return parse_rules(tomllib.load(file), file=name)
    except (OSError, tomllib.TOMLDecodeError) as exc:
        raise ConfigurationError(f"the rules file {name} cannot be read", cause=str(exc)) from exc
