"""Does the real Compose write the config hash on containers that we compute for them?"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.adapters.compose_files import read_stack
from ops.adapters.docker.engine import DockerEngine
from ops.model.stack_plan import plan_up
from tests.judge.compose import BASE_ENVIRONMENT, Refused, ask_judge, compose_file

pytestmark = pytest.mark.docker
IMAGE = os.environ.get("POSTGRES_IMAGE", "postgres:17")
ENVIRONMENT = {"PASSED": "through <&> é", "HOME": BASE_ENVIRONMENT["HOME"]}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    project = tmp_path / f"opstest{secrets.token_hex(3)}"
    project.mkdir()
    yield project
    ask_judge(project, "--profile", "*", "down", "-v", "-t", "0", environment=ENVIRONMENT)


def labels_on_the_engine(project: str) -> dict[str, dict[str, str]]:
    """Service, network or volume key -> the labels that were written."""
    wanted = f"label=com.docker.compose.project={project}"
    found: dict[str, dict[str, str]] = {}
    for kind, template in (("container", ".Config.Labels"), ("network", ".Labels"), ("volume", ".Labels")):
        every = ["-a"] if kind == "container" else []
        listed = subprocess.run(
            ["docker", kind, "ls", "-q", *every, "--filter", wanted], capture_output=True, text=True, check=True
        ).stdout.split()
        for name in listed:
            inspected = subprocess.run(
                ["docker", kind, "inspect", "-f", "{{json " + template + "}}", name],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            labels = json.loads(inspected.stdout)
            key = labels[f"com.docker.compose.{'service' if kind == 'container' else kind}"]
            found[f"{kind} {key}"] = labels
    return found


def test_containers_networks_and_volumes_carry_the_hashes_that_we_compute(folder: Path) -> None:
    rich = {
        "image": IMAGE, "command": "sleep 60", "env_file": ["a.env", {"path": "none.env", "required": False}],
        "environment": ["PASSED", "NOWHERE", "OWN=1", "DOLLAR=$$x"], "volumes": ["data:/data:ro", "./x:/x", "/anon"],
        "ports": ["127.0.0.1::5432"], "secrets": ["s"], "networks": {"default": None, "front": {"aliases": ["a"]}},
        "healthcheck": {"test": "true", "interval": "1m30s"}, "mem_limit": "64m", "cpus": 0.1, "depends_on": ["plain"],
        "labels": {"a": "1"}, "stop_grace_period": "0s", "tmpfs": "/t", "profiles": ["p"],
    }  # fmt: skip
    top = {
        "volumes": {"data": {"labels": {"a": "<1>"}}},
        "networks": {"front": {"internal": True, "labels": ["a=b"]}},
        "secrets": {"s": {"file": "./s"}},
    }
    (folder / "docker-compose.yml").write_text(compose_file({"rich": rich, "plain": {"image": IMAGE}}, **top))
    (folder / "a.env").write_text("FROM_FILE=1\nUSES=$PASSED $OWN $FROM_FILE\nPASSED=not this\nOWN=nor this\n")
    (folder / "s").write_text("secret")

    made = ask_judge(folder, "--profile", "*", "create", "--pull", "never", environment=ENVIRONMENT)
    labels = labels_on_the_engine(folder.name)
    stack = read_stack(
        [Path("docker-compose.yml")], working_dir=folder, environment=ENVIRONMENT, env_file=None, profiles=["*"]
    )

    assert not isinstance(made, Refused), made
    ours = {f"container {name}": service.config_hashes[0] for name, service in stack.services.items()}
    ours |= {f"network {key}": network.config_hash for key, network in stack.networks.items()}
    ours |= {f"volume {key}": volume.config_hash for key, volume in stack.volumes.items()}
    assert ours == {key: value["com.docker.compose.config-hash"] for key, value in labels.items()}


def test_what_compose_made_is_current_in_our_plan(folder: Path) -> None:
    (folder / "docker-compose.yml").write_text(
        compose_file(
            {
                "db": {"image": IMAGE, "volumes": ["data:/data", "./x:/x"], "env_file": "a.env"},
                "app": {"image": IMAGE, "depends_on": ["db"], "networks": ["front"]},
            },
            volumes={"data": {}},
            networks={"front": {}},
        )
    )
    (folder / "a.env").write_text("A=1\n")
    made = ask_judge(folder, "create", "--pull", "never", environment=ENVIRONMENT)
    stack = read_stack([Path("docker-compose.yml")], working_dir=folder, environment=ENVIRONMENT, env_file=None)

    steps = plan_up(stack, DockerEngine().observe(stack))

    assert not isinstance(made, Refused), made
    assert [(step.action, step.subject, step.reason) for step in steps] == [
        ("start", "db", "never started"),
        ("start", "app", "never started"),
    ]
