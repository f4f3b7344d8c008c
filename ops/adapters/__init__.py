"""Tools: the only code that touches Docker, PostgreSQL, SQLite, Alembic, the disk and the clock."""
