"""Does a database let us in as its compose file says?

POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB count when the data is made and never again: another value in the file
changes what everybody tells the server, not what it knows.
"""

from __future__ import annotations

from ops.adapters.postgres.connect import connect
from ops.adapters.postgres.refusals import is_absent, is_wrong_password
from ops.errors import DatabaseRefused, EngineUnreachable
from ops.model.endpoint import PostgresEndpoint

_RULE = "what the compose file says of it counted when the volume was made, and never since"


def check_login(endpoint: PostgresEndpoint) -> None:
    """Log in once, and out.

    Raises:
        DatabaseRefused: the server knows another password, no such role or no such database. That it is full or
            lets nobody in from here is no reason: it says nothing of the login.
        EngineUnreachable: it cannot be told now.
    """
    try:
        connect(endpoint, application_name="ops:login").close()
    except DatabaseRefused as refusal:
        words = refusal.cause or ""
        if is_wrong_password(words):
            raise DatabaseRefused(
                f"the database knows another password of {endpoint.user} than POSTGRES_PASSWORD",
                cause=f"{words}; {_RULE}",
                hint=f"set the old one again, then: inv shell -- -c '\\password {endpoint.user}', and only now the new "
                "one (docs/runbook.md)",
            ) from refusal
        if is_absent(words):
            raise DatabaseRefused(
                f"the server has no role {endpoint.user} or no database {endpoint.database}",
                cause=f"{words}; {_RULE}",
                hint="set POSTGRES_USER and POSTGRES_DB as they were, or make what is missing: inv shell",
            ) from refusal
        raise EngineUnreachable(f"whether {endpoint} lets us in cannot be told", cause=words) from refusal
