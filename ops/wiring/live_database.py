"""Which database is the live one, by the settings alone? A monitor must not need a server that answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ops.model.endpoint import SqliteEndpoint
from ops.model.manifest import DatabaseIdentity

if TYPE_CHECKING:
    from ops.wiring.toolbox import Toolbox


def live_database(tools: Toolbox) -> DatabaseIdentity:
    """The live database; its name is "" (any) where only a file in its container says it.

    Raises: ConfigurationError.
    """
    endpoint = tools.named_endpoint
    if endpoint is not None:
        name = endpoint.path.name if isinstance(endpoint, SqliteEndpoint) else endpoint.database
    else:
        service = tools.stack.services.get(tools.project.database_service)
        name = "" if service is None else _made_by_the_image(service.environment)
    return DatabaseIdentity(tools.environment, tools.database_kind, name)


def _made_by_the_image(environment: Mapping[str, str]) -> str:
    """The database that the official image makes, as its entry point reads its variables."""
    if "POSTGRES_DB_FILE" in environment:
        return ""
    if environment.get("POSTGRES_DB"):
        return environment["POSTGRES_DB"]
    return "" if "POSTGRES_USER_FILE" in environment else environment.get("POSTGRES_USER") or "postgres"
