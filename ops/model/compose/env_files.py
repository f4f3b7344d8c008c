"""What is a service's environment once its env files are read?"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import TypeAlias

from ops.errors import ConfigurationError
from ops.model.compose.dotenv import parse_dotenv
from ops.model.compose.interpolation import Missing
from ops.model.compose.values import Tree, as_mapping, as_text

ReadText: TypeAlias = Callable[[str], "str | None"]
"""Gives the text of an absolute path, None where there is no such file."""


def with_env_files(form: Tree, variables: Mapping[str, str], read_text: ReadText, missing: list[Missing]) -> Tree:
    """A service's long form with its env files merged into `environment`, whose own values win.

    Raises: ConfigurationError (a required env file is not there, or cannot be understood).
    """
    files = form.get("env_file")
    if not isinstance(files, list):
        return form
    own = as_mapping(form.get("environment", {}), "")

    def lookup(name: str) -> str | None:
        found = variables.get(name, own.get(name))
        return None if found is None else str(found)

    # Compose starts from the service's own values, so that a file's later lines see them too.
    environment: dict[str, str] = {name: str(value) for name, value in own.items() if value is not None}
    for entry in files:
        path = as_text(as_mapping(entry, "")["path"], "")
        text = read_text(path)
        if text is None and as_mapping(entry, "")["required"]:
            raise ConfigurationError(
                f"the env file {path} does not exist", hint="create it, or write required: false beside its path"
            )
        source = posixpath.basename(path)
        environment = parse_dotenv(text or "", source=source, lookup=lookup, missing=missing, known=environment)
    merged: Tree = {key: value for key, value in form.items() if key != "env_file"}
    if both := {**environment, **own}:
        merged["environment"] = dict(both)
    return merged
