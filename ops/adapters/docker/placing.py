"""How does a local file get into a container, whole or not at all, and out again?

It goes into the container's own /tmp, not on the volume of the data: what a killed run leaves there goes with the
container, is in no copy of the data, and cannot fill the disk that the write-ahead log needs. Where /tmp is too small
(a tmpfs), /var/tmp is taken.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import IO, cast

from ops.adapters.docker import execute
from ops.adapters.docker.client import Connection
from ops.errors import ArchiveUnwritable

PLACED = "/tmp/ops-place-* /var/tmp/ops-place-*"  # noqa: S108 - in a container these exist
_ROOM = """\
for folder in /tmp /var/tmp; do
  df -Pk "$folder" 2>/dev/null | sed -n 2p | { read -r _ _ _ free _ && echo "$folder $free"; }
done
"""
_TAKE = 'umask 077 && head -c "$2" >"$1" && sha256sum <"$1"'


class _Hashed(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self._hash.update(block)
        return block

    def digest(self) -> str:
        return self._hash.hexdigest()


def place(connection: Connection, container: str, path: Path, name: str, where: str) -> str:
    """Copy a file into a container, readable for its root only; returns the path there.

    What arrived is hashed in the container and compared with what was read here.

    Args:
        connection: the engine.
        container: the container's id.
        path: the local file.
        name: the file's name in the container.
        where: the service, in error messages.

    Raises: ArchiveUnwritable (no room, or it did not arrive whole), EngineUnreachable.
    """
    size = path.stat().st_size
    inside = f"{_folder_with_room(connection, container, size, where)}/{name}"
    said, errors = io.BytesIO(), io.BytesIO()
    with path.open("rb") as source:
        hashed = _Hashed(source)
        code = execute.run(
            connection,
            container,
            # `head` stops by itself, so that the input need not be half-closed, which TLS cannot.
            ["sh", "-c", _TAKE, "ops-place", inside, str(size)],
            doing=f"place {path.name} in {where}",
            stdin=cast("IO[bytes]", hashed),
            stdout=said,
            stderr=errors,
        )
    arrived = said.getvalue().decode(errors="replace").split()[:1]
    if code != 0 or arrived != [hashed.digest()]:
        remove(connection, container, inside, where)
        complaint = errors.getvalue().decode(errors="replace").strip()
        raise ArchiveUnwritable(
            f"{path.name} did not arrive whole in the container of {where}",
            cause=complaint or f"sha256 {' '.join(arrived) or 'unknown'} there, {hashed.digest()} here",
            hint="docker system df",
        )
    return inside


def remove(connection: Connection, container: str, inside: str, where: str) -> None:
    """Remove a placed file; harmless when repeated."""
    execute.run(connection, container, ["rm", "-f", inside], doing=f"remove {inside} in {where}")


def _folder_with_room(connection: Connection, container: str, size: int, where: str) -> str:
    said = io.BytesIO()
    execute.run(connection, container, ["sh", "-c", _ROOM], doing=f"ask {where} for room", stdout=said)
    free = {}
    for line in said.getvalue().decode(errors="replace").splitlines():
        folder, kibibytes = line.split()
        free[folder] = int(kibibytes) * 1024
        if free[folder] > size:
            return folder
    raise ArchiveUnwritable(
        f"no room for {size} bytes in the container of {where}",
        cause=", ".join(f"{folder} has {room} bytes" for folder, room in free.items()) or "it has no /tmp",
        hint="docker system df",
    )
