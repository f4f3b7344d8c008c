"""What answers `/health`, `/metrics` and the status page?

A process of its own, forked when the scheduler starts, which reads the state from disk. So it tells the truth about
a loop that stands still, cannot slow a backup down, and leaves the scheduler with one thread (it forks its jobs).
It ends with the scheduler: a dead man's pipe tells it so. Nothing can be changed through it.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import socketserver
import sys
import threading
from collections.abc import Callable, Iterable
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from ops.adapters.status_page.app import status_app
from ops.errors import PortTaken
from ops.model.scheduler_status import SchedulerStatus

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

LOOPBACK = "127.0.0.1"
CLIENT_TIMEOUT_S = 10.0
_FORK = multiprocessing.get_context("fork")


class StatusServer:
    """The process that answers. The port is bound here, so that a taken one is known at once.

    Args:
        snapshot: called in the new process.
        port: 0 lets the system choose.
        host: loopback unless the process has a network of its own (a container's).

    Raises: PortTaken.
    """

    def __init__(self, snapshot: Callable[[], SchedulerStatus], port: int, host: str = LOOPBACK) -> None:
        self._snapshot = snapshot
        self._host = host
        self.port = port
        self._process: BaseProcess | None = None
        self._life = -1

    def start(self) -> None:
        """Bind and fork. Raises: PortTaken."""
        server = _bound(status_app(self._snapshot), self.port, self._host)
        self.port = server.server_port
        life, self._life = os.pipe()
        self._process = _FORK.Process(target=_serve, args=(server, life, self._life), daemon=True, name="status")
        try:
            self._process.start()
        finally:
            # Only the child keeps the socket: a job forked later must not hold the port.
            server.socket.close()
            os.close(life)

    def is_alive(self) -> bool:
        """Whether the process answers still."""
        return self._process is not None and self._process.is_alive()

    def revive(self) -> bool:
        """Start it again if it died; returns whether that was so. Raises: PortTaken."""
        if self._process is None or self._process.is_alive():
            return False
        self.stop()
        self.start()
        return True

    def stop(self) -> None:
        """End the process; harmless when it is not running."""
        if self._process is not None:
            os.close(self._life)
            self._process.terminate()
            self._process.join(2.0)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._process.close()
            self._process = None


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        # HTTPServer's own asks the resolver for our name, which can take seconds without a network.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no event."""


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_TIMEOUT_S
    server_version = "ops"
    sys_version = ""

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: a health check comes every few seconds."""

    def get_stderr(self) -> object:  # type: ignore[override]
        return sys.stderr


def _bound(app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]], port: int, host: str) -> _Server:
    ServerHandler.server_software = "ops"
    try:
        server = _Server((host, port), _Handler)
    except OSError as exc:
        raise PortTaken(
            f"the status page cannot listen on {host}:{port}",
            cause=exc.strerror or str(exc),
            hint="choose another port: OPS_STATUS_PORT=9180 inv scheduler",
        ) from exc
    server.set_app(app)
    return server


def _serve(server: _Server, life: int, foreign: int) -> None:
    os.close(foreign)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    threading.Thread(target=_end_with_the_scheduler, args=(life,), daemon=True, name="dead-man").start()
    server.serve_forever(poll_interval=5.0)


def _end_with_the_scheduler(life: int) -> None:
    select.select([life], [], [])
    os._exit(0)
