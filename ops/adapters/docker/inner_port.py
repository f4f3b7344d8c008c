"""How does this process reach a port of a container that has no network?

A listener on loopback here; each session that is opened to it becomes an exec in the container, whose shell connects to
the port on the container's own loopback and carries the bytes. So the container needs no network, and it works the same
with an engine on another machine. Whoever listens in the container must ask for a password: every process of this
machine can connect to the listener, and to the server they all come from its own loopback.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ops.adapters.docker import execute
from ops.adapters.docker.client import Connection
from ops.adapters.docker.frames import STDOUT, FrameReader
from ops.adapters.docker.two_way import TwoWay
from ops.errors import OpsError

_CARRY = 'exec 3<>"/dev/tcp/127.0.0.1/$1" || exit; (cat <&3; kill "$$") & exec cat >&3'
"""bash opens the port by itself: images that hold a server hold no other program for it. What the server closes ends
both directions."""
_BLOCK_BYTES = 1 << 16
_LOOK_S = 0.2
_CLOSING_S = 10.0


@contextmanager
def inner_port(connection: Connection, container: str, port: int) -> Iterator[tuple[str, int]]:
    """Give the host and port here that lead to a port inside of a container, for as long as the context lasts.

    Args:
        connection: the engine.
        container: a running container with bash.
        port: where something listens on the container's loopback, now or later; until then sessions are closed at once.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = _Line(connection, container, port, listener)
        line.start()
        try:
            host, chosen = listener.getsockname()
            yield str(host), int(chosen)
        finally:
            line.stop()


class _Line(threading.Thread):
    """Takes sessions, one thread each way for every one of them; the engine is asked by this thread alone."""

    def __init__(self, connection: Connection, container: str, port: int, listener: socket.socket) -> None:
        super().__init__(name="inner port", daemon=True)
        self._connection, self._container, self._port = connection, container, port
        self._listener = listener
        self._open: list[tuple[socket.socket, TwoWay]] = []
        self._is_over = threading.Event()

    def run(self) -> None:
        self._listener.settimeout(_LOOK_S)
        while not self._is_over.is_set():
            try:
                session, _ = self._listener.accept()
            except TimeoutError:
                continue
            session.settimeout(None)
            try:
                stream = self._carried()
            except OpsError:  # the container is gone: whoever connects sees a session that ends
                session.close()
                continue
            self._open = [(one, other) for one, other in self._open if one.fileno() >= 0]
            self._open.append((session, stream))
            for way in (_inwards, _outwards):
                threading.Thread(target=way, args=(session, stream), daemon=True).start()

    def stop(self) -> None:
        """Take no more sessions, and end those that are still open."""
        self._is_over.set()
        self.join(_CLOSING_S)
        for session, stream in self._open:
            _end(session)
            stream.close()

    def _carried(self) -> TwoWay:
        doing = f"reach port {self._port} of a container"
        argv = ["bash", "-c", _CARRY, "ops-inner-port", str(self._port)]
        made = execute.create(self._connection, self._container, argv, doing=doing, with_stdin=True)
        return execute.connect(self._connection, made, doing)


def _inwards(session: socket.socket, stream: TwoWay) -> None:
    with suppress(OpsError, OSError):
        while block := session.recv(_BLOCK_BYTES):
            stream.send(block)
    stream.close()


def _outwards(session: socket.socket, stream: TwoWay) -> None:
    with suppress(OpsError, OSError, ValueError):
        for number, block in FrameReader(stream.receive):
            if number == STDOUT:
                session.sendall(block)
    _end(session)


def _end(session: socket.socket) -> None:
    """Both directions: the other thread's `recv` sees the end."""
    with suppress(OSError):
        session.shutdown(socket.SHUT_RDWR)
    session.close()
