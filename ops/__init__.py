"""The ops runner: one compose file, one PostgreSQL, run without hope."""
