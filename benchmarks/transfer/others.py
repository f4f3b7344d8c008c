"""What do transfers stand beside: pgloader, the guide's script, and the server alone."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import MetaData, create_engine
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session
from sqlalchemy.schema import DropConstraint

from benchmarks.transfer.sample import ROWS
from benchmarks.transfer.server import binaries, made, timed, url


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


def guide(given: dict[str, Any], file: Path, project: Path, share: float) -> float:
    """Seconds that the guide's script would take: each row made an object and merged, a commit for each table.

    The same share of every table is moved, so that each kind of row has its weight; what they take is scaled. Foreign
    keys are dropped first, in its favour: rows whose parents are not in the share would be refused.
    """
    target = create_engine(url(given, made(given, "guide", project)))
    metadata = MetaData()
    metadata.reflect(target)
    with target.begin() as session:
        for table in metadata.tables.values():
            for key in table.foreign_key_constraints:
                session.execute(DropConstraint(key))
    base = automap_base()
    base.prepare(autoload_with=target)
    seconds = 0.0
    with contextlib.closing(sqlite3.connect(file)) as source, Session(target) as writing:
        source.row_factory = sqlite3.Row
        for name, count in ROWS.items():
            rows = source.execute(f"SELECT * FROM {name} LIMIT ?", [max(1, int(count * share))])
            began = time.monotonic()
            for row in rows:
                writing.merge(base.classes[name](**dict(row)))
            writing.commit()
            seconds += time.monotonic() - began
    target.dispose()
    return seconds / share


def bound(given: dict[str, Any], home: Path) -> tuple[float, float]:
    """Seconds of PostgreSQL's own COPY from files, of what ours loaded, and of its keys and indexes behind that."""
    folder = home / "copy"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    name = made(given, "bound", None)
    tables = ("users", "threads", "sessions", "events")
    with psycopg.connect(**given, dbname="ours", autocommit=True) as session:
        for table in tables:
            session.execute(f"COPY {table} TO '{folder / table}'")  # type: ignore[arg-type]
    with_password = {**os.environ, "PGPASSWORD": given["password"]}
    server = ["-h", given["host"], "-p", str(given["port"]), "-U", given["user"]]
    before, behind = (
        subprocess.run(
            [binaries() / "pg_dump", f"--section={section}", *server, "ours"],
            env=with_password, check=True, capture_output=True,
        ).stdout
        for section in ("pre-data", "post-data")
    )  # fmt: skip

    def run(script: bytes) -> None:
        subprocess.run(
            [binaries() / "psql", "-q", *server, name], env=with_password, check=True, input=script,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    run(before)
    began = time.monotonic()
    with psycopg.connect(**given, dbname=name) as session:
        for table in tables:
            session.execute(f"COPY {table} FROM '{folder / table}'")  # type: ignore[arg-type]
    copied = time.monotonic()
    run(behind)
    return copied - began, time.monotonic() - copied
