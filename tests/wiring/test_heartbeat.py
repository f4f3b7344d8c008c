"""Is it known that the scheduler lives, whether it runs on this machine or as a service of the stack?"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.adapters.schedule_state import ScheduleState
from ops.config import read_project, read_settings
from ops.model.scheduler_status import Heartbeat, status_json
from ops.wiring.heartbeat import heartbeat_age_s
from ops.wiring.toolbox import Toolbox
from tests.adapters.docker.conftest import docker, sweep
from tests.scheduler.sample import status

COMPOSE = """\
services:
  nightly:
    image: postgres:17
    profiles: [nightly]
    network_mode: none
    entrypoint: []
    command: ["inv", "scheduler"]
    tmpfs: [/var/lib/postgresql/data]
    volumes: ["./inv:/usr/local/bin/inv:ro", "./status.json:/srv/status.json:ro"]
"""
INV = """\
#!/bin/sh
case "$*" in
  "scheduler --status --json") cat /srv/status.json ;;
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

    beat_at = datetime.now(UTC) - timedelta(seconds=40)
    ScheduleState(tools.state_folder).beat(Heartbeat(beat_at, 1.0, 1))

    age = heartbeat_age_s(tools)
    assert age is not None
    assert 40 <= age <= (datetime.now(UTC) - beat_at).total_seconds()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[str]:
    name = f"opstest{secrets.token_hex(4)}"
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    (tmp_path / "inv").write_text(INV)
    (tmp_path / "status.json").write_text(json.dumps(status_json(status()) | {"heartbeat_age_s": 4.5}))
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


def inv(folder: Path, project: str, *words: str) -> str:
    known = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "COMPOSE_PROJECT_NAME": project}
    done = subprocess.run(
        [Path(sys.executable).with_name("inv"), *words], cwd=folder, env={**known, "OPS_ENGINE": "docker"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.docker
def test_from_outside_the_status_of_a_scheduler_that_is_a_service_is_shown_and_so_is_its_container(
    project: str, tmp_path: Path
) -> None:
    (tmp_path / "tasks.py").write_text("from ops.cli import namespace\n")
    assert "looked at the state folder" in inv(tmp_path, project, "scheduler", "--status")
    assert json.loads(inv(tmp_path, project, "ps", "--json")) == []
    inv(tmp_path, project, "up", "--profiles", "nightly")

    text = inv(tmp_path, project, "scheduler", "--status")
    document = json.loads(inv(tmp_path, project, "scheduler", "--status", "--json"))
    (shown,) = json.loads(inv(tmp_path, project, "ps", "--json"))

    assert text.splitlines()[0] == "the scheduler of comic-pile is running: ok"
    assert "and at the service nightly, which is running" in text
    assert "every 6 hours" in text
    assert document["is_alive"] is True
    assert [job["name"] for job in document["jobs"]] == ["backup", "prune", "drill", "check"]
    assert document["looked_at"][1] == "the service nightly, which is running"
    assert shown == {"service": "nightly", "state": "running", "health": "none", "restarts": 0, "ports": []}

    inv(tmp_path, project, "down")
    gone = inv(tmp_path, project, "scheduler", "--status")
    assert gone.splitlines()[0].endswith("is not running: failing")
    assert "and at the service nightly, which is absent" in gone
    assert json.loads(inv(tmp_path, project, "ps", "--json")) == []
