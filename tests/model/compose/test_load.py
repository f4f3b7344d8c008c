"""What comes out of the loader beside what the judge sees (tests/judge): values, refusals and their words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.errors import ConfigurationError, UnknownService
from ops.model.compose.load import ComposeText, load_stack
from ops.model.compose.project import (
    Build,
    Dependency,
    HealthTest,
    Mount,
    Network,
    Port,
    SecretMount,
    SecretSource,
    Stack,
    Volume,
)
from ops.model.compose.schema import SERVICE_KEYS
from ops.model.compose.service_form import READERS

FOLDER = Path("/srv/comic")


def load(text: str, variables: Mapping[str, str] | None = None, **options: Any) -> Stack:
    files: dict[str, str] = options.pop("files", {})
    return load_stack(
        [ComposeText(FOLDER / "docker-compose.yml", text)],
        working_dir=FOLDER,
        variables={"HOME": "/home/me", **(variables or {})},
        read_text=files.get,
        **options,
    )


def refusal(text: str, variables: Mapping[str, str] | None = None, **options: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load(text, variables, **options)
    return caught.value


FULL = """
name: comic
x-common: &common
  restart: unless-stopped
  logging: {driver: json-file, options: {max-size: 10m}}
services:
  db:
    <<: *common
    image: postgres:${MAJOR:-17}
    environment: {POSTGRES_DB: comic, PORT: 0x10, PASSED: }
    volumes:
      - data:/var/lib/postgresql/data
      - ./conf:/etc/conf:ro,z
      - {type: bind, source: ./strict, target: /strict, bind: {create_host_path: false}}
      - {type: tmpfs, target: /tmp, tmpfs: {size: 1m, mode: 0o1777}}
    tmpfs: [/run:size=1m, /cache]
    ports: ["127.0.0.1:${PORT:-5432}:5432", "8000-8001:80-81/udp", 9000]
    healthcheck: {test: pg_isready, interval: 1m30s, timeout: 500ms, retries: 5, start_period: 10s}
    secrets: [password, {source: token, target: api/token}, {source: token, target: /etc/token}]
    shm_size: 128m
    mem_limit: 1.5g
    stop_grace_period: 1m
    cpus: "0.5"
  app:
    build: {context: ./app, dockerfile: Dockerfile.dev, target: runtime, args: [A=1, HOME, NOWHERE]}
    depends_on: {db: {condition: service_healthy, restart: true}, cache: {condition: service_started, required: false}}
    command: uvicorn app.main:app --host "0.0.0.0"
    entrypoint: []
    networks: {default: , back: {aliases: [api]}}
    healthcheck: {disable: true}
  cache:
    image: redis
    profiles: [cache]
    networks: [unused]
networks: {back: {internal: true, name: comic-back}, unused: }
volumes: {data: , unused: , outside: {external: true}}
secrets: {password: {file: ./password.txt}, token: {environment: TOKEN}, unused: {file: x}}
"""


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load(FULL, {"PASSED": "through"})


def test_the_active_services_and_what_they_use_are_in_the_stack(stack: Stack) -> None:
    assert stack.project == "comic"
    assert list(stack.services) == ["db", "app"]
    assert stack.inactive == ("cache",)
    assert set(stack.networks) == {"default", "back"}
    assert set(stack.volumes) == {"data"}
    assert stack.secrets == {
        "password": SecretSource("password", file=FOLDER / "password.txt"),
        "token": SecretSource("token", environment="TOKEN"),
    }


def test_networks_and_volumes_have_the_engines_names(stack: Stack) -> None:
    back, data = stack.networks["back"], stack.volumes["data"]

    assert back == Network("back", "comic-back", is_internal=True, config_hash=back.config_hash)
    assert data == Volume("data", "comic_data", config_hash=data.config_hash)
    assert stack.networks["default"].name == "comic_default"
    assert len(data.config_hash) == len(back.config_hash) == 64


def test_mounts_are_absolute_and_carry_their_options(stack: Stack) -> None:
    assert stack.services["db"].mounts == (
        Mount("volume", "/var/lib/postgresql/data", "data"),
        Mount("bind", "/etc/conf", "/srv/comic/conf", read_only=True, options=("z",)),
        Mount("bind", "/strict", "/srv/comic/strict", create_host_path=False),
        Mount("tmpfs", "/tmp", options=("size=1048576", "mode=1777")),
        Mount("tmpfs", "/run", options=("size=1m",)),
        Mount("tmpfs", "/cache"),
    )


def test_ports_environment_and_limits_are_resolved(stack: Stack) -> None:
    db = stack.services["db"]

    assert db.image == "postgres:17"
    assert db.ports == (
        Port(5432, "5432", "127.0.0.1"),
        Port(80, "8000", protocol="udp"),
        Port(81, "8001", protocol="udp"),
        Port(9000),
    )
    assert db.environment == {"POSTGRES_DB": "comic", "PORT": "16", "PASSED": "through"}
    assert (db.shm_size_bytes, db.mem_limit_bytes, db.cpus, db.stop_grace_period_s) == (128 << 20, 3 << 29, 0.5, 60.0)
    assert (db.restart, db.log_driver, db.log_options) == ("unless-stopped", "json-file", {"max-size": "10m"})


def test_health_checks_secrets_builds_and_dependencies_are_values(stack: Stack) -> None:
    db, app = stack.services["db"], stack.services["app"]

    assert db.healthcheck == HealthTest(("CMD-SHELL", "pg_isready"), 90.0, 0.5, 10.0, 5)
    assert app.healthcheck == HealthTest(("NONE",))
    assert db.secrets == (
        SecretMount("password", "/run/secrets/password"),
        SecretMount("token", "/run/secrets/api/token"),
        SecretMount("token", "/etc/token"),
    )
    assert app.build == Build(FOLDER / "app", FOLDER / "app/Dockerfile.dev", "runtime", {"A": "1", "HOME": "/home/me"})
    assert app.depends_on == (Dependency("db", "service_healthy", is_restarted=True),)
    assert app.command == ("uvicorn", "app.main:app", "--host", "0.0.0.0")
    assert app.entrypoint == ()
    assert db.command is None
    assert app.networks == {"default": (), "back": ("api",)}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("services: {app: {image: x, devices: [a]}}", "services.app.devices"),
        ("services: {app: {image: x, healthcheck: {start_interval: 1s}}}", "services.app.healthcheck.start_interval"),
        ("services: {app: {image: x, build: {context: ., cache_from: [x]}}}", "services.app.build.cache_from"),
        ("services: {app: {image: x, ports: [{target: 1, x: 2}]}}", "services.app.ports[0].x"),
        ("services: {app: {image: x}}\nconfigs: {}", "configs"),
        ("services: {app: {image: x}}\nnetworks: {n: {ipam: {}}}", "networks.n.ipam"),
        ("services: {app: {image: x, deploy: {replicas: 2}}}", "services.app.deploy"),
    ],
)
def test_an_unknown_key_is_refused_by_its_path(text: str, path: str) -> None:
    error = refusal(text)

    assert error.message == f"the key {path} is not supported"
    assert error.hint is not None
    assert path in error.hint


def test_a_wrong_value_is_refused_by_its_path() -> None:
    error = refusal("services: {app: {image: x, ports: ['80', 'http']}}")

    assert error.message == "services.app.ports[1]: 'http' is not a port"


def test_bad_yaml_names_the_file_and_the_line() -> None:
    error = refusal("services:\n  app: {image: x\n")

    assert error.message.startswith("docker-compose.yml, line 3")


def test_all_variables_without_a_value_are_named_at_once_with_their_places() -> None:
    text = """
    services:
      db: {image: x, environment: {A: $ONE, B: "${TWO:?set it}", C: "${THREE:-fine}", D: "${ONE}"}}
      app: {image: "x:$FOUR", command: "echo $$FIVE"}
    """

    error = refusal(text)

    assert error.message == "3 variables have no value: ONE, TWO, FOUR"
    assert error.cause == (
        "ONE is wanted by services.db.environment.A and 1 more; "
        "TWO is wanted by services.db.environment.B: set it; FOUR is wanted by services.app.image"
    )


def test_without_strictness_only_what_the_file_insists_on_is_refused() -> None:
    stack = load("services: {db: {image: x, environment: {A: a$ONE}}}", is_strict=False)
    error = refusal("services: {db: {image: '${ONE}${TWO:?}'}}", is_strict=False)

    assert stack.unset_variables == ("ONE",)
    assert stack.services["db"].environment == {"A": "a"}
    assert error.message == "1 variable has no value: TWO"


def test_an_env_file_gives_what_the_service_does_not_set_itself() -> None:
    text = "services: {app: {image: x, env_file: app.env, environment: {A: own}}}"
    files = {"/srv/comic/app.env": "A=file\nB=$A-$C\nC=c\nD='$A'"}

    stack = load(text, files=files, is_strict=False)

    assert stack.services["app"].environment == {"A": "own", "B": "own-", "C": "c", "D": "$A"}
    assert stack.unset_variables == ("C",)


def test_a_missing_env_file_is_refused_unless_it_is_not_required() -> None:
    error = refusal("services: {app: {image: x, env_file: [nope.env]}}")
    stack = load("services: {app: {image: x, env_file: [{path: nope.env, required: false}]}}")

    assert error.message == "the env file /srv/comic/nope.env does not exist"
    assert stack.services["app"].environment == {}


def test_naming_a_service_switches_its_profile_on() -> None:
    stack = load(FULL, {"PASSED": "x"}, services=["cache"])

    assert "cache" in stack.services
    assert [needed.service for needed in stack.services["app"].depends_on] == ["db", "cache"]


def test_profiles_come_from_the_variable_unless_given() -> None:
    text = "services: {a: {image: x, profiles: [one]}, b: {image: x, profiles: [two]}}"

    assert list(load(text, {"COMPOSE_PROFILES": "one, none"}).services) == ["a"]
    assert list(load(text, {"COMPOSE_PROFILES": "one"}, profiles=["two"]).services) == ["b"]
    assert list(load(text, profiles=["*"]).services) == ["a", "b"]


def test_a_name_that_is_no_service_is_refused() -> None:
    with pytest.raises(UnknownService) as caught:
        load("services: {db: {image: x}}", services=["bd"])

    assert caught.value.cause == "it has db"


def test_a_required_dependency_that_a_profile_keeps_off_is_refused() -> None:
    error = refusal("services: {a: {image: x, depends_on: [b]}, b: {image: x, profiles: [p]}}")

    assert "services.a.depends_on.b" in error.message


def test_two_services_cannot_have_one_containers_name() -> None:
    error = refusal("services: {a: {image: x, container_name: cc}, b: {image: x, container_name: cc}}")

    assert error.message == "services.b.container_name: 'cc' is already the name of a"


def test_a_name_from_outside_must_be_valid_as_it_is() -> None:
    error = refusal("services: {a: {image: x}}", project="My App")

    assert error.message == "the project name 'My App' is not valid"
    assert error.hint == "use myapp"


def test_the_project_name_is_a_variable_of_the_file() -> None:
    stack = load("services: {a: {image: x, environment: {P: $COMPOSE_PROJECT_NAME}}}", project="p1")

    assert stack.services["a"].environment == {"P": "p1"}


def test_every_known_key_of_a_service_has_its_reader() -> None:
    assert set(READERS) == SERVICE_KEYS
