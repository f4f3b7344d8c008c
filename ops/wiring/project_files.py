"""In which folder is the project, and what does its env file say?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ops.model.compose.dotenv import parse_dotenv


def project_root(start: Path) -> Path:
    """The folder that Invoke takes its tasks from: the first at or above `start` with a tasks.py, else `start`."""
    return next((folder for folder in (start, *start.parents) if (folder / "tasks.py").is_file()), start)


def read_env_file(path: Path, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Its variables, filled in from the environment; none where there is no file. Raises: ConfigurationError."""
    if not path.is_file():
        return {}
    return parse_dotenv(path.read_text("utf-8"), source=path.name, lookup=environment.get, missing=[])
