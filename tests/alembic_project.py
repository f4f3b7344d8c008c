"""How does a test get an Alembic project as somebody else would have written it?

`alembic init` itself writes it, from the template asked for; tests add revisions to it.
"""

from __future__ import annotations

import contextlib
import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

import alembic.command
from alembic.config import Config

from ops.adapters.alembic_migrator import AlembicMigrator
from ops.model.endpoint import Endpoint
from tests.alembic_zygote import run_in_zygote

READS_ENVIRONMENT = """
import os
from alembic import context
from sqlalchemy import create_engine, pool

print("foreign code writes to stdout")
if context.is_offline_mode():
    context.configure(url=os.environ["DATABASE_URL"], literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=None)
        with context.begin_transaction():
            context.run_migrations()
"""
PER_MIGRATION = READS_ENVIRONMENT.replace("target_metadata=None", "transaction_per_migration=True")
FORGETS_TO_COMMIT = READS_ENVIRONMENT.replace(
    "        context.configure(connection",
    "        connection.exec_driver_sql('SELECT 1')\n        context.configure(connection",
)
GOES_ELSEWHERE = READS_ENVIRONMENT.replace(
    'create_engine(os.environ["DATABASE_URL"]', 'create_engine(os.environ["DATABASE_URL"] + "_other"'
)


class AlembicProject:
    """A folder with alembic.ini, alembic/env.py and revisions."""

    def __init__(self, folder: Path, *, template: str = "generic", env: str | None = None) -> None:
        self.folder = folder
        config = Config(str(folder / "alembic.ini"), toml_file=str(folder / "pyproject.toml"))
        with contextlib.redirect_stdout(io.StringIO()):
            config.stdout = io.StringIO()
            alembic.command.init(config, str(folder / "alembic"), template=template)
        for file in (folder / "alembic.ini", folder / "pyproject.toml"):
            if file.exists():  # as if `alembic init alembic` had been typed in the folder
                file.write_text(file.read_text().replace(str(folder), "%(here)s"))
        if env is not None:
            (folder / "alembic" / "env.py").write_text(env)

    def revision(
        self,
        name: str,
        down: str | Sequence[str] | None = None,
        *,
        up: str = "pass",
        back: str | None = "pass",
        depends_on: str | None = None,
    ) -> Path:
        """Add a revision; `up` and `back` are the bodies of its functions, `back` None leaves downgrade out."""
        body = (
            f'"""Revision {name}."""\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
            f"revision = {name!r}\ndown_revision = {down!r}\nbranch_labels = None\ndepends_on = {depends_on!r}\n\n"
            f"def upgrade():\n{textwrap.indent(textwrap.dedent(up), '    ')}\n\n"
        )
        if back is not None:
            body += f"def downgrade():\n{textwrap.indent(textwrap.dedent(back), '    ')}\n"
        path = self.folder / "alembic" / "versions" / f"{name}.py"
        path.write_text(body)
        return path

    def three_tables(self) -> None:
        """Revisions `a`, `b`, `c`, each of which makes a table of its own name."""
        for name, down in (("a", None), ("b", "a"), ("c", "b")):
            self.revision(
                name, down,
                up=f"op.create_table('t_{name}', sa.Column('id', sa.Integer, primary_key=True))",
                back=f"op.drop_table('t_{name}')",
            )  # fmt: skip

    def migrator(self, endpoint: Endpoint) -> AlembicMigrator:
        """The real adapter on this project."""
        return AlembicMigrator(run_in_zygote(self.folder), endpoint)
