"""How does a drill get a PostgreSQL server of its own on this machine?

From the binaries that are here (the wheel, what is installed), in a private folder, on a free port of loopback, with a
password that nobody else knows, as an unprivileged user. It runs under the dead man's pipe: when we die, it ends.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ops.adapters.embedded.cluster import Login, initialise
from ops.adapters.embedded.process_mark import wait_until
from ops.adapters.embedded.programs import OLDEST_MAJOR, Programs, installed_servers
from ops.adapters.embedded.server_user import ServerUser, server_user
from ops.adapters.local_tools import LocalTools
from ops.adapters.postgres.connect import connect
from ops.adapters.postgres.database import PostgresDatabase
from ops.adapters.throwaway.private_folder import DATA, PrivateFolders, end_server
from ops.adapters.throwaway.superusers import MAINTENANCE, make_superusers, superuser_of
from ops.errors import OpsError, RestoreRefused, ServiceUnhealthy
from ops.model.dead_mans_pipe import wrap
from ops.model.endpoint import PostgresEndpoint
from ops.model.manifest import Manifest
from ops.model.restore_plan import SPACE_FACTOR
from ops.model.secret import Secret
from ops.ports import Clock, Reporter

SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=1GB",
    "autovacuum=off",
    "shared_buffers=128MB",
)
"""Nothing in it has to survive anything."""
_HOST = "127.0.0.1"
_START_S = 60.0
_ATTEMPTS = 5
_IN_USE = "in use"


@dataclass(frozen=True, slots=True)
class LocalServers:
    """The `Throwaways` port with processes of this machine.

    Args:
        root: the folder for drills, below the stack's state.
        project: the folder whose owner runs the server where that is not root.
        search_path: a PATH on which installed servers are looked for.
        stack: the stack's name.
        clock: for the database's waits.
    """

    root: Path
    project: Path
    search_path: str
    stack: str
    clock: Clock

    @contextmanager
    def server(self, manifest: Manifest, report: Reporter) -> Iterator[PostgresDatabase]:
        """Start a server that can take the archive; all of it is gone afterwards."""
        programs = programs_for(manifest, self.search_path)
        if programs.major != manifest.database.server_major:
            report.warn(
                f"{manifest.id} is of PostgreSQL {manifest.database.server_version}; "
                f"the server at hand that can take it is {programs.version}"
            )
        with PrivateFolders(self.root).make() as folder:
            _refuse_without_room(folder, manifest)
            volume = folder / DATA.parent
            volume.mkdir(mode=0o711)
            user = server_user(programs, volume, project=self.project)
            login = Login(superuser_of(manifest), Secret(secrets.token_urlsafe(24)), MAINTENANCE)
            initialise(volume, programs, user, login)
            with _running(folder, programs, user, login) as endpoint:
                make_superusers(endpoint, manifest)
                tools = LocalTools(programs.folder, endpoint)
                yield PostgresDatabase(endpoint, tools, stack=self.stack, clock=self.clock)

    def clean(self) -> tuple[str, ...]:
        """Remove what killed drills left."""
        return PrivateFolders(self.root).clean()


def programs_for(manifest: Manifest, search_path: str) -> Programs:
    """The server at hand that fits best: the archive's own major, else the next newer one.

    Raises: RestoreRefused, naming both sides.
    """
    facts = manifest.database
    found = [one for one in installed_servers(search_path) if os.access(one.path("pg_restore"), os.X_OK)]
    oldest = max(OLDEST_MAJOR, facts.server_major)
    for programs in sorted((one for one in found if one.major >= oldest), key=lambda one: one.major):
        if _reads(programs, manifest.codec):
            return programs
    seen = ", ".join(f"{one.version} in {one.folder}" for one in found)
    raise RestoreRefused(
        f"no server at hand can take {manifest.id}: it is of PostgreSQL {facts.server_version}, "
        f"compressed with {manifest.codec}",
        cause=f"found only {seen}" if seen else "there is no PostgreSQL server on this machine",
        hint=f"apt-get install postgresql-{facts.server_major}, or: pip install 'ops-runner[embedded]'",
    )


def _reads(programs: Programs, codec: str) -> bool:
    nowhere = PostgresEndpoint("/nonexistent", 1, "nobody", Secret(""), "x")
    return codec in {"none", "gzip"} or codec in LocalTools(programs.folder, nowhere).codecs()


def _refuse_without_room(folder: Path, manifest: Manifest) -> None:
    need, free = int(manifest.database.size_bytes * SPACE_FACTOR), shutil.disk_usage(folder).free
    if need > free:
        raise RestoreRefused(
            f"a drill of {manifest.id} needs {need} bytes, {folder.parent} has {free} left",
            hint="export OPS_STATE_DIR=FOLDER on a larger disk",
        )


@contextmanager
def _running(folder: Path, programs: Programs, user: ServerUser, login: Login) -> Iterator[PostgresEndpoint]:
    """The server; another port is tried where somebody took the first one meanwhile."""
    log = folder / "log"
    for attempt in range(1, _ATTEMPTS + 1):
        endpoint = PostgresEndpoint(_HOST, _free_port(), login.user, login.password, login.database)
        with _process(folder, programs, user, endpoint, log) as server:
            if _came_up(server, endpoint):
                yield endpoint
                return
        said = log.read_text("utf-8", errors="replace")[-2000:]
        if _IN_USE not in said or attempt == _ATTEMPTS:
            raise ServiceUnhealthy(
                f"the throwaway server {programs.version} did not come up",
                cause=" ".join(said.split()) or None,
                hint=f"{programs.path('postgres')} --version",
            )


@contextmanager
def _process(
    folder: Path, programs: Programs, user: ServerUser, endpoint: PostgresEndpoint, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    given = [word for setting in (*SETTINGS, f"port={endpoint.port}") for word in ("-c", setting)]
    program = [*user.command(death_signal=signal.SIGINT), programs.path("postgres"), "-D", str(folder / DATA), *given]
    with (
        log.open("wb") as said,
        subprocess.Popen(
            wrap(program, run_id=f"drill-{secrets.token_hex(8)}"),
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={"PATH": f"{programs.folder}:{os.defpath}", "LC_ALL": "C", "HOME": "/"},
            cwd="/",
            start_new_session=True,
        ) as server,
    ):
        assert server.stdin is not None
        try:
            server.stdin.write(b"\n")
            server.stdin.flush()
            yield server
        finally:
            end_server(folder)
            with suppress(BrokenPipeError):
                server.stdin.close()


def _came_up(server: subprocess.Popen[bytes], endpoint: PostgresEndpoint) -> bool:
    return wait_until(lambda: server.poll() is not None or _answers(endpoint), _START_S) and server.poll() is None


def _answers(endpoint: PostgresEndpoint) -> bool:
    try:
        connect(endpoint).close()
    except OpsError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
