"""Does whatever the SDK can raise reach a person as one of our errors?"""

from __future__ import annotations

import inspect
import socket
from pathlib import Path

import docker.errors
import pytest
import requests
import requests.exceptions
import urllib3.exceptions

from ops.adapters.docker.client import Connection, agreed_version
from ops.adapters.docker.errors import translate, translated
from ops.errors import (
    BuildFailed,
    ConfigurationError,
    EngineUnreachable,
    OpsError,
    PortTaken,
    Refused,
    UnknownService,
)

EVERY_ERROR = [
    each
    for _, each in inspect.getmembers(docker.errors, inspect.isclass)
    if issubclass(each, Exception) and each.__module__ == "docker.errors"
]


def made(kind: type[Exception]) -> Exception:
    own = kind.__init__ is not Exception.__init__ and inspect.isfunction(kind.__init__)
    needed = (
        [each for each in inspect.signature(kind).parameters.values() if each.default is each.empty] if own else [1]
    )
    return kind(*["x"] * len(needed))


def answer(status: int, words: str) -> docker.errors.APIError:
    response = requests.Response()
    response.status_code = status
    response._content = b'{"message": "%s"}' % words.encode()
    try:
        docker.errors.create_api_error_from_http_exception(requests.exceptions.HTTPError(response=response))
    except docker.errors.APIError as error:
        return error
    raise AssertionError


def test_docker_errors_holds_what_we_think_it_does() -> None:
    assert len(EVERY_ERROR) >= 18


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_every_error_of_the_sdk_becomes_one_of_ours(kind: type[Exception]) -> None:
    with pytest.raises(OpsError) as caught, translated("do something"):
        raise made(kind)

    assert caught.value.exit_code != 1
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (500, "driver failed: Bind for 0.0.0.0:80 failed: port is already allocated", PortTaken),
        (500, "listen tcp4 127.0.0.1:80: bind: address already in use", PortTaken),
        (404, "No such image: nonesuch:latest", BuildFailed),
        (404, "No such container: abc", UnknownService),
        (409, "Container abc is not running", UnknownService),
        (409, "Conflict. The container name /x is already in use", Refused),
        (409, "remove x: volume is in use", Refused),
        (400, "OCI runtime create failed: exec: nonesuch: executable file not found", ConfigurationError),
        (404, "network x not found", ConfigurationError),
        (500, "something broke", EngineUnreachable),
    ],
)
def test_an_answer_of_the_engine_becomes_the_error_that_fits(status: int, words: str, kind: type[OpsError]) -> None:
    found = translate(answer(status, words), "do something")

    assert type(found) is kind
    assert found.cause == words


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.ConnectionError("Read timed out"),
        requests.exceptions.ReadTimeout("slow"),
        urllib3.exceptions.ProtocolError("Connection aborted", ConnectionResetError(104, "reset")),
        BrokenPipeError(32, "Broken pipe"),
        docker.errors.DockerException("Error while fetching server API version"),
    ],
)
def test_a_broken_connection_is_an_engine_that_does_not_answer(error: Exception) -> None:
    assert isinstance(translate(error, "ask"), EngineUnreachable)


def test_a_socket_we_may_not_open_says_how_to_get_in() -> None:
    wrapped = requests.exceptions.ConnectionError(
        urllib3.exceptions.ProtocolError("Connection aborted.", PermissionError(13, "Permission denied"))
    )

    assert "usermod" in (translate(wrapped, "ask").hint or "")


def test_an_engine_that_is_not_there_is_named_so(tmp_path: Path) -> None:
    connection = Connection({"DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"})

    with pytest.raises(EngineUnreachable) as caught:
        connection.quick()

    assert "start the Docker engine" in (caught.value.hint or "")


def test_an_engine_that_hangs_up_is_one_that_does_not_answer(tmp_path: Path) -> None:
    import threading

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "rude.sock"))
        listener.listen()

        def hang_up() -> None:
            for _ in range(2):
                listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        connection = Connection({"DOCKER_HOST": f"unix://{tmp_path}/rude.sock"})

        with pytest.raises(EngineUnreachable):
            connection.quick()

        thread.join()


@pytest.mark.parametrize(
    ("server", "minimum", "agreed"), [("1.41", "1.12", "1.41"), ("1.44", "1.24", "1.44"), ("1.52", "1.44", "1.44")]
)
def test_we_speak_the_newest_version_that_both_sides_know(server: str, minimum: str, agreed: str) -> None:
    assert agreed_version(server, minimum) == agreed


@pytest.mark.parametrize(("server", "minimum"), [("1.40", "1.12"), ("1.60", "1.50")])
def test_an_engine_without_a_common_version_is_refused(server: str, minimum: str) -> None:
    with pytest.raises(EngineUnreachable):
        agreed_version(server, minimum)
