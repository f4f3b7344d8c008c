"""How is an archive streamed from a live PostgreSQL database, with counts of the very same moment?"""

from __future__ import annotations

from collections.abc import Callable

from ops.model.endpoint import PostgresEndpoint
from ops.ports import Dump, Reporter, ToolRunner


def dump(
    endpoint: PostgresEndpoint,
    tools: ToolRunner,
    write: Callable[[bytes], None],
    *,
    report: Reporter,
    lock_wait_s: float,
    idle_timeout_s: float,
) -> Dump:
    """Stream a custom-format archive of the endpoint's database to `write`.

    Raises: DumpFailed, DatabaseRefused, EngineUnreachable.
    """
    raise NotImplementedError
