"""Is a port of this machine free to be published, and if not, who has it?

Only for an engine on this machine. A bind that fails is the proof; the owner is found in the engine's list of
containers or, on Linux, in /proc.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LISTENS = "0A"
_FAMILIES = {socket.AF_INET: ("0.0.0.0", "tcp"), socket.AF_INET6: ("::", "tcp6")}  # noqa: S104 - what Docker binds


def is_taken(host_ip: str | None, port: int, protocol: str) -> bool:
    """Whether the engine could not bind the port now; what we may not try ourselves counts as free."""
    addresses = [host_ip] if host_ip else [address for address, _ in _FAMILIES.values()]
    return any(_refuses(address, port, protocol) for address in addresses)


def _refuses(address: str, port: int, protocol: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}.get(protocol)
    if kind is None:
        return False
    try:
        with socket.socket(family, kind) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                # A connection that was closed a moment ago is no obstacle for a listener.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def owner(port: int) -> str:
    """The program that listens on a TCP port, as `name (pid 123)`; a plain phrase where it cannot be seen."""
    inodes = set(_listening_inodes(port))
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return "another program"


def _listening_inodes(port: int) -> Iterator[str]:
    wanted = f":{port:04X}"
    for _, table in _FAMILIES.values():
        with suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if local.endswith(wanted) and state == _LISTENS:
                    yield f"socket:[{rest[5]}]"
