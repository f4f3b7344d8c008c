"""Is it known that the scheduler lives, whether it runs on this machine or as a service of the stack?"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.adapters.schedule_state import ScheduleState
from ops.config import read_project, read_settings
from ops.model.scheduler_status import Heartbeat
from ops.wiring.heartbeat import heartbeat_age_s
from ops.wiring.toolbox import Toolbox
from tests.adapters.docker.conftest import docker, sweep

COMPOSE = """\
services:
  nightly:
    image: postgres:17
    profiles: [nightly]
    network_mode: none
    entrypoint: []
    command: ["inv", "scheduler"]
    volumes: ["./inv:/usr/local/bin/inv:ro"]
"""
INV = """\
#!/bin/sh
case "$*" in
  "scheduler --status --json") echo '{"heartbeat_age_s": 4.5}' ;;
  scheduler) exec sleep 300 ;;
esac
"""


def tools_in(folder: Path, engine: str, project: str, monkeypatch: pytest.MonkeyPatch) -> Toolbox:
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", project)
    variables = {"OPS_ENGINE": engine, "DATABASE_URL": "sqlite:///app.db", "COMPOSE_PROJECT_NAME": project}
    settings = read_settings(variables, root=folder)
    return Toolbox(read_project(folder), settings, folder / ".env", (), (), is_strict=False)


def test_a_scheduler_of_this_machine_is_as_old_as_its_last_round_and_none_has_no_age(tmp_path, monkeypatch) -> None:
    tools = tools_in(tmp_path, "url", "opstest", monkeypatch)
    assert heartbeat_age_s(tools) is None

    ScheduleState(tools.state_folder).beat(Heartbeat(datetime.now(UTC) - timedelta(seconds=40), 1.0, 1))

    age = heartbeat_age_s(tools)
    assert age is not None
    assert 40 <= age < 50


@pytest.fixture
def project(tmp_path: Path) -> Iterator[str]:
    name = f"opstest{secrets.token_hex(4)}"
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    (tmp_path / "inv").write_text(INV)
    (tmp_path / "inv").chmod(0o755)
    yield name
    sweep(name)


@pytest.mark.docker
def test_a_scheduler_that_is_a_service_of_the_stack_is_asked_itself(project, tmp_path, monkeypatch) -> None:
    tools = tools_in(tmp_path, "docker", project, monkeypatch)
    assert heartbeat_age_s(tools) is None, "it does not run yet"

    made = tools.again(profiles=("nightly",))
    made.record_engine()
    from ops.wiring.lifecycle import up

    up(made)
    assert heartbeat_age_s(tools.again()) == 4.5

    docker(
        "stop", "--time", "0", *docker("ps", "-q", "--filter", f"label=com.docker.compose.project={project}").split()
    )
    assert heartbeat_age_s(tools.again()) is None
