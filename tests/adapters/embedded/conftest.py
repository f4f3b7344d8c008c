"""An embedded engine of a test's own: a small application, a real server, and nothing left afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ops.adapters.embedded.engine import EmbeddedEngine
from ops.adapters.embedded.process_mark import wait_until
from ops.adapters.embedded.service_process import ServiceProcess
from ops.model.compose.project import Dependency, Mount, Port, Service, Stack, Volume
from ops.model.stack_plan import Step
from tests.conftest import free_port
from tests.fakes.reporter import RecordingReporter

PASSWORD = "p@ss/w%rd:'x"

SETTINGS = ("work_mem=8MB", "fsync=off", "no_such_setting=1", "listen_addresses=*")

APPLICATION = """\
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
        self.wfile.write(os.environ.get("COLOUR", "none").encode())

if os.environ.get("CRASH"):
    print("about to fail", flush=True)
    sys.exit(int(os.environ["CRASH"]))
print("listening")
print("to stderr", file=sys.stderr)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@dataclass
class Place:
    """A project folder with an application in it, and ports of its own."""

    folder: Path
    database_port: int
    app_port: int

    @property
    def state(self) -> Path:
        return self.folder / ".ops" / "embedded"

    def engine(self, **changed: object) -> EmbeddedEngine:
        options: dict[str, object] = {
            "working_dir": self.folder,
            "app_command": (sys.executable, "application.py", "{port}"),
            "database_port": self.database_port,
            "app_port": self.app_port,
            **changed,
        }
        return EmbeddedEngine(self.state, **options)

    def stack(self, **variables: str) -> Stack:
        database = Service(
            "db",
            image="postgres:17",
            command=("postgres", *(word for setting in SETTINGS for word in ("-c", setting))),
            environment={"POSTGRES_USER": "me", "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": "comic"},
            mounts=(Mount("volume", "/var/lib/postgresql/data", "data"),),
            config_hashes=("db-hash",),
        )
        app = Service(
            "app",
            environment={"DATABASE_URL": "postgresql+psycopg://me:p%40ss%2Fw%25rd%3A%27x@db:5432/comic", **variables},
            depends_on=(Dependency("db", "service_healthy"),),
            ports=(Port(8000, "8000", "127.0.0.1"),),
            config_hashes=("app-hash",),
        )
        return Stack(
            "opstest", self.folder, (), {"db": database, "app": app}, volumes={"data": Volume("data", "opstest_data")}
        )

    def process(self, service: str) -> ServiceProcess:
        return ServiceProcess(self.state / "run", service)

    def kill(self, service: str) -> None:
        """SIGKILL to the service's own process; returns once its keeper has written that down."""
        record = self.process(service).running()
        assert record is not None
        os.kill(record.process.pid, signal.SIGKILL)
        assert wait_until(lambda: not record.keeper.is_alive(), 10)

    def clear(self) -> None:
        """Nothing of this place runs any more."""
        for service in ("app", "db"):
            record = self.process(service).record()
            if record is not None:
                for one in (record.keeper, record.process):
                    one.send(signal.SIGKILL)
                wait_until(lambda found=record: not (found.keeper.is_alive() or found.process.is_alive()), 10)


@pytest.fixture
def make_place() -> Iterator[Callable[[Path], Place]]:
    places: list[Place] = []

    def make(folder: Path) -> Place:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "application.py").write_text(APPLICATION)
        places.append(Place(folder, free_port(), free_port()))
        return places[-1]

    yield make
    for place in places:
        place.clear()


@pytest.fixture
def bare_place(make_place: Callable[[Path], Place], tmp_path: Path) -> Place:
    """A project that was never started."""
    return make_place(tmp_path / "project")


@pytest.fixture(scope="session")
def made_volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volumes of a stack that was started and stopped once: making data costs seconds of disk, copying none."""
    place = Place(tmp_path_factory.mktemp("embedded"), free_port(), free_port())
    engine, stack, report = place.engine(), place.stack(), RecordingReporter()
    engine.apply(Step("create", "db", "for all tests"), stack, report)
    try:
        assert wait_until(lambda: engine.status(stack, "db").health == "healthy", 60)
        engine.apply(Step("stop", "db", "for all tests"), stack, report)
    finally:
        place.clear()
    return place.state / "volumes"


@pytest.fixture
def place(bare_place: Place, made_volumes: Path) -> Place:
    """A project whose data exists; nothing runs."""
    bare_place.state.mkdir(parents=True)
    subprocess.run(["cp", "-a", made_volumes, bare_place.state], check=True)
    return bare_place


def crashing(stack: Stack, code: int = 3) -> Stack:
    """The stack with an application that ends at once."""
    app = stack.services["app"]
    changed = replace(app, environment={**app.environment, "CRASH": str(code)})
    return replace(stack, services={**stack.services, "app": changed})
