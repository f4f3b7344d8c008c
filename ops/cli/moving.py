"""Which task moves data between SQLite and PostgreSQL?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.cli.task import ops_task

if TYPE_CHECKING:
    from invoke.context import Context


@ops_task(
    help={
        "source": "move this SQLite file into the stack's PostgreSQL, as sqlite:///FILE",
        "to": "write the stack's PostgreSQL into this SQLite file, new or not, as sqlite:///FILE",
        "rules": "a TOML file that decides where a value has no single meaning (docs/transfer.md)",
    }
)
def transfer(
    _c: Context,
    source: str = "",
    to: str = "",
    rules: str = "",
    prod: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    lock_wait: float = 0.0,
) -> None:
    """Move all data from SQLite to PostgreSQL, or back."""
    from invoke.exceptions import Exit

    from ops.cli.shown import transfers as shown
    from ops.errors import ConfigurationError
    from ops.wiring import open_toolbox, transfers

    if bool(source) == bool(to):
        raise ConfigurationError(
            "a transfer needs --source or --to, one of them",
            hint="inv transfer --source sqlite:///FILE --dry-run",
        )
    with open_toolbox(is_production=prod) as tools:
        if to:
            plan, report = transfers.transfer_back(
                tools, to=to, is_dry=dry_run, is_confirmed=yes, lock_wait_s=lock_wait
            )
            shown.taken_back(plan, report, as_json=json)
            forbidden = plan.forbidden if report is None else None
        else:
            into, moved = transfers.transfer(
                tools, source=source, rules=rules, is_dry=dry_run, is_confirmed=yes, lock_wait_s=lock_wait
            )
            shown.transferred(into, moved, as_json=json)
            forbidden = into.forbidden if moved is None else None
    if forbidden is not None:
        raise Exit(code=forbidden.exit_code)
