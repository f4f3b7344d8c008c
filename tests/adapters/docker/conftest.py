"""How does a test get a stack of its own on the real engine, and leave nothing behind?"""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ops.adapters.compose_files import read_stack
from ops.adapters.docker.engine import DockerEngine
from ops.model.compose.project import Stack
from ops.model.engine import ServiceStatus
from ops.model.stack_plan import Step, plan_down, plan_up
from tests.fakes.reporter import RecordingReporter

SLEEPER = """
  app:
    image: python:3.13-slim
    command: ["sleep", "600"]
    init: true
    stop_grace_period: 1s
"""


@dataclass
class Bench:
    """A folder with a compose file, and the engine it runs on."""

    folder: Path
    project: str
    engine: DockerEngine
    report: RecordingReporter = field(default_factory=RecordingReporter)
    anonymous: set[str] = field(default_factory=set)
    """Volumes without a name that its containers had: they carry no label to be found by afterwards."""

    def write(self, services: str = SLEEPER, rest: str = "") -> Stack:
        """Write the compose file and read it as the tasks would."""
        self.file.write_text(f"name: {self.project}\nservices:\n{services}\n{rest}\n")
        return self.read()

    def read(self) -> Stack:
        return read_stack([self.file], working_dir=self.folder, environment={}, env_file=None)

    @property
    def file(self) -> Path:
        return self.folder / "docker-compose.yml"

    def plan(self, stack: Stack) -> tuple[Step, ...]:
        return plan_up(stack, self.engine.observe(stack))

    def changes(self, stack: Stack) -> list[str]:
        return [f"{step.action} {step.subject}" for step in self.plan(stack) if step.is_change]

    def up(self, stack: Stack) -> None:
        steps = self.plan(stack)
        self.engine.preflight(steps, stack)
        for step in steps:
            self.engine.apply(step, stack, self.report)
        self.note_volumes(stack)

    def note_volumes(self, stack: Stack) -> None:
        for status in self.engine.observe(stack).services.values():
            self.anonymous |= {volume for volume in status.volumes if len(volume) == 64}

    def down(self, stack: Stack, *, remove_volumes: bool = False) -> None:
        for step in plan_down(stack, self.engine.observe(stack), remove_volumes=remove_volumes):
            self.engine.apply(step, stack, self.report)

    def sweep(self) -> None:
        """Leave nothing behind."""
        sweep(self.project)
        for volume in self.anonymous:
            docker("volume", "rm", volume, check=False)

    def labels(self, stack: Stack, service: str = "app") -> dict[str, str]:
        """The labels of a service's container, as the engine tells them."""
        name = self.status(stack, service).container_name
        return dict(json.loads(docker("inspect", "--format", "{{json .Config.Labels}}", name)))

    def status(self, stack: Stack, service: str = "app") -> ServiceStatus:
        return self.engine.status(stack, service)


def docker(*words: str, check: bool = True) -> str:
    """The Docker command line, as somebody beside us would use it."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout.strip()


def left_of(project: str) -> dict[str, list[str]]:
    """What the engine still holds of a project."""
    of_project = ("--filter", f"label=com.docker.compose.project={project}")
    return {
        "containers": docker("ps", "--all", "--quiet", *of_project).split(),
        "networks": docker("network", "ls", "--quiet", *of_project).split(),
        "volumes": docker("volume", "ls", "--quiet", *of_project).split(),
    }


def sweep(project: str) -> None:
    left = left_of(project)
    if left["containers"]:
        docker("rm", "--force", "--volumes", *left["containers"], check=False)
    for kind in ("network", "volume"):
        if left[f"{kind}s"]:
            docker(kind, "rm", *left[f"{kind}s"], check=False)


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    engine = DockerEngine()
    yield engine
    engine.close()


@pytest.fixture
def bench(engine: DockerEngine, tmp_path: Path) -> Iterator[Bench]:
    """An empty project of its own."""
    project = f"opstest{secrets.token_hex(4)}"
    bench = Bench(tmp_path, project, engine)
    yield bench
    bench.sweep()


@pytest.fixture(scope="module")
def running(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DockerEngine, Stack]]:
    """A stack with one sleeping service `app`, shared by the tests of a file that do not change it."""
    bench = Bench(tmp_path_factory.mktemp("running"), f"opstest{secrets.token_hex(4)}", engine)
    stack = bench.write()
    bench.up(stack)
    yield engine, stack
    sweep(bench.project)


@pytest.fixture(scope="module")
def database(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DockerEngine, Stack]]:
    """A stack with one PostgreSQL service `db`, healthy, shared by the tests of a file."""
    from tests.conftest import free_port

    bench = Bench(tmp_path_factory.mktemp("database"), f"opstest{secrets.token_hex(4)}", engine)
    (bench.folder / "password").write_text("pa%ss w'or\"d$\n")
    stack = bench.write(
        f"""
  db:
    image: postgres:17
    environment:
      POSTGRES_USER: comic
      POSTGRES_DB: pile
      POSTGRES_PASSWORD_FILE: /run/secrets/db_password
    secrets: [db_password]
    ports: ["127.0.0.1:{free_port()}:5432"]
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck:
      test: ["CMD-SHELL", "psql -h 127.0.0.1 -U comic -d pile -c 'SELECT 1'"]
      interval: 2s
      retries: 60
""",
        "volumes: {data: {}}\nsecrets: {db_password: {file: ./password}}",
    )
    bench.up(stack)
    wait_for(lambda: engine.status(stack, "db").health == "healthy", "the database to be healthy")
    yield engine, stack
    sweep(bench.project)


def wait_for(condition, what: str, within_s: float = 60) -> None:
    """Poll until true; fails with a sentence."""
    import time

    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {within_s} s for {what}"
        time.sleep(0.05)
