"""Is a TCP port of this machine free, and if not, whose is it?"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ops.errors import PortTaken

_LISTEN = "0A"
_SEARCHED = 200


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether we could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def next_free(first: int) -> int:
    """The first free port from `first` on. Raises: PortTaken (none among the next 200)."""
    for port in range(first, min(first + _SEARCHED, 65536)):
        if is_free(port):
            return port
    raise PortTaken(f"no free port from {first} to {first + _SEARCHED - 1}", hint="export DB_PORT=PORT, a free one")


def owner(port: int) -> str:
    """Who listens on a port, for people: `nginx (pid 4711)`; where it cannot be told, `another process`.

    The name only: a command line may hold secrets. Source: proc(5), `/proc/net/tcp`.
    """
    inodes = set(_listening_inodes(port))
    for folder in Path("/proc").glob("[0-9]*") if inodes else ():
        with suppress(OSError):
            for descriptor in (folder / "fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) in inodes:
                        return f"{(folder / 'comm').read_text().strip()} (pid {folder.name})"
    return "another process"


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{fields[9]}]"
