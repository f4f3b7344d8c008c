"""Where does Alembic run: from the tree, or in the deployed image?"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ops.adapters.alembic_migrator import AlembicMigrator
from ops.adapters.alembic_runner import run_in_container, run_in_tree
from ops.model.endpoint import PostgresEndpoint

if TYPE_CHECKING:
    from ops.ports import Migrator
    from ops.wiring.toolbox import Toolbox

POSTGRES_PORT = 5432


def build_migrator(tools: Toolbox, *, is_twice: bool = False) -> Migrator:
    """The schema history of this run.

    In production on Docker it is the deployed image's, in a one-off container on the stack's network; everywhere else
    the tree's, with this Python. `is_twice`: as for `run_in_tree`.
    """
    config = str(tools.project.alembic_config.relative_to(tools.project.root))
    endpoint = tools.endpoint
    if (
        tools.settings.is_production
        and tools.engine_choice.engine == "docker"
        and isinstance(endpoint, PostgresEndpoint)
    ):
        inside = replace(endpoint, host=tools.project.database_service, port=POSTGRES_PORT)
        service = tools.stack.services[tools.project.app_service]
        return AlembicMigrator(run_in_container(tools.engine, tools.stack, service), inside, config=config)
    run = run_in_tree(tools.project.root, python=sys.executable, environment=environment_of(tools), is_twice=is_twice)
    return AlembicMigrator(run, endpoint, config=config)


def environment_of(tools: Toolbox) -> Mapping[str, str]:
    """The environment of a project's Alembic that runs from the tree."""
    return {**tools.settings.variables, **os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
