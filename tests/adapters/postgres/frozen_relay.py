"""How does a test freeze a server that others use too? It freezes the way to it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from ops.model.endpoint import PostgresEndpoint


class Relay:
    """A way to the server that can be frozen: what is sent then is taken and goes nowhere, as if it were paused.

    What it `hangs_up_on` it does not pass on: it closes that line.
    """

    hangs_up_on = b""

    def __init__(self, endpoint: PostgresEndpoint) -> None:
        self._server = (endpoint.host, endpoint.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._flows = threading.Event()
        self._flows.set()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def freeze(self) -> None:
        self._flows.clear()

    def refuse(self) -> None:
        """Take no further line; those that are open stay."""
        self._listener.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._flows.set()
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(self._server)
                self._open += [ours, theirs]
                for source, target in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while (block := source.recv(65536)) and block != self.hangs_up_on:
                self._flows.wait()
                target.sendall(block)
            target.shutdown(socket.SHUT_WR)
