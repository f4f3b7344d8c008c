"""Is a session's server given up where it answers nothing at all, and only there?"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import cast

import psycopg
import pytest
from psycopg import sql

from ops.adapters.postgres.connect import connect, translated
from ops.adapters.postgres.silence import ServerSilent, peer_of
from ops.adapters.transfer.copy_out import last_printed_blocks
from ops.adapters.transfer.printed import printed_blocks
from ops.errors import DeadlinePassed
from ops.model.endpoint import PostgresEndpoint
from tests.adapters.postgres.frozen_relay import Relay

pytestmark = pytest.mark.postgres
LIMIT_S = 0.6
WANTS_TLS = struct.pack("!ii", 8, 80877103)


@pytest.fixture
def relay(fresh_database: PostgresEndpoint) -> Iterator[Relay]:
    with closing(Relay(fresh_database)) as made:
        yield made


@pytest.fixture
def endpoint(fresh_database: PostgresEndpoint, relay: Relay) -> PostgresEndpoint:
    return replace(fresh_database, host="127.0.0.1", port=relay.port, silence_s=LIMIT_S)


def test_a_slow_query_of_a_server_that_answers_is_waited_for(endpoint: PostgresEndpoint) -> None:
    with connect(endpoint) as session:
        row = session.execute("SELECT 'done' FROM pg_sleep(%s)", [LIMIT_S * 4]).fetchone()

    assert row == ("done",)


def test_a_proxy_that_hangs_up_on_the_question_is_no_silent_server(endpoint: PostgresEndpoint, relay: Relay) -> None:
    relay.hangs_up_on = WANTS_TLS
    without_asking = (("sslmode", "disable"), ("gssencmode", "disable"))

    with connect(replace(endpoint, options=without_asking)) as session:
        row = session.execute("SELECT 'done' FROM pg_sleep(%s)", [LIMIT_S * 4]).fetchone()

    assert row == ("done",)


def test_a_server_that_answered_and_then_hangs_up_answers_no_more(endpoint: PostgresEndpoint, relay: Relay) -> None:
    with connect(endpoint) as session:
        answers, answered = peer_of(session), []
        answered.append(answers())
        relay.hangs_up_on = WANTS_TLS
        answered.append(answers())

    assert answered == [True, False]


def test_a_query_of_a_server_that_answers_nothing_is_ended_with_its_name(
    endpoint: PostgresEndpoint, relay: Relay
) -> None:
    with pytest.raises(DeadlinePassed) as failure, translated("counting rows"), connect(endpoint) as session:  # noqa: PT012
        session.execute("SELECT 1")
        relay.freeze()
        session.execute("SELECT 2")

    assert failure.value.message == "counting rows: stalled and was ended"
    assert failure.value.cause == f"the server answered nothing for {LIMIT_S:g} s"
    assert "OPS_LOAD_IDLE_TIMEOUT_S" in (failure.value.hint or "")


def test_rows_that_are_sent_to_a_server_that_takes_none_are_ended_too(endpoint: PostgresEndpoint, relay: Relay) -> None:
    with pytest.raises(ServerSilent), connect(endpoint) as session:  # noqa: PT012 - one copy
        session.execute("CREATE TEMPORARY TABLE taken (line text)")
        with session.cursor() as cursor, cursor.copy("COPY taken FROM STDIN") as copy:
            relay.freeze()
            for _ in range(10_000):
                copy.write(b"x" * 65536 + b"\n")


@pytest.mark.parametrize("printing", [last_printed_blocks, printed_blocks])
def test_the_lines_of_a_table_that_psycopg_does_not_read_are_watched_too(
    printing: Callable[[psycopg.Connection, sql.Composed], Iterator[bytes]], endpoint: PostgresEndpoint, relay: Relay
) -> None:
    with pytest.raises(ServerSilent), connect(endpoint) as session:  # noqa: PT012 - one copy
        lines = printing(session, sql.SQL("SELECT n FROM generate_series(1, 10000000) n").format())
        next(lines)
        relay.freeze()
        for _ in lines:
            pass


def test_a_copy_whose_first_line_does_not_come_is_ended_too(endpoint: PostgresEndpoint, relay: Relay) -> None:
    with pytest.raises(ServerSilent), connect(endpoint) as session:  # noqa: PT012 - one copy
        relay.freeze()
        next(printed_blocks(session, sql.SQL("SELECT 1").format()))


def test_a_session_that_waits_for_nobody_is_left_alone(endpoint: PostgresEndpoint, relay: Relay) -> None:
    with connect(endpoint) as session:
        relay.refuse()
        threading.Event().wait(LIMIT_S * 4)

        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_session_that_the_server_closed_at_once_is_told_as_psycopg_tells_it() -> None:
    with socket.socket() as closed, pytest.raises(psycopg.OperationalError, match="closed the connection"):
        peer_of(cast("psycopg.Connection", closed))


def test_no_thread_outlives_its_session(endpoint: PostgresEndpoint, relay: Relay) -> None:
    watching = [thread for thread in threading.enumerate() if thread.name == "watch a server"]

    with suppress(ServerSilent), connect(endpoint) as session:
        assert len([thread for thread in threading.enumerate() if thread.name == "watch a server"]) > len(watching)
        relay.freeze()
        session.execute("SELECT 1")

    assert [thread for thread in threading.enumerate() if thread.name == "watch a server"] == watching
