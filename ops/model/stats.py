"""Which numbers tell how a database is doing?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableSize:
    """One table: `row_estimate` is the planner's (exact on SQLite), sizes include indexes and TOAST.

    Where somebody keeps a table from everybody, sizes are the planner's too, as old as the last ANALYZE.
    """

    name: str
    row_estimate: int
    size_bytes: int
    dead_rows: int = 0


@dataclass(frozen=True, slots=True)
class LongTransaction:
    """A transaction that is open for long, or for which others wait, with what it last asked."""

    pid: int
    user: str
    application: str
    state: str
    age_s: float
    query: str


@dataclass(frozen=True, slots=True)
class DatabaseStats:
    """A database's numbers at one moment; zero or empty where the kind of database has no such thing."""

    database: str
    server_version: str
    size_bytes: int
    tables: tuple[TableSize, ...]
    connections: int = 0
    connections_active: int = 0
    connection_limit: int = 0
    cache_hit_ratio: float | None = None
    """Share of block reads answered from shared buffers, 0 to 1; None before the first read."""
    locks_waiting: int = 0
    transaction_age: int = 0
    """Transactions, or multixacts, since the server's oldest unfrozen row; wraparound is at about 2,000,000,000."""
    long_transactions: tuple[LongTransaction, ...] = ()
    collation_mismatches: tuple[str, ...] = ()
    """Collations or databases whose recorded version differs from the operating system's."""
