"""How is the engine of a stack built?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ops.config import Project, Settings
from ops.errors import ConfigurationError

if TYPE_CHECKING:
    from ops.model.engine import EngineName
    from ops.ports import Engine


def build_engine(name: EngineName, settings: Settings, project: Project, state_folder: Path) -> Engine:
    """The engine of that name for one stack; only its own libraries are loaded.

    Raises: ConfigurationError (the url engine without a URL).
    """
    if name == "docker":
        from ops.adapters.docker.engine import DockerEngine

        return DockerEngine(environment=settings.variables, silence_s=settings.load_idle_timeout_s)
    if name == "embedded":
        from ops.adapters.embedded.engine import EmbeddedEngine

        return EmbeddedEngine(
            state_dir=state_folder / "embedded",
            working_dir=project.root,
            app_command=project.embedded_app_command,
            database_service=project.database_service,
            app_service=project.app_service,
            app_health_path=project.app_health_path,
            database_port=settings.db_port,
            app_port=settings.app_port,
        )
    from ops.adapters.url_engine import UrlEngine

    if not settings.database_url:
        raise ConfigurationError(
            "OPS_ENGINE=url and no DATABASE_URL",
            cause="the url engine works on the database that DATABASE_URL names",
            hint="export DATABASE_URL=postgresql+psycopg://user:password@host:5432/name",
        )
    return UrlEngine(settings.database_url, base=project.root)
