"""As whom is a throwaway server set up, so that owners who must be superusers can be?

Some objects (event triggers, foreign data wrappers) must belong to a superuser. A restore never makes one; on a server
that lives for a minute it does no harm, and without it the archive of a sound database would not load.
"""

from __future__ import annotations

from psycopg import sql

from ops.adapters.postgres.connect import connect, translated
from ops.errors import RestoreRefused
from ops.model.endpoint import PostgresEndpoint
from ops.model.manifest import Manifest

MAINTENANCE = "postgres"
"""The database that every new server has."""


def superuser_of(manifest: Manifest) -> str:
    """The name for the server's first superuser: the database's owner where that is one, else another, else ours."""
    names = [role.name for role in manifest.database.roles if "SUPERUSER" in role.attributes]
    owner = manifest.database.owner
    return owner if owner in names else next(iter(names), "postgres")


def make_superusers(endpoint: PostgresEndpoint, manifest: Manifest) -> None:
    """Make the archive's other superusers, without login. Raises: RestoreRefused, EngineUnreachable."""
    others = [
        role.name for role in manifest.database.roles if "SUPERUSER" in role.attributes and role.name != endpoint.user
    ]
    with translated("setting up the throwaway server", otherwise=RestoreRefused), connect(endpoint) as session:
        for name in others:
            session.execute(sql.SQL("CREATE ROLE {} NOLOGIN SUPERUSER").format(sql.Identifier(name)))
