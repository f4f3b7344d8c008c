"""Is a server slow, or does it not answer at all?

A query may take hours, and the socket to a server that is frozen - a paused container, a stopped process - neither
errors nor ends: the kernel beneath it still acknowledges every byte, so keepalives see nothing either. So while one of
our sessions waits, the very server it waits for is asked on a line of its own for the smallest answer there is: whether
it speaks TLS, which needs neither login nor lock. One that gives none for so long is given up, and the session's line
is broken.

Source: PostgreSQL manual, "Message Formats", SSLRequest.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

ASK_S = 5.0
"""How long one question waits for its answer."""
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_MOST_OFTEN_S, _LEAST_OFTEN_S = 0.2, 30.0
_PARTING_S = 0.2


class ServerSilent(psycopg.OperationalError):
    """The server was given up: it answered nothing for too long."""


class Watcher:
    """Asks whether somebody who keeps us waiting still answers, in a thread of its own until `stop`.

    Args:
        answers: asks once.
        give_up: called once, where it was silent for too long.
        limit_s: how long that is. A process of ours that was stopped for hours (Ctrl-Z) has not seen hours of silence.
    """

    def __init__(self, answers: Callable[[], bool], give_up: Callable[[], None], limit_s: float) -> None:
        self.limit_s = limit_s
        self.has_given_up = False
        self._answers, self._give_up = answers, give_up
        self._every_s = min(max(limit_s / 10, _MOST_OFTEN_S), _LEAST_OFTEN_S)
        self._is_waiting = False
        self._wait = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch a server", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """From now on we wait."""
        self._wait += 1
        self._is_waiting = True

    def end(self) -> None:
        """The wait is over."""
        self._is_waiting = False

    def stop(self) -> None:
        """Watch no more; a question that is being asked is not waited for."""
        self._is_over.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_PARTING_S)

    def _watch(self) -> None:
        silent_s, seen, looked_at = 0.0, self._wait, time.monotonic()
        while not self._is_over.wait(self._every_s):
            is_same, seen = self._is_waiting and seen == self._wait, self._wait
            silent_s = self._silence(silent_s, looked_at) if is_same and not self._answers() else 0.0
            looked_at = time.monotonic()
            if silent_s >= self.limit_s and self._is_waiting and seen == self._wait:
                self.has_given_up = True
                self._give_up()
                return

    def _silence(self, silent_s: float, looked_at: float) -> float:
        return silent_s + min(time.monotonic() - looked_at, self._every_s + ASK_S)


class WatchedSession(psycopg.Connection[Any]):
    """A session that waits for a slow server as long as it takes, and not for one that does not answer at all."""

    watcher: Watcher | None = None

    def watch(self, limit_s: float) -> None:
        """From now on give the server up where it is silent for so long while we wait for it."""
        answers, me = peer_of(self), weakref.ref(self)

        def give_up() -> None:
            session = me()
            if session is not None:
                break_line(session)

        self.watcher = Watcher(answers, give_up, limit_s)
        weakref.finalize(self, self.watcher.stop)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Watch a block that waits for the server. Raises: ServerSilent."""
        watcher = self.watcher
        if watcher is None:
            yield
            return
        watcher.begin()
        try:
            yield
        except psycopg.Error as exc:
            if watcher.has_given_up:
                raise ServerSilent(f"the server answered nothing for {watcher.limit_s:g} s") from exc
            raise
        finally:
            watcher.end()

    def wait(self, *args: Any, **kwargs: Any) -> Any:
        """As psycopg's, watched. Raises: ServerSilent."""
        with self.waiting():
            return super().wait(*args, **kwargs)

    def receive(self, stream: socket.socket, size: int) -> bytes:
        """Read from a stream of this session's own line, under the same watch. Raises: ServerSilent."""
        with self.waiting():
            block = stream.recv(size)
            if not block:  # broken by the watch, or by the server
                raise psycopg.OperationalError("the server closed the connection")
            return block

    def close(self) -> None:
        """As psycopg's, and the watch is over."""
        self._watch_no_more()
        super().close()

    def __exit__(self, *trouble: object) -> None:
        """As psycopg's, which does not close what is broken."""
        try:
            super().__exit__(*trouble)  # type: ignore[arg-type]
        finally:
            self._watch_no_more()

    def _watch_no_more(self) -> None:
        if self.watcher is not None:
            self.watcher.stop()


def peer_of(session: psycopg.Connection[Any]) -> Callable[[], bool]:
    """A question whether the server of an open session answers at all.

    Something before it that hangs up on such a question, as what takes nothing but TLS does, is no silence; unless it
    answered one before. Raises: psycopg.OperationalError, where the session broke already.
    """
    family, address = _other_end(session)
    has_answered = False

    def answers() -> bool:
        nonlocal has_answered
        said = _said_at(family, address)
        has_answered = has_answered or bool(said)
        return bool(said) if has_answered else said is not None

    return answers


def _other_end(session: psycopg.Connection[Any]) -> tuple[int, Any]:
    with socket.socket(fileno=session.fileno()) as line:
        try:
            return line.family, line.getpeername()
        except OSError as exc:
            raise psycopg.OperationalError("the server closed the connection at once") from exc
        finally:
            line.detach()


def _said_at(family: int, address: Any) -> bytes | None:
    """The first byte of an answer, nothing where somebody hung up, and None where nobody is there."""
    with socket.socket(family) as asking:
        asking.settimeout(ASK_S)
        try:
            asking.connect(address)
            asking.sendall(_SSL_REQUEST)
            return asking.recv(1)
        except ConnectionResetError:
            return b""
        except OSError:
            return None


@contextmanager
def server_watched(session: psycopg.Connection[Any], limit_s: float) -> Iterator[Callable[[], bool]]:
    """For a program that works with the server of a session: gives `keeps_on`, whether that server still answers."""
    watcher = Watcher(peer_of(session), lambda: None, limit_s)
    watcher.begin()
    try:
        yield lambda: not watcher.has_given_up
    finally:
        watcher.stop()


def break_line(session: psycopg.Connection[Any]) -> None:
    """Break a session's socket, from any thread: whoever waits for the server there gets an error at once.

    A server that is paused would keep that thread for ever, and closing the session would wait for it.
    """
    with suppress(OSError, psycopg.Error), socket.socket(fileno=session.fileno()) as line:
        try:
            line.shutdown(socket.SHUT_RDWR)
        finally:
            line.detach()


@contextmanager
def broken_after(session: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Break the session's line should the block take longer; the block then gets psycopg's error for that."""
    timer = threading.Timer(seconds, break_line, [session])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
