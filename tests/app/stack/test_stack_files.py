"""Do the compose files, the Dockerfile and what goes to the builder say what they must, in Compose's own reading?"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from ops.model.compose.load import ComposeText, load_stack
from tests.app.conftest import ROOT

COMPOSE = Path(sysconfig.get_path("purelib")) / "compose" / "docker-compose"
PRODUCTION = {"POSTGRES_USER": "u", "POSTGRES_PASSWORD": "p", "POSTGRES_DB": "d"}


def compose(file: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real Compose on one of our files, with these variables and no others."""
    keep = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    command = [str(COMPOSE), "-f", file, "--env-file", "/dev/null", "--profile", "*", *arguments]
    return subprocess.run(command, cwd=ROOT, env=keep | environment, capture_output=True, text=True, check=False)


def read(file: str, **environment: str) -> dict[str, Any]:
    """One of our files as Compose understands it."""
    answer = compose(file, "config", "--format", "json", **environment)
    assert answer.returncode == 0, answer.stderr
    return dict(json.loads(answer.stdout))


def test_compose_takes_the_development_stack_as_it_stands() -> None:
    stack = read("docker-compose.yml")

    assert stack["name"] == "comic-pile"
    assert set(stack["services"]) == {"db", "app", "pgadmin", "scheduler"}
    assert {name for name, service in stack["services"].items() if "profiles" in service} == {"pgadmin", "scheduler"}


def test_development_is_published_on_this_machine_only() -> None:
    services = read("docker-compose.yml", DB_PORT="6543", APP_PORT="9000")["services"]

    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert services["db"]["ports"][0]["published"] == "6543"
    assert services["app"]["ports"][0]["published"] == "9000"


@pytest.mark.parametrize("missing", sorted(PRODUCTION))
def test_production_refuses_to_be_read_without_each_of_its_secrets(missing: str) -> None:
    answer = compose("docker-compose.prod.yml", "config", "-q", **PRODUCTION | {missing: ""})

    assert answer.returncode != 0
    assert f"required variable {missing} is missing a value: set it in .env.production" in answer.stderr


def test_production_is_a_project_of_its_own_and_publishes_its_proxy_only() -> None:
    stack = read("docker-compose.prod.yml", **PRODUCTION)
    services = stack["services"]

    assert stack["name"] == "comic-pile-prod"
    assert {name for name, service in services.items() if service.get("ports")} == {"nginx"}
    assert stack["networks"]["inside"]["internal"] is True
    assert set(services["db"]["networks"]) == {"inside"}
    assert set(services["nginx"]["networks"]) == {"edge"}


def test_production_bounds_and_confines_every_service() -> None:
    for name, service in read("docker-compose.prod.yml", **PRODUCTION)["services"].items():
        assert service["restart"] == "always", name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["mem_limit"]) > 0, name
        assert service["pids_limit"] > 0, name
        assert service["logging"]["options"]["max-size"] == "10m", name
        assert service.get("read_only") is (None if name == "db" else True), name
        binds = [mount for mount in service.get("volumes", []) if mount["type"] == "bind"]
        assert all(mount.get("read_only") or name == "scheduler" for mount in binds), name


def test_the_private_key_lies_where_only_the_proxy_sees_it_and_the_certificate_where_the_scheduler_checks_it() -> None:
    services = read("docker-compose.prod.yml", **PRODUCTION)["services"]
    (certificate,) = re.findall(r"ssl_certificate (.*);", (ROOT / "nginx/tls.conf.example").read_text())
    (key,) = re.findall(r"ssl_certificate_key (.*);", (ROOT / "nginx/tls.conf.example").read_text())

    def source(service: str, path: str) -> str:
        """Where on the host a file of a service lies, in the project's folder."""
        (mount,) = [one for one in services[service]["volumes"] if Path(path).is_relative_to(one["target"])]
        return os.path.relpath(Path(mount["source"]) / Path(path).relative_to(mount["target"]), ROOT)

    def sees(service: str, path: str) -> bool:
        mounts = [one for one in services[service].get("volumes", []) if one["type"] == "bind"]
        return any((ROOT / path).is_relative_to(one["source"]) for one in mounts)

    assert {name for name in services if sees(name, source("nginx", key))} == {"nginx"}
    assert {name for name in services if sees(name, source("nginx", certificate))} == {"nginx", "scheduler"}
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ops"]["certificates"]["files"]
    assert any(fnmatch(source("nginx", certificate), pattern) for pattern in patterns)
    assert source("scheduler", f"/ops/{source('nginx', certificate)}") == source("nginx", certificate)


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.prod.yml"])
def test_the_scheduler_encrypts_and_copies_as_a_backup_by_hand_does(file: str) -> None:
    told = {name: f"of {name}" for name in ("OPS_BACKUP_RECIPIENTS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                            "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3")}  # fmt: skip

    services = read(file, **PRODUCTION, **told)["services"]

    assert {name: services["scheduler"]["environment"].get(name) for name in told} == told
    assert not told.keys() & services["app"]["environment"].keys()


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.prod.yml"])
def test_our_own_loader_reads_every_service_as_compose_does(file: str) -> None:
    path = ROOT / file
    text = ComposeText(path, path.read_text())

    stack = load_stack([text], working_dir=ROOT, variables=PRODUCTION, read_text=Path.read_text, profiles=["*"])

    theirs = read(file, **PRODUCTION)
    assert stack.project == theirs["name"]
    assert {name: dict(service.environment) for name, service in stack.services.items()} == {
        name: service.get("environment", {}) for name, service in theirs["services"].items()
    }
    hashes = [line.split() for line in compose(file, "config", "--hash", "*", **PRODUCTION).stdout.splitlines()]
    assert {name: service.config_hashes[0] for name, service in stack.services.items()} == dict(hashes)
    assert stack.unset_variables == ()


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.prod.yml"])
def test_no_service_gets_the_docker_socket_and_every_bound_file_is_in_git(file: str) -> None:
    tracked = set(subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines())

    for service in read(file, **PRODUCTION)["services"].values():
        for mount in service.get("volumes", []):
            if mount["type"] == "bind":
                assert "docker.sock" not in mount["source"]
                path = os.path.relpath(mount["source"], ROOT)
                assert path in tracked or any(one.startswith(f"{path}/") for one in tracked), path


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.prod.yml"])
def test_the_database_is_made_the_way_every_engine_makes_it_and_probed_by_a_login(file: str) -> None:
    db = read(file, **PRODUCTION)["services"]["db"]

    for option in ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums", "--encoding=UTF8"):
        assert option in db["environment"]["POSTGRES_INITDB_ARGS"].split()
    probe = db["healthcheck"]["test"][1]
    assert "psql -h 127.0.0.1" in probe
    assert 'PGPASSWORD="$$POSTGRES_PASSWORD"' in probe
    assert "shared_buffers=256MB" in db["command"]
    assert "max_wal_size=4GB" in db["command"]


def test_both_stacks_tune_their_database_alike() -> None:
    development, production = (
        read(file, **PRODUCTION)["services"]["db"] for file in ("docker-compose.yml", "docker-compose.prod.yml")
    )

    assert development["command"] == production["command"]
    assert development["environment"] == production["environment"]


def test_the_classic_builder_can_read_the_dockerfile_and_ends_with_the_runtime() -> None:
    text = (ROOT / "Dockerfile").read_text()

    assert not re.search(r"^\s*#\s*syntax|RUN\s+--|COPY\s+--(link|chmod)|<<-?['\"]?[A-Za-z]", text, re.MULTILINE)
    assert re.findall(r"^FROM .*$", text, re.MULTILINE)[-1] == "FROM runtime"


def test_what_goes_to_the_builder_is_named_file_by_file() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert lines[0] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert allowed == {name for names in copied for name in names.split()}
    assert "**/.env*" in lines


def test_the_example_of_an_environment_names_only_variables_that_somebody_reads() -> None:
    files = ("docker-compose.yml", "docker-compose.prod.yml", "app/config.py")
    text = "".join((ROOT / file).read_text() for file in files)

    names = re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(names) > 10
    for name in names:
        assert name in text, name
