"""Is a DATABASE_URL read as SQLAlchemy reads it, and written so that it reads the same?"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from ops.errors import ConfigurationError
from ops.model.database_url import build_database_url, host_of_database_url, move_database_url, parse_database_url
from ops.model.endpoint import PostgresEndpoint, SqliteEndpoint
from ops.model.secret import Secret

BASE = Path("/project")
text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def test_every_part_of_a_url_is_read():
    endpoint = parse_database_url(
        "postgresql+psycopg://me:p%40ss%2Fw%25rd@db.example:6543/comic?sslmode=require", base=BASE
    )

    assert endpoint == PostgresEndpoint(
        "db.example", 6543, "me", Secret("p@ss/w%rd"), "comic", (("sslmode", "require"),)
    )


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"])
def test_port_and_database_have_libpqs_defaults(scheme):
    assert parse_database_url(f"{scheme}://me@somewhere", base=BASE) == PostgresEndpoint(
        "somewhere", 5432, "me", Secret(""), "me"
    )


def test_a_socket_folder_may_stand_in_the_query():
    endpoint = parse_database_url("postgresql://me@/comic?host=/run/postgresql", base=BASE)

    assert endpoint == PostgresEndpoint("/run/postgresql", 5432, "me", Secret(""), "comic")


def test_an_ipv6_address_keeps_its_brackets_out_of_the_host():
    endpoint = parse_database_url("postgresql://me@[::1]:5433/comic", base=BASE)

    assert endpoint == PostgresEndpoint("::1", 5433, "me", Secret(""), "comic")
    assert build_database_url(endpoint, driver=None).reveal() == "postgresql://me@[::1]:5433/comic"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///comic_pile.db", "/project/comic_pile.db"),
        ("sqlite:///./data/comic_pile.db", "/project/data/comic_pile.db"),
        ("sqlite:////var/lib/comic.db", "/var/lib/comic.db"),
        ("sqlite+aiosqlite:///comic.db?timeout=5", "/project/comic.db"),
        ("sqlite:///file:data/my%20comic.db?mode=ro&uri=true", "/project/data/my comic.db"),
        ("sqlite:///file:///var/lib/comic.db?uri=true", "/var/lib/comic.db"),
        ("sqlite:///file:comic.db", "/project/file:comic.db"),
    ],
)
def test_sqlite_paths_are_absolute_afterwards(url, path):
    assert parse_database_url(url, base=BASE) == SqliteEndpoint(Path(path))


@pytest.mark.parametrize(
    "url",
    [
        "", "comic.db", "mysql://me:hunter2@host/db", "sqlite://", "sqlite:///:memory:", "sqlite:///", "sqlite:///file::memory:?uri=true",
        "postgresql://host/db", "postgresql://me:hunter2@host:port/db", "postgresql://me:hunter2@[::1/db",
    ],
)  # fmt: skip
def test_what_names_no_database_is_refused_without_repeating_the_password(url):
    with pytest.raises(ConfigurationError) as failure:
        parse_database_url(url, base=BASE)

    assert "hunter2" not in f"{failure.value.message} {failure.value.cause} {failure.value.hint}"


@given(user=text, password=text, database=text, port=st.integers(1, 65535))
def test_what_is_built_reads_the_same_here_and_in_sqlalchemy(user, password, database, port):
    endpoint = PostgresEndpoint("127.0.0.1", port, user, Secret(password), database)

    url = build_database_url(endpoint).reveal()

    assert parse_database_url(url, base=BASE) == endpoint
    theirs = make_url(url)
    assert (theirs.username, theirs.password, theirs.port) == (user, password, port)


def test_moving_a_url_changes_its_address_only():
    moved = move_database_url(
        "postgresql+psycopg://me:p%40ss@db:5432/comic?application_name=x", host="127.0.0.1", port=5433
    )

    assert moved.reveal() == "postgresql+psycopg://me:p%40ss@127.0.0.1:5433/comic?application_name=x"


@pytest.mark.parametrize(
    ("url", "host"), [("postgresql://me:p@db:5432/x", "db"), ("sqlite:///x.db", ""), ("postgresql://[::1/x", "")]
)
def test_the_host_of_a_url(url, host):
    assert host_of_database_url(url) == host
