"""Does a real Docker engine keep the promises of an engine?"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.adapters.docker.engine import DockerEngine
from ops.adapters.system_clock import SystemClock
from ops.model.compose.project import Stack
from tests.adapters.docker.conftest import Bench, docker, sweep, wait_for
from tests.conftest import free_port
from tests.contracts.engine_contract import EngineCase, EngineContract

pytestmark = pytest.mark.docker

# The contract is about services, not about PostgreSQL: what stands for the database here starts in a tenth of a second.
SERVICES = """
  db:
    image: python:3.13-slim
    command: ["sh", "-c", "echo ready; exec sleep 600"]
    init: true
    stop_grace_period: 1s
    environment: {POSTGRES_PASSWORD: x}
    ports: ["127.0.0.1:PORT:5432"]
    volumes: ["data:/data"]
    healthcheck: {test: ["CMD", "true"], interval: 200ms}
  app:
    image: python:3.13-slim
    command: ["sh", "-c", "APP"]
    init: true
    stop_grace_period: 1s
    depends_on: {db: {condition: service_healthy}}
    healthcheck: {test: ["CMD", "true"], interval: 200ms}
"""


class TestDockerEngine(EngineContract):
    @pytest.fixture
    def case(self, tmp_path: Path) -> Iterator[EngineCase]:
        engine = DockerEngine()
        bench = Bench(tmp_path, f"opstest{secrets.token_hex(4)}", engine)
        port = str(free_port())

        def stack_with(app: str) -> Stack:
            return bench.write(SERVICES.replace("PORT", port).replace("APP", app), "volumes: {data: {}}")

        def crash() -> Stack:
            return stack_with("echo about to fail; exit 3")

        stack = stack_with("echo on; echo and on; exec sleep 600")

        def kill(service: str) -> None:
            docker("kill", engine.status(stack, service).container_name)
            wait_for(lambda: engine.status(stack, service).state == "exited", f"{service} to be dead")

        yield EngineCase(engine, stack, SystemClock(), kill, ("sh", "-c", "cat; exit 7"), crash)
        sweep(bench.project)
        engine.close()
