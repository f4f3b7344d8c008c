"""How does a volume get its PostgreSQL data, and whose is it?

A volume is `<state>/volumes/<name>/`; its `data` folder appears whole (initdb, superuser, database) by one rename, so
a kill leaves either nothing or a server that starts. What the compose service's environment says counts at that
moment only, as with the official image: a password changed later does not change the server's.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ops.adapters.embedded.process_mark import wait_until
from ops.adapters.embedded.programs import Programs
from ops.adapters.embedded.server_user import ServerUser
from ops.errors import ConfigurationError, ServiceUnhealthy
from ops.model.compose.project import Service, Stack
from ops.model.dead_mans_pipe import wrap
from ops.model.secret import Secret

_ENDING_S = 15.0
_INITDB = (
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--data-checksums",
    "--no-instructions",
)


@dataclass(frozen=True, slots=True)
class Login:
    """The superuser and the database that the compose service's environment names."""

    user: str
    password: Secret
    database: str


def login_of(service: Service, stack: Stack) -> Login:
    """Read `POSTGRES_USER`, `POSTGRES_PASSWORD` (or `_FILE`) and `POSTGRES_DB` as the official image does.

    Raises: ConfigurationError without a password.
    """
    environment = service.environment
    user = _value(service, stack, "POSTGRES_USER") or "postgres"
    password = _value(service, stack, "POSTGRES_PASSWORD")
    if not password:
        raise ConfigurationError(
            f"{service.name} has no POSTGRES_PASSWORD", hint=f"set it under services.{service.name}.environment"
        )
    return Login(user, Secret(password), environment.get("POSTGRES_DB") or user)


def _value(service: Service, stack: Stack, name: str) -> str:
    target = service.environment.get(f"{name}_FILE")
    for mount in service.secrets if target else ():
        source = stack.secrets.get(mount.name)
        if mount.target == target and source is not None and source.file is not None:
            with suppress(OSError):
                return source.file.read_text("utf-8").rstrip("\n")
    return service.environment.get(name, "")


def data_major(volume: Path) -> int | None:
    """The PostgreSQL major of a volume's data; None where there is no data yet."""
    try:
        return int((volume / "data" / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise ConfigurationError(
            f"{volume / 'data'} is no PostgreSQL data folder", cause=str(exc), hint=f"mv {volume} {volume}.broken"
        ) from exc


def remove_leftovers(volume: Path) -> None:
    """Remove what a killed run was making; its programs may need a moment to end, and write until then."""

    def is_clean() -> bool:
        for leftover in volume.glob(".new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        return not any(volume.glob(".new-*"))

    wait_until(is_clean, _ENDING_S)


def initialise(volume: Path, programs: Programs, user: ServerUser, login: Login) -> None:
    """Make the data folder of an empty volume.

    Raises: ServiceUnhealthy with the program's last words.
    """
    staging = volume / f".new-{secrets.token_hex(4)}"
    staging.mkdir(mode=0o700)
    try:
        user.own(staging)
        password = staging / "password"
        with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(login.password.reveal())
        user.own(password)
        data = staging / "data"
        _run(user, [programs.path("initdb"), f"--pgdata={data}", f"--username={login.user}", *_INITDB,
                    f"--pwfile={password}"])  # fmt: skip
        if login.database not in {"postgres", "template1"}:
            _create_database(user, programs, data, login.database)
        data.rename(volume / "data")
        _flush_folder(volume)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _create_database(user: ServerUser, programs: Programs, data: Path, name: str) -> None:
    """In single-user mode, whose exit code is 0 even after an error: its words decide."""
    quoted = name.replace('"', '""')
    file = data.parent / "create.sql"
    file.write_text(f'CREATE DATABASE "{quoted}"\n')
    file.chmod(0o644)
    script = '"$1" --single -D "$2" postgres <"$3"'
    said = _run(user, ["/bin/sh", "-c", script, "sh", programs.path("postgres"), str(data), str(file)])
    if "ERROR:" in said or "FATAL:" in said:
        raise ServiceUnhealthy(f"database {name!r} could not be created", cause=_last_lines(said), hint="inv check")


def _run(user: ServerUser, argv: Sequence[str]) -> str:
    """Run one of the server's programs as its user; it ends with us. Returns all it said."""
    run_id = f"init-{secrets.token_hex(6)}"
    with subprocess.Popen(
        wrap([*user.command(), *argv], run_id=run_id),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_environment(),
        cwd="/",
        start_new_session=True,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(b"\n")
        program.stdin.flush()
        said = program.stdout.read().decode(errors="replace")
        code = program.wait()
    if code:
        raise ServiceUnhealthy(
            f"{Path(argv[0]).name} ended with {code} while the data folder was made",
            cause=_last_lines(said),
            hint="inv check",
        )
    return said


def _environment() -> Mapping[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-5:])


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
