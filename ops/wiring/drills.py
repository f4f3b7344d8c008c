"""How do `inv verify --drill` and the drill job get their tools, and who cleans up after a drill that was killed?"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

from ops.errors import ConfigurationError, OpsError
from ops.wiring.audited import audited
from ops.wiring.live_database import live_database
from ops.wiring.sealing import sealing_of

if TYPE_CHECKING:
    from ops.actions.drill import Drilled
    from ops.model.manifest import Manifest
    from ops.ports import Throwaways
    from ops.wiring.toolbox import Toolbox

FOLDER = "drills"
"""Below the stack's state: what lives for one drill."""
MOST_JOBS = 4


def plan(tools: Toolbox, backup_id: str, *, is_all: bool = False) -> Manifest:
    """The backup that would be drilled. Raises: as `drill` does before it begins."""
    from ops.actions.drill import chosen

    if is_all:
        raise ConfigurationError(
            "a drill takes one backup at a time",
            cause="it takes as long as a restore",
            hint="inv verify --drill --id ID, or: inv verify --all",
        )
    return chosen(backup_id, tools.archives, sealing_of(tools), live_database(tools))


def drill(tools: Toolbox, backup_id: str, *, is_all: bool = False, lock_wait_s: float = 60.0) -> Drilled:
    """Restore one backup, the newest where none is named, into a throwaway server and compare.

    Raises: ConfigurationError for `is_all`: a drill takes as long as a restore, so each is asked for by name.
    """
    from ops.actions.drill import drill as restore_elsewhere

    wanted = plan(tools, backup_id, is_all=is_all)
    with audited(tools, "drill", backup=wanted.id):
        return restore_elsewhere(
            wanted.id,
            archives=tools.archives,
            throwaways=throwaways(tools),
            lock=tools.lock,
            clock=tools.clock,
            report=tools.report,
            by=tools.who,
            jobs=min(MOST_JOBS, os.cpu_count() or 1),
            wait_s=lock_wait_s,
            sealing=sealing_of(tools),
        )


def newest(tools: Toolbox) -> datetime | None:
    """When a backup of the live database was last restored for proof."""
    from ops.actions.drill import newest_drill

    return newest_drill(tools.archives, live_database(tools))


def clean(tools: Toolbox) -> None:
    """Remove what a killed drill left; that this fails never fails what it precedes."""
    try:
        for left in throwaways(tools).clean():
            tools.report.note(f"removed {left}, left by a drill that did not finish")
    except OpsError as error:
        tools.report.warn(f"leftovers of drills could not be looked for: {error.message}")


def throwaways(tools: Toolbox) -> Throwaways:
    """Containers on the docker engine, processes of this machine elsewhere, files for SQLite."""
    from ops.adapters.throwaway.by_format import ByFormat
    from ops.adapters.throwaway.sqlite_file import SqliteFiles

    folder = tools.state_folder / FOLDER
    return ByFormat(SqliteFiles(folder, tools.clock), lambda: _servers(tools))


def _servers(tools: Toolbox) -> Throwaways:
    if tools.engine_choice.engine == "docker":
        from ops.adapters.docker.client import Connection
        from ops.adapters.throwaway.container import ContainerServers

        connection = Connection(tools.settings.variables)
        return ContainerServers(connection, tools.stack, tools.project.database_service, tools.clock)
    from ops.adapters.throwaway.local_server import LocalServers

    return LocalServers(
        root=tools.state_folder / FOLDER,
        project=tools.project.root,
        search_path=tools.settings.variables.get("PATH", os.defpath),
        stack=tools.stack_name,
        clock=tools.clock,
    )
