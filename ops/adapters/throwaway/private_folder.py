"""Where does a throwaway database lie on this disk, and who removes it when its drill was killed?

Each drill has a folder of its own, locked (flock) for as long as its process lives: whoever gets the lock of a folder
knows that nobody uses it any more. A server that still runs on one is ended first.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ops.adapters.embedded.process_mark import wait_until
from ops.errors import ConfigurationError

DATA = Path("volume") / "data"
"""Where the server's data lies in a folder."""
_PREFIX = "drill-"
_NEW = ".new-"
_PASSABLE = 0o711
_NEW_AGE_S = 60.0
_ENDING_S = 15.0


class PrivateFolders:
    """Folders of drills below `root`, which is made when the first one is needed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def make(self) -> Iterator[Path]:
        """A new folder that the server's user can pass through; gone with all in it afterwards.

        Raises: ConfigurationError (cannot be made).
        """
        folder, descriptor = self._made()
        try:
            yield folder
        finally:
            end_server(folder)
            _remove(folder)
            os.close(descriptor)

    def clean(self) -> tuple[str, ...]:
        """Remove the folders of drills that were killed, and end their servers; returns what was found."""
        for unfinished in self._root.glob(f"{_NEW}*"):
            with suppress(OSError):
                if time.time() - unfinished.stat().st_mtime > _NEW_AGE_S:
                    unfinished.rmdir()
        return tuple(f"the drill folder {path.name}" for path in sorted(self._root.glob(f"{_PREFIX}*")) if _claim(path))

    def _made(self) -> tuple[Path, int]:
        """Locked before it gets the name that `clean` looks for."""
        token = secrets.token_hex(6)
        new, final = self._root / f"{_NEW}{token}", self._root / f"{_PREFIX}{token}"
        try:
            self._root.mkdir(mode=_PASSABLE, parents=True, exist_ok=True)
            new.mkdir(mode=_PASSABLE)
            new.chmod(_PASSABLE)
            descriptor = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            raise ConfigurationError(
                f"no folder for a drill can be made in {self._root}",
                cause=exc.strerror,
                hint="export OPS_STATE_DIR=FOLDER",
            ) from exc
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        new.rename(final)
        return final, descriptor


def end_server(folder: Path) -> None:
    """End a server that runs on the folder's data at once; there is nothing in it to be kept. Harmless twice."""
    data = folder / DATA
    pid = _postmaster(data)
    for number in (signal.SIGQUIT, signal.SIGKILL):
        if pid is None or not _serves(pid, data):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        wait_until(lambda: not _serves(pid, data), _ENDING_S)


def _claim(folder: Path) -> bool:
    """Remove a folder whose drill is gone; False where it lives."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        end_server(folder)
        _remove(folder)
        return True
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    """The last processes of a server may write a moment longer than it lives."""

    def is_gone() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    wait_until(is_gone, _ENDING_S)


def _postmaster(data: Path) -> int | None:
    """What the server's own pid file says. Source: PostgreSQL, "Database File Layout", postmaster.pid, first line."""
    with suppress(OSError, ValueError, IndexError):
        return abs(int((data / "postmaster.pid").read_text().splitlines()[0]))
    return None


def _serves(pid: int, data: Path) -> bool:
    """Whether that process is the server of this data: the folder's name is unique, so its arguments tell."""
    file = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            return str(data).encode() in file.read_bytes()
        except OSError:
            return False
    told = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return str(data) in told.stdout
