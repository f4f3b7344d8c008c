"""What does PostgreSQL print for a query by COPY, as one checksum, without a Python object for each value?"""

from __future__ import annotations

import hashlib
import select
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import psycopg
from psycopg import pq, sql

from ops.adapters.postgres.silence import WatchedSession
from ops.model.transfer.lines import SESSION_SETTINGS

LINES_A_TIME = 8192
BYTES_A_TIME = 1 << 20
BINARY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
BINARY_END = b"\xff\xff"
"""What stands before and behind the rows. Source: PostgreSQL manual, COPY, "Binary Format"."""
_MODULUS = 1 << 128
IN_ORDER = "blake2b-128 of the lines in the order of the key"
BINARY_IN_ORDER = "SHA-256 of the rows of binary COPY in the order of the key"
ANY_ORDER = "sum of the blake2b-128 of each line"


def new_digest() -> hashlib.blake2b:
    """The checksum of a table's lines."""
    return hashlib.blake2b(digest_size=16)


def new_row_digest() -> hashlib._Hash:
    """The checksum of a table's rows; most processors have instructions for it, so it costs half of `new_digest`."""
    return hashlib.sha256()


def set_settings(session: psycopg.Connection) -> None:
    """Give the transaction that has begun the settings of a transfer.

    Behind a pooler, those that the session was given may be another server process's: a moment would be taken for one
    of the server's zone, and be printed as such again, equal on both sides.
    """
    calls = sql.SQL(", ").join(sql.SQL("set_config({}, {}, true)").format(*one) for one in SESSION_SETTINGS)
    session.execute(sql.SQL("SELECT {}").format(calls))


def printed_blocks(session: psycopg.Connection, query: sql.Composed) -> Iterator[bytes]:
    """Lines of `COPY (query) TO STDOUT`, many at a time, each with its line end. Raises psycopg's errors."""
    for lines in _copied(session, query, b""):
        yield b"".join(lines)


def binary_rows(session: psycopg.Connection, query: sql.Composed) -> Iterator[list[bytes]]:
    """The messages of `COPY (query) TO STDOUT (FORMAT binary)`, many at a time. Raises psycopg's errors."""
    for rows in _copied(session, query, b" (FORMAT binary)"):
        yield [bytes(row) for row in rows]


def _copied(session: psycopg.Connection, query: sql.Composed, form: bytes) -> Iterator[list[bytes | memoryview]]:
    """Read from libpq itself: psycopg's own iterator costs more for a row than PostgreSQL does."""
    connection = session.pgconn
    with _waiting(session):
        begun = connection.exec_(b"COPY (" + query.as_bytes(session) + b") TO STDOUT" + form)
        _expect(begun, pq.ExecStatus.COPY_OUT, session)
    lines: list[bytes | memoryview] = []
    held_bytes = 0
    while True:
        size, data = connection.get_copy_data(1)
        if size > 0:
            lines.append(data)
            held_bytes += size
            if len(lines) < LINES_A_TIME and held_bytes < BYTES_A_TIME:
                continue
        elif size == 0:
            with _waiting(session):
                select.select([connection.socket], [], [])
                connection.consume_input()
            continue
        if lines:
            block = lines
            lines, held_bytes, data = [], 0, memoryview(b"")  # nothing is held twice while the block is worked on
            yield block
            del block
        if size < 0:
            break
    with _waiting(session):
        while (result := connection.get_result()) is not None:
            _expect(result, pq.ExecStatus.COMMAND_OK, session)


def _waiting(session: psycopg.Connection) -> AbstractContextManager[None]:
    return session.waiting() if isinstance(session, WatchedSession) else nullcontext()


def _expect(result: pq.abc.PGresult, status: pq.ExecStatus, session: psycopg.Connection) -> None:
    if result.status != status:
        raise psycopg.errors.error_from_result(result, encoding=session.info.encoding)


def digests_of(blocks: Iterable[bytes], counts: Sequence[int]) -> list[str]:
    """A checksum for the first `counts[0]` lines, one for the next `counts[1]`, and so on; one more for any beyond."""
    found, digest, wanted = [], new_digest(), [*counts]
    for block in blocks:
        rest = block
        while rest and wanted:
            there = rest.count(b"\n")
            taken = min(there, wanted[0])
            cut = len(rest) if taken == there else len(rest) - len(rest.split(b"\n", taken)[-1])
            digest.update(rest[:cut])
            rest, wanted[0] = rest[cut:], wanted[0] - taken
            if not wanted[0]:
                wanted.pop(0)
                found.append(digest.hexdigest())
                digest = new_digest()
        digest.update(rest)
    return [*found, *([digest.hexdigest()] if wanted or digest.digest() != new_digest().digest() else [])]


def digests_of_rows(blocks: Iterable[Sequence[bytes]], counts: Sequence[int]) -> list[str]:
    """As `digests_of`, of the rows among the messages of a binary COPY."""
    found, digest, wanted, is_head = [], new_row_digest(), [*counts], True
    for block in blocks:
        rows = [*block]
        if is_head and rows:
            rows[0], is_head = rows[0][len(BINARY_HEAD) :], False  # the first row may follow it in the same message
            if not rows[0]:
                del rows[0]
        if rows and rows[-1] == BINARY_END:
            rows.pop()
        while rows and wanted:
            taken = rows[: wanted[0]]
            digest.update(b"".join(taken))
            rows, wanted[0] = rows[len(taken) :], wanted[0] - len(taken)
            if not wanted[0]:
                wanted.pop(0)
                found.append(digest.hexdigest())
                digest = new_row_digest()
        digest.update(b"".join(rows))
    return [*found, *([digest.hexdigest()] if wanted or digest.digest() != new_row_digest().digest() else [])]


class UnorderedSum:
    """A checksum of lines that does not depend on their order."""

    def __init__(self) -> None:
        self.total = 0
        self.count = 0

    def update(self, block: bytes) -> None:
        """Take whole lines, each with its line end."""
        self.update_lines(block.split(b"\n")[:-1])

    def update_lines(self, lines: Iterable[bytes]) -> None:
        """Take lines without their line ends."""
        found = [hashlib.blake2b(line, digest_size=16).digest() for line in lines]
        self.total = (self.total + sum(map(int.from_bytes, found))) % _MODULUS
        self.count += len(found)

    def hexdigest(self) -> str:
        """128 bits."""
        return sum_text([self.total])


def sum_text(totals: Iterable[int]) -> str:
    """The unordered checksum of all lines from those of parts."""
    return f"{sum(totals) % _MODULUS:032x}"


def order_text(checksums: Sequence[str], *, is_binary: bool = False) -> str:
    """The checksum of all lines or binary rows, in their order, from those of parts of so many rows."""
    if len(checksums) == 1:
        return checksums[0]
    whole = new_row_digest() if is_binary else new_digest()
    whole.update("".join(checksums).encode())
    return whole.hexdigest()
