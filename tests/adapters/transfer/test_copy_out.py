"""Do we cut the same lines out of the server's messages as libpq does?"""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from ops.adapters.transfer.copy_out import last_printed_blocks, lines_of
from ops.adapters.transfer.printed import digests_of, printed_blocks
from tests.conftest import connect

pytestmark = pytest.mark.postgres
ROWS = sql.SQL(
    "SELECT g, repeat('x', g % 3000), E'tab\\tline\\nback\\\\slash', NULL, repeat('y', (g = 77)::int * 3000000)"
    " FROM generate_series(1, 20000) g"
)
"""Lines of every length up to 3,000, so that a length holds each byte, a line end's too; and one of three megabytes."""


def test_the_lines_are_those_of_libpq_whatever_their_lengths(postgres_server):
    with connect(postgres_server) as session:
        expected = b"".join(printed_blocks(session, ROWS))

    session = connect(postgres_server)
    assert b"".join(last_printed_blocks(session, ROWS)) == expected
    assert session.closed


def test_a_copy_without_rows_ends_at_once(postgres_server):
    session = connect(postgres_server)

    assert list(last_printed_blocks(session, sql.SQL("SELECT 1 WHERE false"))) == []


def test_an_error_in_the_middle_is_the_servers_own(postgres_server):
    session = connect(postgres_server)

    with pytest.raises(psycopg.errors.DivisionByZero):
        list(last_printed_blocks(session, sql.SQL("SELECT 1 / (500 - g) FROM generate_series(1, 1000) g")))
    assert session.closed


def test_a_server_that_goes_away_is_an_error(postgres_server):
    session = connect(postgres_server)
    blocks = last_printed_blocks(session, sql.SQL("SELECT repeat('x', 1000) FROM generate_series(1, 1000000) g"))
    next(blocks)

    with connect(postgres_server) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'COPY (SELECT repeat(''x'', 1000)%'"
        )

    with pytest.raises(psycopg.OperationalError):
        list(blocks)


def message(kind, body):
    return kind + (len(body) + 4).to_bytes(4, "big") + body


LINES = [b"1\td\n", b"\\N\n", b"d0000d\n", b"x" * 6 + b"\n", b"y" * 300 + b"\n", b"\n"]
"""The fourth has a line end as the last byte of its length."""
NOTICE = message(b"N", b"SDEBUG\0C00000\0Md1234 first\nd1234 second\nd\0\0")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 4096])
def test_lines_are_cut_out_of_any_pieces_and_a_notice_between_them_is_none(size):
    parts = [message(b"d", line) for line in LINES]
    status = message(b"S", b"TimeZone\0d000\n\0")
    end = message(b"c", b"") + message(b"C", b"COPY 6\0") + message(b"Z", b"I")
    for at in range(len(parts) + 1):
        stream = b"".join([message(b"H", bytes(7)), *parts[:at], NOTICE, status, NOTICE, *parts[at:], end])
        pieces = iter([stream[start : start + size] for start in range(0, len(stream), size)])

        assert b"".join(lines_of(lambda _most, pieces=pieces: next(pieces))) == b"".join(LINES)


@pytest.mark.parametrize("cuts", [(6,), (1, 2, 3), (6, 0), (2, 2, 2)])
def test_a_checksum_for_each_part_whatever_blocks_the_lines_come_in(cuts):
    lines = [b"%d\tx\n" % number for number in range(6)]
    expected, at = [], 0
    for count in cuts:
        if count:
            expected.append(digests_of([b"".join(lines[at : at + count])], [count])[0])
            at += count
    counts = [count for count in cuts if count]

    for size in (1, 4, 5, 100):
        whole = b"".join(lines)
        ends = [at for at in range(len(whole) + 1) if whole[:at].endswith(b"\n") or not at]
        blocks = [whole[ends[i] : ends[min(i + size, 6)]] for i in range(0, 6, size)]
        assert digests_of(blocks, counts) == expected

    assert len(digests_of([b"".join(lines), b"more\n"], counts)) == len(counts) + 1
    assert len(digests_of([b"".join(lines[:-1])], counts)) == len(counts)
    assert digests_of([b"".join(lines[:-1])], counts) != expected
