"""What does a failure of the Docker SDK mean to a person?

One boundary: whatever docker, requests, urllib3 or the socket raises inside `translated(...)` leaves it as a leaf of
our own tree, with the engine's own words as the cause.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import requests.exceptions
import urllib3.exceptions

from ops.errors import (
    BuildFailed,
    ConfigurationError,
    EngineUnreachable,
    OpsError,
    PortTaken,
    Refused,
    ServiceUnhealthy,
    UnknownService,
)

FOREIGN = (
    docker.errors.DockerException,
    docker.errors.StreamParseError,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
)
"""What the SDK and the socket below it can raise."""

_BUILD = (docker.errors.BuildError, docker.errors.ImageLoadError)
_WRONG_SETTING = (
    docker.errors.InvalidVersion,
    docker.errors.InvalidRepository,
    docker.errors.InvalidConfigFile,
    docker.errors.InvalidArgument,
    docker.errors.DeprecatedMethod,
    docker.errors.TLSParameterError,
    docker.errors.NullResource,
    docker.errors.MissingContextParameter,
    docker.errors.ContextAlreadyExists,
    docker.errors.ContextException,
    docker.errors.ContextNotFound,
)
_NOT_RUNNING = ("is not running", "is paused", "is restarting", "no such container", "no such exec")
_PORT = ("port is already allocated", "address already in use", "ports are not available")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn foreign exceptions into ours.

    Args:
        doing: what was tried, to complete "the engine failed to ...", such as `start db`.
    """
    try:
        yield
    except OpsError:
        raise
    except FOREIGN as error:
        raise translate(error, doing) from error


def translate(error: Exception, doing: str) -> OpsError:
    """The leaf of our tree that a foreign exception stands for."""
    if isinstance(error, docker.errors.APIError):
        return _from_answer(error, doing)
    if isinstance(error, _BUILD):
        return BuildFailed(f"cannot {doing}", cause=str(error))
    if isinstance(error, docker.errors.ContainerError):
        return ServiceUnhealthy(f"cannot {doing}", cause=str(error))
    if isinstance(error, _WRONG_SETTING):
        return ConfigurationError(f"cannot {doing}", cause=str(error), hint="docker context show")
    return unreachable(error, doing)


def unreachable(error: Exception, doing: str) -> EngineUnreachable:
    """The engine did not answer, or stopped answering."""
    causes = _chain(error)
    if any(isinstance(cause, PermissionError) for cause in causes):
        hint = 'sudo usermod -aG docker "$USER" (then log in again)'
    elif any(isinstance(cause, (FileNotFoundError, ConnectionRefusedError)) for cause in causes):
        hint = "start the Docker engine, then: docker info"
    else:
        hint = "docker info"
    return EngineUnreachable(
        f"the Docker engine does not answer: cannot {doing}", cause=str(causes[-1]) or repr(causes[-1]), hint=hint
    )


def explanation(error: docker.errors.APIError) -> str:
    """The engine's own words."""
    return str(error.explanation or error).strip()


def _from_answer(error: docker.errors.APIError, doing: str) -> OpsError:
    words = explanation(error)
    low = words.lower()
    status = error.status_code or 500
    if any(fragment in low for fragment in _PORT):
        return PortTaken(f"cannot {doing}", cause=words, hint="docker ps --format '{{.Names}} {{.Ports}}'")
    if isinstance(error, docker.errors.ImageNotFound):
        return BuildFailed(f"cannot {doing}", cause=words, hint="inv pull (or inv build)")
    if any(fragment in low for fragment in _NOT_RUNNING):
        return UnknownService(f"cannot {doing}", cause=words, hint="inv up")
    if status in {401, 403, 409}:
        return Refused(f"the engine refused to {doing}", cause=words)
    if status < 500 or "oci runtime" in low or "invalid" in low:
        return ConfigurationError(f"cannot {doing}", cause=words)
    return EngineUnreachable(f"the engine failed to {doing}", cause=words, hint="docker info")


def _chain(error: BaseException) -> list[BaseException]:
    """The exception and what it wraps, outermost first; requests and urllib3 hide the cause in their arguments."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        inside = [part for part in current.args if isinstance(part, BaseException)]
        reason = getattr(current, "reason", None)
        if isinstance(reason, BaseException):
            inside.append(reason)
        current = inside[0] if inside else current.__cause__ or current.__context__
    return found
