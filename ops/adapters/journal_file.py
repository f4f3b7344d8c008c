"""Where is the journal of changes, and how does a line survive a power cut?

One JSON object a line. A line is appended in one write and flushed to the disk before `append` returns. A run
that was cut off while writing leaves a torn line: it is ended before the next one and left out when reading.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from ops.errors import ConfigurationError
from ops.model.change import Change, from_json, to_json


class JournalFile:
    """The `Journal` port in one file (0600, its folder 0700), made at the first append."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, change: Change) -> None:
        """Write one line and flush it to disk; several processes may do so at once.

        Raises: ConfigurationError where the file cannot be written.
        """
        line = json.dumps(to_json(change), ensure_ascii=False, sort_keys=True).encode() + b"\n"
        try:
            is_new = not self._path.exists()
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.fchmod(descriptor, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                _write_all(descriptor, (b"\n" if _is_torn(descriptor) else b"") + line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if is_new:
                _flush_folder(self._path.parent)
        except OSError as exc:
            raise ConfigurationError(
                f"the journal {self._path} cannot be written", cause=exc.strerror, hint=f"ls -l {self._path}"
            ) from exc

    def changes(self) -> tuple[Change, ...]:
        """All lines, oldest first; torn lines are left out. Raises: ConfigurationError (unreadable file)."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise ConfigurationError(
                f"the journal {self._path} cannot be read", cause=exc.strerror, hint=f"ls -l {self._path}"
            ) from exc
        return tuple(change for line in lines if (change := _read(line)) is not None)


def _read(line: bytes) -> Change | None:
    try:
        return from_json(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_torn(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
