"""How do we speak with a running program in both directions over one connection of the SDK?

The engine answers an exec or attach with "101 switching protocols" and then the connection is ours. The SDK hands out
the socket beneath a buffered reader that has read the answer's headers and may have taken the first output with them;
those bytes are fetched first, so none is lost.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
from contextlib import suppress
from typing import Any

from ops.adapters.docker import raw
from ops.adapters.docker.client import Client
from ops.adapters.docker.errors import translated
from ops.errors import DeadlinePassed, Refused

_GATHER_S = 0.02
"""How long a block may wait for more: at the speed of a dump about as long as a megabyte takes to come."""


class TwoWay:
    """A connection that was handed over: send, receive, end the input, close.

    One thread may send while another receives. `close` from any thread ends a blocked `receive`.

    Args:
        response: the SDK's answer, kept because its end would close a TLS socket.
        doing: what it is for, in error messages.
    """

    def __init__(self, response: Any, doing: str) -> None:
        self._response = response
        self._doing = doing
        self._reader = raw.buffered_reader(response)
        self._socket: socket.socket = raw.socket_of(self._reader)
        self._idle_s: float | None = None
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._early = self._take_buffered()

    def _take_buffered(self) -> bytes:
        self._socket.setblocking(False)
        try:
            waiting = self._reader.peek()
            return bytes(self._reader.read(len(waiting))) if waiting else b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return b""
        finally:
            self._socket.settimeout(None)

    def give_up_after(self, idle_s: float | None) -> None:
        """Let `receive` raise DeadlinePassed after so many seconds without a byte; None waits for ever."""
        self._idle_s = idle_s  # not the socket's own timeout, which would hold for sending too

    def receive(self, buffer: memoryview) -> int:
        """Fill the front of `buffer`; 0 at the end. Raises: EngineUnreachable, DeadlinePassed."""
        if self._early:
            part, self._early = self._early[: len(buffer)], self._early[len(buffer) :]
            buffer[: len(part)] = part
            return len(part)
        with translated(self._doing):
            if self._idle_s is not None and not self._comes_within(self._idle_s):
                raise DeadlinePassed(f"gave up trying to {self._doing}", cause=f"no byte came for {self._idle_s:g} s")
            return self._socket.recv_into(buffer)

    def _comes_within(self, seconds: float) -> bool:
        """Whether there is something to read, or an end or error that reading will tell."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        return bool(self._poll.poll(seconds * 1000))

    def receive_much(self, buffer: memoryview) -> int:
        """As `receive`, but once something is there wait a moment for more, in one call of the kernel.

        An engine hands a program's output on in pieces of 4 to 32 KiB; asking for each cost us more than hashing it.
        """
        count = self.receive(buffer)
        if not 0 < count < len(buffer) or isinstance(self._socket, ssl.SSLSocket):
            return count
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, int(_GATHER_S * 1e6)))
        try:
            with translated(self._doing), suppress(BlockingIOError):
                count += self._socket.recv_into(buffer[count:], 0, socket.MSG_WAITALL)
        finally:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
        return count

    def send(self, block: bytes | memoryview) -> None:
        """Send all of `block`. Raises: EngineUnreachable."""
        with translated(self._doing):
            self._socket.sendall(block)

    def end_input(self) -> None:
        """Tell the program that its stdin is at its end, and keep reading its output.

        Raises: Refused over TLS, which Python cannot half-close.
        """
        if isinstance(self._socket, ssl.SSLSocket):
            raise Refused(
                f"cannot {self._doing} with input over TLS",
                cause="a TLS connection cannot be closed in one direction",
                hint="DOCKER_HOST=ssh://... or a tunnelled Unix socket",
            )
        with translated(self._doing):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close in both directions; harmless when repeated."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._response.close()


def start_exec(client: Client, exec_id: str, *, tty: bool, doing: str) -> TwoWay:
    """Start an exec that was created and take its connection over."""
    with translated(doing):
        return TwoWay(raw.post_and_keep(client, f"/exec/{exec_id}/start", {"Tty": tty, "Detach": False}), doing)


def attach(client: Client, container_id: str, *, with_stdin: bool, doing: str) -> TwoWay:
    """Attach to a container's streams from now on."""
    query = {"stream": "1", "stdout": "1", "stderr": "1", "stdin": str(int(with_stdin))}
    with translated(doing):
        return TwoWay(raw.post_and_keep(client, f"/containers/{container_id}/attach", None, query), doing)
