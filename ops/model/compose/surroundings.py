"""What do a service's values depend on besides the compose file?"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Folders:
    """What relative paths and `~` mean: two absolute paths."""

    working_dir: str
    home: str

    def absolute(self, path: str) -> str:
        """A path of the host made absolute, from the compose file's folder."""
        if path.startswith("~"):
            path = posixpath.normpath(posixpath.join(self.home, path[1:].lstrip("/")))
        if path.startswith("/"):
            return path
        return posixpath.normpath(posixpath.join(self.working_dir, path))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service's values depend on besides the file: folders and variables."""

    folders: Folders
    variables: Mapping[str, str] = field(repr=False)
