"""Is our config hash Compose's own, byte for byte?

`config --hash` hashes a service before env files and names without a value are resolved, `up` after it: the first is
compared here for all other services, the second on a real engine in `test_interop.py`.
"""

# ruff: noqa: E501 - one line of a table holds as many values as fit

from __future__ import annotations

from pathlib import Path

import pytest

from ops.model.compose.config_hash import DIALECTS, network_hash, service_hash, service_hashes, volume_hash
from ops.model.compose.values import Tree
from tests.judge.compose import Refused, compose_file, judged_hashes, our_model
from tests.judge.test_values import DECLARED, VALUES

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"POSTGRES_USER": "u", "POSTGRES_PASSWORD": "p<&>é$", "POSTGRES_DB": "d", "SECRET_KEY": "s"}


def all_taken_values(folder: Path) -> dict[str, dict[str, object]]:
    services = {
        f"{key}-{index}": {"image": "x", key: value}
        for key, values in VALUES.items()
        for index, value in enumerate(values)
        if key not in ("env_file", "environment")
    }
    others = {"app2": {"image": "x"}}
    return {
        name: service
        for name, service in services.items()
        if not isinstance(our_model(folder, compose_file({name: service, **others}, **DECLARED)), Refused)
    } | {"app2": {"image": "x"}}


def test_every_value_that_we_take_has_composes_hash(tmp_path: Path) -> None:
    services = all_taken_values(tmp_path)
    names: dict[object, int] = {}
    for index, service in enumerate(services.values()):
        if names.setdefault(service.get("container_name"), index) != index:
            service.pop("container_name", None)
    text = compose_file(services, **DECLARED)

    theirs, mine = judged_hashes(tmp_path, text), our_model(tmp_path, text)

    assert not isinstance(theirs, Refused), theirs
    assert not isinstance(mine, Refused), mine
    different = [name for name, form in mine.services.items() if service_hash(form) != theirs[name]]
    assert len(theirs) > 200
    assert not different, different


def test_a_service_with_all_keys_has_composes_hash(tmp_path: Path) -> None:
    # fmt: off
    service = {
        "image": "postgres:17", "build": {"context": ".", "target": "t", "args": {"A": 1}}, "pull_policy": "build",
        "command": "a 'b c' '<&>'", "entrypoint": ["e", 'é ü \U0001f600 \u2028 \x08\x0c\x01\x1f " \\ /'], "user": "1000", "tty": True,
        "environment": {"B": "b", "A": 1, "C": "$$x", "D": "tab\tnewline\nreturn\r"}, "expose": [80], "hostname": "h",
        "ports": ["127.0.0.1:9000-9002:9000-9002/udp", {"target": 1, "published": 2, "name": "n", "app_protocol": "http"}],
        "volumes": ["data:/d:ro,nocopy", "./x:/x:z", "/anon", {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1m", "mode": 448}}],
        "tmpfs": ["/run:size=10m"], "networks": {"front": {"aliases": ["y", "x"]}, "back": None}, "depends_on": ["db"],
        "healthcheck": {"retries": 3, "interval": "90s", "test": "a & b", "timeout": "1.5s", "start_period": "0s", "disable": True},
        "restart": "on-failure:3", "profiles": ["p"], "secrets": ["s1", {"source": "s2", "target": "t"}], "labels": ["z=1", "a"],
        "working_dir": "/w", "init": False, "read_only": True, "stdin_open": True, "cap_add": ["B", "A"], "cap_drop": ["ALL"],
        "security_opt": ["x:y"], "extra_hosts": ["z:1.1.1.1", "a:2.2.2.2"], "group_add": [5, "g"], "shm_size": "1g",
        "mem_limit": "1.5g", "cpus": 0.1, "pids_limit": 10, "stop_grace_period": "1m30s", "stop_signal": "SIGINT",
        "logging": {"options": {"max-size": "1m", "a": 1}, "driver": "json-file"}, "container_name": "cc", "x-what": 1,
    }
    # fmt: on
    text = compose_file({"app": service, "db": {"image": "x"}}, **DECLARED)

    theirs, mine = judged_hashes(tmp_path, text), our_model(tmp_path, text)

    assert not isinstance(theirs, Refused), theirs
    assert not isinstance(mine, Refused), mine
    assert {name: service_hash(form) for name, form in mine.services.items()} == theirs


@pytest.mark.parametrize("cpus", [0.1, 0.25, 0.3333333333, 1e-5, 1e-7, 3, 12.5, 100.7, "0.7", 1e7])
def test_processors_are_hashed_as_the_32_bit_number_that_compose_keeps(cpus: object, tmp_path: Path) -> None:
    text = compose_file({"app": {"image": "x", "cpus": cpus}})

    theirs, mine = judged_hashes(tmp_path, text), our_model(tmp_path, text)

    assert not isinstance(mine, Refused)
    assert {"app": service_hash(mine.services["app"])} == theirs


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.prod.yml"])
def test_the_files_of_this_repository_have_composes_hashes(file: str, tmp_path: Path) -> None:
    text = (ROOT / file).read_text()

    theirs, mine = judged_hashes(tmp_path, text, ENVIRONMENT), our_model(tmp_path, text, ENVIRONMENT)

    assert not isinstance(theirs, Refused), theirs
    assert not isinstance(mine, Refused), mine
    assert {name: service_hash(form) for name, form in mine.services.items()} == theirs


def test_networks_and_volumes_have_the_hashes_that_compose_wrote_on_an_engine() -> None:
    network: Tree = {"name": "raresprobe_default", "ipam": {}}
    volume: Tree = {"name": "raresprobe_data"}

    assert network_hash(network) == "a37bc05e18da55b15d0231474934c34b792ffd9d76605ac2626aa80c7d6a6d9e"
    assert volume_hash(volume) == "2e9a6453a8ceb89472170037d20e99663a4d663ae41e6e5883285dfc5ec39978"


def test_a_bind_mount_has_another_hash_since_compose_5() -> None:
    bind: Tree = {"type": "bind", "source": "/x", "target": "/y", "bind": {"create_host_path": True}}
    plain: Tree = {"command": None, "entrypoint": None, "image": "x"}

    assert len(service_hashes(plain | {"volumes": [bind]})) == 3
    assert len(service_hashes(plain)) == 2
    assert service_hashes(plain)[0] == service_hash(plain, DIALECTS[1])


def test_only_older_versions_hash_profiles_and_dependencies() -> None:
    plain: Tree = {"command": None, "entrypoint": None, "image": "x"}
    more: Tree = plain | {"profiles": ["p"], "depends_on": {"db": {"condition": "service_started", "required": True}}}

    same = [dialect.name for dialect in DIALECTS if service_hash(plain, dialect) == service_hash(more, dialect)]

    assert same == ["2.30.2 to 2.40", "5.0 and later"]
