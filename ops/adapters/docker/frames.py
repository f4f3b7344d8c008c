"""How are stdout and stderr told apart in an engine's stream, and how is a cut stream told from its end?

Without a terminal the engine sends frames: one byte for the stream, three zero bytes, the payload's length as 32 bits
big-endian, the payload. Only the end of the connection *between* two frames is an end; anything else raises. (docker-py
takes a short frame, and even a network error, for a normal end.)

Source: Docker Engine API, "Attach to a container", stream format.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from ops.errors import EngineUnreachable

STDIN, STDOUT, STDERR, SYSTEM_ERROR = 0, 1, 2, 3
BLOCK_BYTES = 1 << 20
"""Large reads matter: the engine's frames are 32 KiB, a Unix socket holds several of them."""

_HEADER = struct.Struct(">B3xL")
_ZEROES = b"\0\0\0"

Receive = Callable[[memoryview], int]
"""Fills the front of a buffer and returns how many bytes; 0 at the end of the connection."""


class FrameReader:
    """Payloads of a framed stream, in order, each as large a block as has arrived.

    Memory is one block of 1 MiB, however much passes through.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._buffer = memoryview(bytearray(BLOCK_BYTES))
        self._start = 0
        self._end = 0
        self._stream = STDOUT
        self._left = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield (stream, block); consecutive frames of one stream are joined.

        Raises: EngineUnreachable, where the connection ends inside a frame or carries something else than frames.
        """
        while self._fill():
            yield from self._blocks()
        self._refuse_a_rest()

    def whole_frames(self) -> Iterator[tuple[int, bytes]]:
        """Yield (stream, payload) of one frame after the other, for streams where a frame is an entry (logs).

        Raises: as iteration does.
        """
        parts: list[bytes] = []
        while self._fill():
            for number, piece in self._pieces():
                parts.append(bytes(piece))
                if self._left == 0:
                    yield number, b"".join(parts)
                    parts.clear()
        self._refuse_a_rest()

    def _refuse_a_rest(self) -> None:
        if self._left or self._start != self._end:
            missing = f"{self._left} bytes of a frame" if self._left else "the rest of a frame's header"
            raise EngineUnreachable("the engine's stream was cut", cause=f"{missing} never came", hint="docker info")

    def _fill(self) -> bool:
        """Move what is left to the front and receive behind it; False at the end of the connection."""
        rest = self._end - self._start
        if rest and self._start:
            self._buffer[:rest] = bytes(self._buffer[self._start : self._end])
        self._start, self._end = 0, rest
        count = self._receive(self._buffer[rest:])
        self._end += count
        return count > 0

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        stream, pieces = self._stream, list[memoryview]()
        for number, piece in self._pieces():
            if number != stream:
                if pieces:
                    yield stream, b"".join(pieces)
                stream, pieces = number, []
            pieces.append(piece)
        if pieces:
            yield stream, b"".join(pieces)

    def _pieces(self) -> Iterator[tuple[int, memoryview]]:
        while self._start < self._end:
            if self._left == 0 and not self._read_header():
                return
            size = min(self._left, self._end - self._start)
            piece = self._buffer[self._start : self._start + size]
            self._start += size
            self._left -= size
            if size:
                yield self._stream, piece

    def _read_header(self) -> bool:
        if self._end - self._start < _HEADER.size:
            return False
        stream, self._left = _HEADER.unpack_from(self._buffer, self._start)
        if stream > SYSTEM_ERROR or self._buffer[self._start + 1 : self._start + 4] != _ZEROES:
            raise EngineUnreachable(
                "the engine's stream is not what it should be",
                cause=f"a frame begins with {bytes(self._buffer[self._start : self._start + 8])!r}",
                hint="docker version",
            )
        self._stream = stream
        self._start += _HEADER.size
        return True


def plain_blocks(receive: Receive) -> Iterator[tuple[int, bytes]]:
    """The stream of a terminal: no frames, everything is stdout; its end cannot be told from a cut."""
    buffer = memoryview(bytearray(BLOCK_BYTES))
    while count := receive(buffer):
        yield STDOUT, bytes(buffer[:count])
