"""What must never be printed, and where do errors and events go that are masked so?"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from ops.errors import OpsError
from ops.log import Log
from ops.model.secret import Secret
from ops.wiring.project_files import project_root, read_env_file

SECRET_WORDS = ("PASSWORD", "SECRET", "TOKEN", "_KEY", "DATABASE_URL", "OPS_NOTIFY_URLS", "OPS_PING_URL")
"""A variable with one of these in its name is masked wherever it would be printed."""


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret."""
    return any(word in name.upper() for word in SECRET_WORDS)


def without_password(text: str) -> str:
    """A URL with its password masked; any other text as it is."""
    return re.sub(r"(://[^:/@\s]+:)[^@\s]+@", r"\1***@", text)


def secrets_of(variables: Mapping[str, str]) -> list[Secret]:
    """The values among the variables that must not be printed, passwords inside of URLs included."""
    found = [Secret(value) for name, value in variables.items() if is_secret_name(name)]
    return found + [
        Secret(one[1]) for value in variables.values() if (one := re.search(r"://[^:/@\s]+:([^@\s]+)@", value))
    ]


def open_log(variables: Mapping[str, str] | None = None) -> Log:
    """The log of this process on stderr; text on a terminal, JSON lines elsewhere where OPS_LOG_FORMAT asks for it."""
    known = os.environ if variables is None else variables
    return Log(sys.stderr, is_json=known.get("OPS_LOG_FORMAT", "") == "json", secrets=secrets_of(known))


def open_error_log() -> Log:
    """The log for what ended a task: it masks the secrets of the process and of every env file here.

    Reading the settings properly may be just what failed.
    """
    secrets = secrets_of(os.environ)
    for path in project_root(Path.cwd()).glob(".env*"):
        with contextlib.suppress(OpsError, OSError, UnicodeDecodeError):
            secrets += secrets_of(read_env_file(path, os.environ))
    return Log(sys.stderr, is_json=os.environ.get("OPS_LOG_FORMAT", "") == "json", secrets=secrets)
