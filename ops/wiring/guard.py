"""Does DATABASE_URL point where this run is about to change data?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.errors import ConfigurationError
from ops.model.database_url import parse_database_url
from ops.model.endpoint import Endpoint, PostgresEndpoint

if TYPE_CHECKING:
    from ops.wiring.toolbox import Toolbox

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", ""})


def refuse_another_database(tools: Toolbox) -> None:
    """Refuse to change data while DATABASE_URL names another database than this stack's.

    Raises: ConfigurationError.
    """
    if tools.engine_choice.engine == "url" or not tools.settings.database_url:
        return
    named = parse_database_url(tools.settings.database_url.reveal(), base=tools.project.root)
    live = tools.endpoint
    if _is_same(named, live, tools.project.database_service):
        return
    raise ConfigurationError(
        f"DATABASE_URL points at {named}, this stack's database is {live}",
        cause="a change of data must not leave it open which of the two is meant",
        hint="unset DATABASE_URL, or work on that database: export OPS_ENGINE=url",
    )


def _is_same(named: Endpoint, live: Endpoint, database_service: str) -> bool:
    if not (isinstance(named, PostgresEndpoint) and isinstance(live, PostgresEndpoint)):
        return named == live
    if named.database != live.database:
        return False
    if named.host == database_service:
        return True
    is_same_host = named.host == live.host or {named.host, live.host} <= LOOPBACK
    return is_same_host and named.port == live.port
