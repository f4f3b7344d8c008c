"""How do a program's streams and ours flow at the same time without blocking each other?

Input is sent by a thread of its own while the caller's thread receives: a program that answers while it is fed (`cat`)
would otherwise fill both directions and stop. Nothing is kept in memory but one block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from ops.adapters.docker.frames import STDERR, STDOUT, SYSTEM_ERROR, FrameReader, Receive, plain_blocks
from ops.adapters.docker.frozen import ASK_EVERY_S, patient
from ops.adapters.docker.two_way import TwoWay
from ops.errors import EngineUnreachable, OpsError

_SEND_BYTES = 1 << 18


def pump(
    stream: TwoWay,
    *,
    stdin: IO[bytes] | None,
    stdout: IO[bytes] | None,
    stderr: IO[bytes] | None,
    has_terminal: bool = False,
    keeps_on: Callable[[], bool] | None = None,
) -> None:
    """Carry the streams until the program has closed its output; closes `stream`.

    Args:
        stream: the connection of a started program.
        stdin: read to its end, which the program then sees; None where the program was given none.
        stdout, stderr: where its output goes; None drops it. What writing raises is raised here.
        has_terminal: whether the program has a terminal, so that its output is one unframed stream.
        keeps_on: asked about once a second while the program is silent; what it raises ends the program.

    Raises: EngineUnreachable, where the stream was cut; whatever reading `stdin` raised.
    """
    feeder = _Feeder(stream, stdin)
    try:
        feeder.start()
        receive: Receive = stream.receive
        if keeps_on is not None:
            stream.give_up_after(ASK_EVERY_S)
            receive = patient(receive, keeps_on)
        blocks = plain_blocks(receive) if has_terminal else FrameReader(receive)
        for number, block in blocks:
            if number == SYSTEM_ERROR:
                raise EngineUnreachable("the engine broke the stream off", cause=block.decode(errors="replace"))
            target = {STDOUT: stdout, STDERR: stderr}.get(number)
            if target is not None:
                target.write(block)
                target.flush()
    except OpsError:
        feeder.raise_trouble()
        raise
    finally:
        stream.close()
    feeder.raise_trouble()


class _Feeder:
    """Sends what a file holds; a thread that does not keep the process alive where the file never ends (a terminal)."""

    def __init__(self, stream: TwoWay, source: IO[bytes] | None) -> None:
        self._stream = stream
        self._source = source
        self._trouble: BaseException | None = None

    def start(self) -> None:
        if self._source is not None:
            threading.Thread(target=self._feed, name="feed stdin", daemon=True).start()

    def raise_trouble(self) -> None:
        if self._trouble is not None:
            raise self._trouble

    def _feed(self) -> None:
        try:
            # A program may end before it has read everything: that it no longer listens is no failure of ours.
            with suppress(EngineUnreachable):
                while block := _read_some(self._source):
                    self._stream.send(block)
                self._stream.end_input()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asked
            self._trouble = error
            self._stream.close()


def _read_some(source: Any) -> bytes:
    """What is there now, at least a byte; empty at the end. `read` alone would wait for a full block."""
    read = getattr(source, "read1", source.read)
    return bytes(read(_SEND_BYTES))
