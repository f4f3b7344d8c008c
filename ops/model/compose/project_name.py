"""What is a project called?

Source: runtime.md 2.1: the name asked for, `COMPOSE_PROJECT_NAME` (environment, then `.env`), the file's `name:`,
the folder's name. The first two must be valid as they are, the others are made so.
"""

from __future__ import annotations

import re

from ops.errors import ConfigurationError

_VALID = re.compile(r"[a-z0-9][a-z0-9_-]*\Z", re.ASCII)
_OTHER = re.compile(r"[^a-z0-9_-]", re.ASCII)


def normalised_name(text: str) -> str:
    """A text made into a project name: `My App` becomes `myapp`, `_x` becomes `x`; may be empty."""
    return _OTHER.sub("", text.lower()).lstrip("_-")


def choose_project_name(*, asked: str | None, from_environment: str | None, in_file: str | None, folder: str) -> str:
    """The project's name.

    Args:
        asked: the caller's own choice, None without one.
        from_environment: `COMPOSE_PROJECT_NAME`, where empty counts as unset.
        in_file: top-level `name:`, interpolated; None without one.
        folder: the last part of the compose file's folder.

    Raises: ConfigurationError for a name that is not valid, or where nothing is left of the one that is made.
    """
    for name, origin in ((asked, "the project name"), (from_environment or None, "COMPOSE_PROJECT_NAME")):
        if name is None:
            continue
        if not _VALID.match(name):
            raise ConfigurationError(
                f"{origin} {name!r} is not valid",
                cause="it must consist of a-z, 0-9, - and _ and begin with a letter or digit",
                hint=f"use {normalised_name(name) or 'another name'}",
            )
        return name
    source = folder if in_file is None else in_file
    if name := normalised_name(source):
        return name
    raise ConfigurationError(
        f"no project name can be made of {'the folder' if in_file is None else 'name:'} {source!r}",
        cause="a name consists of a-z, 0-9, - and _",
        hint="set name: in the compose file",
    )
