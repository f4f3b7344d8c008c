"""How does a test cut the line between us and the engine?

A Unix socket that passes everything on to the engine until it is told to hang up.
"""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ops.adapters.docker.engine import DockerEngine

ENGINE = "/var/run/docker.sock"


LEAKS = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""docker-py 7.2 leaves the socket of a refused connection to the garbage collector: mark tests that cut the line."""


@contextmanager
def relayed_engine(folder: Path) -> Iterator[tuple[Relay, DockerEngine]]:
    """An engine behind a relay; what docker-py leaks is collected while the test's mark still counts."""
    relay = Relay(folder / "relay.sock")
    engine = DockerEngine(environment={"DOCKER_HOST": f"unix://{relay.path}"})
    try:
        yield relay, engine
    finally:
        engine.close()
        relay.close()
        gc.collect()


class Relay:
    """Relays connections; `after_bytes` counts what came from the engine on all of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.passed = 0
        self._cut_after: int | None = None
        self._is_cut = threading.Event()
        self._pairs: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._spawn(self._accept)

    def cut_after(self, count: int) -> None:
        """Hang up on everybody, for good, `count` bytes from now on."""
        self._cut_after = self.passed + count

    def cut(self) -> None:
        self._is_cut.set()
        for each in [self._listener, *self._pairs]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        for thread in self._threads:
            thread.join()
        for each in [self._listener, *self._pairs]:
            each.close()

    def _spawn(self, target, *arguments) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_cut.is_set():
            try:
                ours, _ = self._listener.accept()
            except OSError:
                return
            theirs = socket.socket(socket.AF_UNIX)
            theirs.connect(ENGINE)
            self._pairs += [ours, theirs]
            self._spawn(self._pass_on, ours, theirs, False)
            self._spawn(self._pass_on, theirs, ours, True)

    def _pass_on(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while block := source.recv(65536):
                if counts and self._cut_after is not None and self.passed + len(block) >= self._cut_after:
                    target.sendall(block[: max(self._cut_after - self.passed, 0)])
                    self.cut()
                    return
                if counts:
                    self.passed += len(block)
                target.sendall(block)
            target.shutdown(socket.SHUT_WR)
