"""Services without Docker: a real PostgreSQL and the application as processes of this machine, state in one folder."""
