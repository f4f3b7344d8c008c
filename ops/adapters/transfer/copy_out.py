"""How do the lines of `COPY ... TO STDOUT` reach us without a call for each row?

libpq hands over a row at a time, and psycopg makes an object of it: three times the work of all the rest. The messages
of a copy are simple (PostgreSQL manual, "Message Formats": a letter, a length, the line), so here they are cut out of
the socket's blocks. libpq knows nothing of it, so the session is closed afterwards. An encrypted session cannot be
read so; then libpq does it.
"""

from __future__ import annotations

import os
import re
import select
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import psycopg
from psycopg import pq, sql

from ops.adapters.postgres.silence import WatchedSession
from ops.adapters.transfer.printed import binary_rows, printed_blocks

_READ_BYTES = 1 << 18
_LINES = re.compile(rb"d[\x00-\xff]{4}([^\n]*\n)|[\x00-\xff]+")
"""CopyData messages of a text copy: each holds one line, and a line holds no other line end.

The other way takes all that follows at once, so that nothing is looked for behind a message of another kind.
"""
_HEAD = 5
_READY, _ERROR = b"Z", b"E"
_DATA = ord("d")
_LENGTH = struct.Struct("!I")
T = TypeVar("T")


def last_printed_blocks(session: psycopg.Connection, query: sql.Composed) -> Iterator[bytes]:
    """Lines of `COPY (query) TO STDOUT`, many at a time, each with its line end; the session is closed then.

    Raises psycopg's errors: the server's own, OperationalError where it went away.
    """
    if _is_encrypted(session.pgconn):
        yield from printed_blocks(session, query)
        session.close()
    else:
        yield from _last_copied(session, query, b"", lines_of)


def last_binary_rows(session: psycopg.Connection, query: sql.Composed) -> Iterator[list[bytes]]:
    """The messages of `COPY (query) TO STDOUT (FORMAT binary)`, many at a time; the session is closed then."""
    if _is_encrypted(session.pgconn):
        yield from binary_rows(session, query)
        session.close()
    else:
        yield from _last_copied(session, query, b" (FORMAT binary)", messages_of)


def _last_copied(
    session: psycopg.Connection, query: sql.Composed, form: bytes, cut: Callable[[Callable[[int], bytes]], Iterator[T]]
) -> Iterator[T]:
    connection = session.pgconn
    connection.send_query(b"COPY (" + query.as_bytes(session) + b") TO STDOUT" + form)
    while connection.flush():
        select.select([], [connection.socket], [])
    try:
        with socket.socket(fileno=os.dup(connection.socket)) as stream:
            stream.setblocking(True)
            receive = partial(session.receive, stream) if isinstance(session, WatchedSession) else stream.recv
            yield from cut(receive)
    finally:
        connection.finish()


def _is_encrypted(connection: pq.abc.PGconn) -> bool:
    if connection.socket < 0:
        raise psycopg.OperationalError("the connection is closed")
    return bool(getattr(connection, "ssl_in_use", True)) or bool(connection.used_gssapi)


def lines_of(receive: Callable[[int], bytes]) -> Iterator[bytes]:
    """The lines in the server's messages, whatever pieces those come in.

    Notices and changed parameters may stand between them. Raises psycopg's errors, as `last_printed_blocks`.
    """
    rest = bytearray()
    while True:
        block = receive(_READ_BYTES)
        if not block:
            raise psycopg.OperationalError("the server closed the connection while it printed a table")
        rest += block
        while len(rest) >= (size := _size_of_first(rest)):
            if rest.startswith(b"d"):
                found = _LINES.findall(rest)
                lines = b"".join(found)
                del rest[: len(lines) + _HEAD * (len(found) - (not found[-1]))]
                yield lines
                continue
            kind, message = bytes(rest[:1]), bytes(rest[_HEAD:size])
            del rest[:size]
            if kind == _ERROR:
                raise _error(message)
            if kind == _READY:
                return


def messages_of(receive: Callable[[int], bytes]) -> Iterator[list[bytes]]:
    """What each message of a copy holds, as `lines_of`; a row of a binary copy has no end that could be looked for.

    An empty list is only a sign of life.
    """
    blocks, wanted = list[bytes](), _HEAD
    while True:
        block = receive(_READ_BYTES)
        if not block:
            raise psycopg.OperationalError("the server closed the connection while it printed a table")
        blocks.append(block)
        if sum(map(len, blocks)) < wanted:  # a large row, joined once it is whole
            yield []
            continue
        rest = b"".join(blocks)
        at, size, found = 0, len(rest), []
        while at + _HEAD <= size:
            kind, end = rest[at], at + 1 + _LENGTH.unpack_from(rest, at + 1)[0]
            if end > size:
                break
            if kind == _DATA:
                found.append(rest[at + _HEAD : end])
            elif kind == _ERROR[0]:
                raise _error(rest[at + _HEAD : end])
            elif kind == _READY[0]:
                if found:
                    yield found
                return
            at = end
        blocks = [rest[at:]]
        wanted = 1 + _LENGTH.unpack_from(rest, at + 1)[0] if at + _HEAD <= size else _HEAD
        yield found


def _size_of_first(messages: bytearray) -> int:
    """Of the first message with its letter and its length; as long as those are not all there, more than there is."""
    return 1 + int.from_bytes(messages[1:_HEAD], "big") if len(messages) >= _HEAD else _HEAD


def _error(message: bytes) -> psycopg.Error:
    """The server's ErrorResponse as psycopg would raise it."""
    fields = {part[:1]: part[1:].decode(errors="replace") for part in message.split(b"\0") if part}
    found = psycopg.errors.lookup(fields.get(b"C", "XX000"))
    return found(f"{fields.get(b'S', 'ERROR')}: {fields.get(b'M', '')}")
