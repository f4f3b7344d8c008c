from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.adapters.compose_files import missing_host_files, passed_over, read_stack
from ops.errors import ConfigurationError
from ops.model.compose.project import Stack

ENVIRONMENT = {"HOME": "/home/me"}


def read(folder: Path, *, files: tuple[str, ...] = ("docker-compose.yml",), **options: Any) -> Stack:
    options = {"environment": ENVIRONMENT, "env_file": None, **options}
    return read_stack([Path(file) for file in files], working_dir=folder, **options)


def write(folder: Path, text: str, name: str = "docker-compose.yml") -> None:
    (folder / name).write_text(text)


def test_the_environment_wins_over_dotenv_even_when_it_is_empty(tmp_path: Path) -> None:
    write(tmp_path, "services: {a: {image: x, environment: {A: '${A-unset}', B: '${B-unset}', C: '${C-unset}'}}}")
    write(tmp_path, "A=file\nB=file\nC=$A\n", ".env")

    stack = read(tmp_path, environment={**ENVIRONMENT, "A": ""})

    assert stack.services["a"].environment == {"A": "", "B": "file", "C": ""}


def test_another_env_file_stands_in_for_dotenv(tmp_path: Path) -> None:
    write(tmp_path, "services: {a: {image: 'x:${A-unset}-${B-unset}'}}")
    write(tmp_path, "A=dot", ".env")
    write(tmp_path, "B=prod", ".env.production")

    stack = read(tmp_path, env_file=Path(".env.production"))

    assert stack.services["a"].image == "x:unset-prod"


def test_dotenv_may_be_missing_and_any_other_env_file_may_not(tmp_path: Path) -> None:
    write(tmp_path, "services: {a: {image: x}}")

    assert list(read(tmp_path, env_file=Path(".env")).services) == ["a"]
    with pytest.raises(ConfigurationError, match="production does not exist"):
        read(tmp_path, env_file=Path(".env.production"))


def test_a_wrong_line_of_dotenv_is_named_by_its_number(tmp_path: Path) -> None:
    write(tmp_path, "services: {a: {image: x}}")
    (tmp_path / ".env").write_text("A=1\nBAD LINE\n")

    with pytest.raises(ConfigurationError, match=r"line 2: the name 'BAD LINE' holds a space"):
        read(tmp_path, env_file=Path(".env"))


def test_a_missing_compose_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path)

    assert caught.value.message == f"the compose file {tmp_path}/docker-compose.yml does not exist"


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_bytes(b"services: \xff\xfe")

    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read(tmp_path)


def test_a_folder_in_place_of_the_compose_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").mkdir()

    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path)


def test_a_missing_file_to_mount_is_refused_before_an_engine_makes_a_folder_of_it(tmp_path: Path) -> None:
    write(
        tmp_path, "services: {proxy: {image: nginx, volumes: ['./nginx.conf:/etc/nginx/nginx.conf:ro', './ssl:/ssl']}}"
    )

    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path)

    assert caught.value.cause == f"services.proxy.volumes: {tmp_path}/nginx.conf"
    assert not (tmp_path / "nginx.conf").exists()


def test_who_only_looks_or_takes_down_may_go_on_without_mounted_files(tmp_path: Path) -> None:
    write(tmp_path, "services: {proxy: {image: 'nginx:$TAG', volumes: ['./nginx.conf:/etc/nginx/nginx.conf']}}")

    stack = read(tmp_path, is_strict=False)

    assert missing_host_files(stack) == (f"services.proxy.volumes: {tmp_path}/nginx.conf",)
    assert stack.unset_variables == ("TAG",)


def test_a_missing_folder_may_be_made_unless_the_file_says_no(tmp_path: Path) -> None:
    mount = "{type: bind, source: ./data, target: /data, bind: {create_host_path: %s}}"
    write(tmp_path, "services: {a: {image: x, volumes: [" + mount % "true" + "]}}")
    write(tmp_path, "services: {a: {image: x, volumes: [" + mount % "false" + "]}}", "strict.yml")

    assert list(read(tmp_path).services) == ["a"]
    with pytest.raises(ConfigurationError, match="1 path"):
        read(tmp_path, files=("strict.yml",))


def test_a_missing_secret_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "services: {a: {image: x, secrets: [s]}}\nsecrets: {s: {file: ./password}}")

    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path)

    assert caught.value.cause == f"secrets.s.file: {tmp_path}/password"


def test_later_files_win(tmp_path: Path) -> None:
    write(tmp_path, "services: {a: {image: x, environment: {A: 1, B: 1}}}")
    write(tmp_path, "services: {a: {environment: [B=2]}, b: {image: y}}", "more.yml")

    stack = read(tmp_path, files=("docker-compose.yml", "more.yml"))

    assert stack.services["a"].environment == {"A": "1", "B": "2"}
    assert stack.files == (tmp_path / "docker-compose.yml", tmp_path / "more.yml")


def test_no_password_is_in_a_refusal(tmp_path: Path) -> None:
    write(tmp_path, "services: {a: {image: x, environment: {P: '${PASSWORD}', Q: $MISSING}}}")
    write(tmp_path, "PASSWORD=hunter2", ".env")

    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path)

    assert "hunter2" not in f"{caught.value.message} {caught.value.cause} {caught.value.hint}"


def test_a_profile_that_no_service_has_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    write(tmp_path, "services: {a: {image: x}, b: {image: x, profiles: [night]}, c: {image: x, profiles: [tools]}}")

    assert list(read(tmp_path, profiles=["night"]).services) == ["a", "b"]
    with pytest.raises(ConfigurationError, match="no service has the profile 'nigth'") as refused:
        read(tmp_path, profiles=["night", "nigth"])
    assert refused.value.cause == "the profiles are: night, tools"


def test_what_compose_would_read_beside_the_one_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "docker-compose.yml"
    assert passed_over(file, {"COMPOSE_FILE": "docker-compose.yml"}) == ()

    write(tmp_path, "services: {}", "docker-compose.override.yml")

    assert passed_over(file, {"COMPOSE_FILE": "other.yml"}) == (
        "COMPOSE_FILE=other.yml is not read: only docker-compose.yml is, which [tool.ops] names",
        "docker-compose.override.yml is not read: only docker-compose.yml is, which [tool.ops] names",
    )
