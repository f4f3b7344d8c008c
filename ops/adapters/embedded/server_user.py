"""As whom does the server run, when we are root and PostgreSQL refuses root?

As the owner of the project's folder where that is not root, else as `nobody`; data that exists keeps its owner. That
user must be able to execute the programs and to reach the data, through folders that may be closed to it (`/root`, a
0700 checkout) and that are not ours to open up. So it is *tried*, with the least that works:

1. no privilege at all;
2. CAP_DAC_READ_SEARCH: reads and passes everything, writes nothing that it does not own;
3. CAP_DAC_OVERRIDE: only where 2 cannot be had, as in a container, whose root has lost it.

Not chosen: a user namespace (root under another number still writes root's files, and containers forbid it), copies
(the data itself would have to move), a mount namespace (containers forbid it).
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ops.adapters.embedded.as_user import command
from ops.adapters.embedded.programs import Programs
from ops.errors import ConfigurationError

_DAC_OVERRIDE = 1
_DAC_READ_SEARCH = 2


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Who the server's programs run as; `uid` None is ourselves."""

    uid: int | None = None
    gid: int | None = None
    capability: int | None = None

    def command(self, *, death_signal: int = 0) -> tuple[str, ...]:
        """The arguments that stand before a program's absolute path."""
        return command(self.uid, self.gid, capability=self.capability, death_signal=death_signal)

    def own(self, path: Path) -> None:
        """Hand one file or folder of ours over."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def server_user(programs: Programs, volume: Path, *, project: Path) -> ServerUser:
    """Find the user for a volume.

    Args:
        programs: what it must be able to execute.
        volume: folder of the volume, which exists; its `data` folder may not yet.
        project: folder whose owner is taken where that is not root.

    Raises:
        ConfigurationError: the data belongs to somebody else, or no user can reach it.
    """
    data = volume / "data"
    if os.geteuid() != 0:
        _refuse_foreign(data)
        return ServerUser()
    uid, gid = _unprivileged(data if data.exists() else project)
    for capability in (None, _DAC_READ_SEARCH, _DAC_OVERRIDE):
        user = ServerUser(uid, gid, capability)
        if _can_reach(user, programs, volume):
            return user
    raise ConfigurationError(
        f"PostgreSQL refuses to run as root, and user {uid} can reach {programs.folder} or {volume} by no means",
        cause="a folder above is closed to it, and the capability that would pass it is not to be had here",
        hint="run inv up as a user who is not root, or: export OPS_STATE_DIR=/var/lib/ops",
    )


def _refuse_foreign(data: Path) -> None:
    if data.exists() and data.stat().st_uid != os.geteuid():
        owner = data.stat().st_uid
        raise ConfigurationError(
            f"the data folder {data} belongs to user {owner}, and we are user {os.geteuid()}",
            cause="the stack was first started by another user" if owner else "the stack was first started by root",
            hint="sudo .venv/bin/inv up",
        )


def _unprivileged(owned: Path) -> tuple[int, int]:
    there = owned.stat()
    if there.st_uid != 0 and (owned.name == "data" or _has_name(there.st_uid)):
        return there.st_uid, there.st_gid
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _has_name(uid: int) -> bool:
    """Without one initdb refuses; a checkout mounted into a container may belong to such a user."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _can_reach(user: ServerUser, programs: Programs, volume: Path) -> bool:
    """Whether that user can run the server's program and read what stands beside it, and pass down to the volume."""
    postgres = programs.path("postgres")
    share = programs.folder.parent / "share"
    trial = 'test -x "$1" && test -r "$2" && "$3" --version'
    told = subprocess.run(
        [*user.command(), "/bin/sh", "-c", trial, "sh", volume, share if share.is_dir() else "/", postgres],
        capture_output=True,
        check=False,
        cwd="/",
        timeout=30,
    )
    return told.returncode == 0
