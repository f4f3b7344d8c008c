"""Which refusals of a login does waiting not change, by the server's own words?

libpq tells no SQLSTATE of a connection that failed, so neither psql nor psycopg does.
"""

from __future__ import annotations


def is_wrong_password(words: str) -> bool:
    """Whether the server knows another password, or, as it does not tell that apart, no such role."""
    return "password authentication failed" in words


def is_absent(words: str) -> bool:
    """Whether the server has no such role or database."""
    return "does not exist" in words
