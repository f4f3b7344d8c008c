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
EXACTLY = """\
take() {
  if dd iflag=fullblock,count_bytes count=0 status=none </dev/null 2>/dev/null; then
    dd bs=256K count="$1" iflag=fullblock,count_bytes status=none
  else
    head -c "$1"
  fi
}
"""
"""A function of the shell that copies so many bytes of its input.

It stops by itself, so that the input need not be half-closed, which TLS cannot. `head` would do everywhere, but takes
8 KiB at a time, which costs as much again as all the rest of the way.
"""

_NO_ROOM = 28
_TAKE = f"""\
{EXACTLY}
umask 077
for folder in /tmp /var/tmp; do
  room=$(df -Pk "$folder" 2>/dev/null | sed -n 2p | {{ read -r _ _ _ free _ && echo "$free"; }}) || continue
  if [ "$room" -gt $(($2 / 1024)) ]; then
    echo "$folder/$1"
    take "$2" >"$folder/$1" && exec sha256sum <"$folder/$1"
    exit
  fi
  echo "$folder has $((room * 1024)) bytes" >&2
done
exit {_NO_ROOM}
"""


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


def place(connection: Connection, container: str, path: Path, name: str, where: str, *, silence_s: float) -> str:
    """Copy a file into a container, readable for its root only; returns the path there.

    What arrived is hashed in the container and compared with what was read here.

    Args:
        connection: the engine.
        container: the container's id.
        path: the local file.
        name: the file's name in the container.
        where: the service, in error messages.
        silence_s: for how long the container may be paused.

    Raises: ArchiveUnwritable (no room, or it did not arrive whole), EngineUnreachable, DeadlinePassed.
    """
    size = path.stat().st_size
    said, errors = io.BytesIO(), io.BytesIO()
    with path.open("rb") as source:
        hashed = _Hashed(source)
        code = execute.run(
            connection,
            container,
            ["sh", "-c", _TAKE, "ops-place", name, str(size)],
            doing=f"place {path.name} in {where}",
            stdin=cast("IO[bytes]", hashed),
            stdout=said,
            stderr=errors,
            silence_s=silence_s,
        )
    complaint = "; ".join(errors.getvalue().decode(errors="replace").split("\n")).strip("; ")
    if code == _NO_ROOM:
        raise ArchiveUnwritable(
            f"no room for {size} bytes in the container of {where}",
            cause=complaint or "it has no /tmp",
            hint="docker system df",
        )
    inside, arrived, *_ = [*said.getvalue().decode(errors="replace").split(), "", ""]
    if code != 0 or arrived != hashed.digest():
        if inside:
            remove(connection, container, inside, where, silence_s=silence_s)
        raise ArchiveUnwritable(
            f"{path.name} did not arrive whole in the container of {where}",
            cause=complaint or f"sha256 {arrived or 'unknown'} there, {hashed.digest()} here",
            hint="docker system df",
        )
    return inside


def remove(connection: Connection, container: str, inside: str, where: str, *, silence_s: float) -> None:
    """Remove a placed file; harmless when repeated."""
    doing = f"remove {inside} in {where}"
    execute.run(connection, container, ["rm", "-f", inside], doing=doing, silence_s=silence_s)
