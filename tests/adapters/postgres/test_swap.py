"""Does the live name always belong to a whole database, whatever happens during a swap?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime

import psycopg
import pytest

from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.system_clock import SystemClock
from ops.errors import RestoreRefused
from ops.model.database import DatabaseCopy
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from tests.conftest import connect

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 1, 31, 2, tzinfo=UTC)


@pytest.fixture
def database(fresh_database: PostgresEndpoint, wheel_tools) -> PostgresDatabase:
    return PostgresDatabase(fresh_database, wheel_tools, stack="demo", clock=SystemClock())


def copy_of(live: str, role: str = "scratch") -> DatabaseCopy:
    kind = "scratch" if role == "scratch" else "recovery-point"
    return DatabaseCopy(f"{live}__{role}_1", kind, live, "restore", "1", NOW)


def make_copy(database: PostgresDatabase, word: str) -> DatabaseCopy:
    copy = copy_of(database.live)
    database.create_copy(copy, database.facts())
    write_word(database._endpoint, copy.name, word)
    return copy


def write_word(endpoint: PostgresEndpoint, name: str, word: str) -> None:
    with connect(PostgresEndpoint(endpoint.host, endpoint.port, endpoint.user, endpoint.password, name)) as session:
        session.execute("CREATE TABLE word AS SELECT %s::text AS word", [word])


def read_word(endpoint: PostgresEndpoint, name: str | None = None) -> str:
    there = PostgresEndpoint(endpoint.host, endpoint.port, endpoint.user, endpoint.password, name or endpoint.database)
    with connect(there) as session:
        return session.execute("SELECT word FROM word").fetchone()[0]


def test_after_a_swap_the_copy_is_live_and_the_old_database_is_kept_and_described(database, fresh_database) -> None:
    write_word(fresh_database, fresh_database.database, "old")
    copy = make_copy(database, "new")
    kept = copy_of(database.live, "before")

    gap_s = database.swap(copy.name, kept)

    assert read_word(fresh_database) == "new"
    assert read_word(fresh_database, kept.name) == "old"
    assert [(one.name, one.role) for one in database.copies()] == [(kept.name, "recovery-point")]
    assert 0 < gap_s < 30


def test_clients_that_reconnect_in_a_loop_see_the_old_or_the_new_data_and_nothing_else(
    database, fresh_database
) -> None:
    write_word(fresh_database, fresh_database.database, "old")
    copy = make_copy(database, "new")
    is_done = threading.Event()
    seen: list[list[str]] = [[] for _ in range(8)]

    def ask_again_and_again(words: list[str]) -> None:
        while not is_done.is_set():
            try:
                with connect(fresh_database) as session:
                    words.extend(session.execute("SELECT word FROM word").fetchone()[0] for _ in range(20))
            except psycopg.OperationalError:
                continue

    clients = [threading.Thread(target=ask_again_and_again, args=[words]) for words in seen]
    for client in clients:
        client.start()
    while not all(seen):
        is_done.wait(0.01)
    database.swap(copy.name, copy_of(database.live, "before"))
    while not all(words[-1] == "new" for words in seen):
        is_done.wait(0.01)
    is_done.set()
    for client in clients:
        client.join()

    assert all(words == sorted(words, reverse=True) and set(words) == {"old", "new"} for words in seen)


def test_a_session_that_sits_in_a_transaction_is_ended_by_the_swap(database, fresh_database) -> None:
    write_word(fresh_database, fresh_database.database, "old")
    copy = make_copy(database, "new")
    idler = connect(fresh_database, autocommit=False)
    idler.execute("LOCK TABLE word")

    database.swap(copy.name, copy_of(database.live, "before"))

    with pytest.raises(psycopg.OperationalError), idler:
        idler.execute("SELECT 1")
    assert read_word(fresh_database) == "new"


def test_a_swap_with_a_copy_that_is_gone_changes_nothing(database, fresh_database) -> None:
    write_word(fresh_database, fresh_database.database, "old")

    with pytest.raises(RestoreRefused, match="is not there"):
        database.swap(f"{database.live}__scratch_1", copy_of(database.live, "before"))

    assert read_word(fresh_database) == "old"
    assert database.copies() == ()


def test_a_swap_onto_a_kept_name_that_is_taken_changes_nothing(database, fresh_database) -> None:
    write_word(fresh_database, fresh_database.database, "old")
    copy = make_copy(database, "new")
    kept = copy_of(database.live, "before")
    with connect(fresh_database) as session:
        session.execute(f'CREATE DATABASE "{kept.name}"')

    with pytest.raises(RestoreRefused, match="is there already"):
        database.swap(copy.name, kept)

    assert read_word(fresh_database) == "old"
    assert read_word(fresh_database, copy.name) == "new"


def test_a_live_database_that_somebody_dropped_is_replaced_and_nothing_is_kept(database, fresh_database) -> None:
    copy = make_copy(database, "new")
    with connect(PostgresEndpoint(fresh_database.host, fresh_database.port, fresh_database.user,
                                  fresh_database.password, "postgres")) as session:  # fmt: skip
        session.execute(f'DROP DATABASE "{database.live}"')

    assert database.exists() is False
    database.swap(copy.name, copy_of(database.live, "before"))

    assert read_word(fresh_database) == "new"
    assert database.copies() == ()


def test_slots_and_prepared_transactions_of_the_live_database_are_named(database, fresh_database) -> None:
    write_word(fresh_database, fresh_database.database, "old")
    with connect(fresh_database) as session:
        session.execute(f"SELECT pg_create_logical_replication_slot('{database.live}', 'pgoutput')")
        session.execute("BEGIN; INSERT INTO word VALUES ('half'); PREPARE TRANSACTION 'half-way'")
    try:
        assert database.swap_blockers() == (
            f"replication slot {database.live} belongs to it",
            "prepared transaction half-way of tester is open in it",
        )
    finally:
        with connect(fresh_database) as session:
            session.execute("ROLLBACK PREPARED 'half-way'")
            session.execute(f"SELECT pg_drop_replication_slot('{database.live}')")


def test_a_session_that_comes_back_faster_than_it_is_ended_makes_the_swap_give_up_whole(
    fresh_database, wheel_tools, monkeypatch
) -> None:
    """A prepared transaction counts as a session that nobody can end."""
    database = PostgresDatabase(fresh_database, wheel_tools, stack="demo", clock=SystemClock(), swap_deadline_s=0.1)
    write_word(fresh_database, fresh_database.database, "old")
    copy = make_copy(database, "new")
    with connect(fresh_database) as session:
        session.execute("BEGIN; INSERT INTO word VALUES ('half'); PREPARE TRANSACTION 'stuck'")
    try:
        with pytest.raises(RestoreRefused, match="could not be ended; nothing was changed"):
            database.swap(copy.name, copy_of(database.live, "before"))
    finally:
        with connect(fresh_database) as session:
            session.execute("ROLLBACK PREPARED 'stuck'")

    assert read_word(fresh_database) == "old"
    assert read_word(fresh_database, copy.name) == "new"


def test_a_swap_killed_before_its_commit_leaves_the_live_database_as_it_was(database, fresh_database) -> None:
    write_word(fresh_database, fresh_database.database, "old")
    copy = make_copy(database, "new")
    script = textwrap.dedent("""
        import os, sys
        import psycopg
        from psycopg import sql
        session = psycopg.connect(sys.argv[1])
        live, copy = sys.argv[2:]
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        session.execute(rename.format(sql.Identifier(live), sql.Identifier(live + "__before_1")))
        session.execute(rename.format(sql.Identifier(copy), sql.Identifier(live)))
        print("renamed", flush=True)
        sys.stdin.read()
    """)
    there = f"host={fresh_database.host} port={fresh_database.port} user={fresh_database.user} dbname=postgres"
    swapper = subprocess.Popen(
        [sys.executable, "-c", script, there, database.live, copy.name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PGPASSWORD": fresh_database.password.reveal()},
    )  # fmt: skip
    with swapper:
        assert swapper.stdout.readline() == b"renamed\n"
        swapper.send_signal(signal.SIGKILL)

    assert read_word(fresh_database) == "old"
    assert read_word(fresh_database, copy.name) == "new"


def test_an_owner_without_superuser_rights_swaps_too_and_is_refused_whole_where_a_superuser_sits(
    fresh_database, wheel_tools
) -> None:
    live, owner = fresh_database.database, f"owner_{fresh_database.database}"
    admin = PostgresEndpoint(
        fresh_database.host, fresh_database.port, fresh_database.user, fresh_database.password, "postgres"
    )
    limited = PostgresEndpoint(fresh_database.host, fresh_database.port, owner, Secret("limited"), live)
    database = PostgresDatabase(limited, wheel_tools, stack="demo", clock=SystemClock(), swap_deadline_s=0.1)
    with connect(admin) as session:
        session.execute(f"CREATE ROLE {owner} LOGIN CREATEDB PASSWORD 'limited'")
        session.execute(f'ALTER DATABASE "{live}" OWNER TO {owner}')
    try:
        write_word(limited, live, "old")
        copy = make_copy(database, "new")
        superuser = connect(fresh_database)
        with pytest.raises(RestoreRefused, match="could not be ended; nothing was changed"):
            database.swap(copy.name, copy_of(live, "before"))
        superuser.close()
        before = read_word(limited)

        with connect(limited):
            database.swap(copy.name, copy_of(live, "before"))

        assert (before, read_word(limited)) == ("old", "new")
    finally:
        with connect(admin) as session:
            for (name,) in session.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [live]
            ).fetchall():
                session.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            session.execute(f"DROP ROLE {owner}")
