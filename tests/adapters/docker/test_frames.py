"""Is a stream of frames read exactly, and is a cut never taken for an end?"""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.adapters.docker.frames import STDERR, STDOUT, FrameReader, plain_blocks
from ops.errors import EngineUnreachable


def frame(stream: int, payload: bytes) -> bytes:
    return struct.pack(">B3xL", stream, len(payload)) + payload


def arriving(data: bytes, cuts: list[int]):
    """A connection that delivers `data` in pieces of the given sizes, then the rest at once, then its end."""
    rest = memoryview(data)
    sizes = iter(cuts)

    def receive(buffer: memoryview) -> int:
        nonlocal rest
        count = min(next(sizes, len(rest)) or 1, len(rest), len(buffer))
        buffer[:count] = rest[:count]
        rest = rest[count:]
        return count

    return receive


frames = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=50)), max_size=20)
cuts = st.lists(st.integers(1, 30), max_size=40)


@given(frames, cuts)
def test_every_byte_arrives_in_order_however_the_connection_cuts_it(content, pieces) -> None:
    data = b"".join(frame(stream, payload) for stream, payload in content)
    received = {STDOUT: b"", STDERR: b""}

    for stream, block in FrameReader(arriving(data, pieces)):
        received[stream] += block

    for wanted in (STDOUT, STDERR):
        assert received[wanted] == b"".join(payload for stream, payload in content if stream == wanted)


@given(frames, cuts)
def test_whole_frames_are_the_frames_that_were_sent(content, pieces) -> None:
    data = b"".join(frame(stream, payload) for stream, payload in content)

    read = list(FrameReader(arriving(data, pieces)).whole_frames())

    assert read == [entry for entry in content if entry[1]]


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=5), st.data())
def test_an_end_inside_a_frame_is_an_error_wherever_it_is(payloads, data) -> None:
    whole = b"".join(frame(STDOUT, payload) for payload in payloads)
    ends = {0}
    for payload in payloads:
        ends.add(max(ends) + 8 + len(payload))
    cut = data.draw(st.integers(1, len(whole) - 1).filter(lambda position: position not in ends))

    with pytest.raises(EngineUnreachable, match="cut"):
        list(FrameReader(arriving(whole[:cut], [])))


def test_what_is_not_a_frame_is_an_error() -> None:
    with pytest.raises(EngineUnreachable, match="not what it should be"):
        list(FrameReader(arriving(b"HTTP/1.1 500 Internal Server Error", [])))


def test_a_stream_larger_than_any_buffer_passes_whole() -> None:
    block = bytes(range(256)) * 128
    digest, wanted = hashlib.sha256(), hashlib.sha256()
    left = 200

    def endless(buffer: memoryview) -> int:
        nonlocal left, pending
        if not pending and left:
            left -= 1
            wanted.update(block)
            pending = frame(STDOUT, block)
        count = min(len(pending), len(buffer), 50_001)
        buffer[:count] = pending[:count]
        pending = pending[count:]
        return count

    pending = b""
    for _, part in FrameReader(endless):
        digest.update(part)

    assert digest.hexdigest() == wanted.hexdigest()


def test_a_terminal_has_no_frames() -> None:
    assert (
        b"".join(block for _, block in plain_blocks(arriving(b"\x01\x00\x00\x00plain", [3])))
        == b"\x01\x00\x00\x00plain"
    )
