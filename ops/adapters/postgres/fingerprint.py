"""What is in every table, as a count and a checksum that does not depend on the order of rows?"""

from __future__ import annotations

import psycopg

from ops.model.database import TableSummary


def table_summaries(session: psycopg.Connection) -> tuple[TableSummary, ...]:
    """Count and checksum of every ordinary table in the session's current snapshot, sorted by name.

    The caller is inside `connect.in_snapshot(session)`; changes session settings with SET LOCAL only.
    Raises psycopg's errors; callers wrap it in `connect.translated`.
    """
    raise NotImplementedError
