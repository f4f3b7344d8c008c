"""How do a service's images get here: built or pulled?

The engine reports failures of both inside a stream that itself succeeds; every line of it is read. Builds use the
engine's own (classic) builder, which the SDK speaks; a Dockerfile that needs BuildKit is refused with the line.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import docker.errors
from docker.utils import parse_repository_tag

from ops.adapters.docker.client import Connection
from ops.adapters.docker.container_config import SERVICE, project_labels
from ops.adapters.docker.errors import explanation, translated
from ops.adapters.docker.status import image_id
from ops.errors import BuildFailed, ConfigurationError
from ops.model.compose.project import Build, Service, Stack, image_reference
from ops.ports import Reporter

_LAST_LINES = 30
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_BUILDKIT = re.compile(
    r"""^\s*(RUN\s+--(mount|network|security)\b|(COPY|ADD)\s+--(link|chmod)\b|(RUN|COPY)\s.*<<-?['"]?[A-Za-z_])""",
    re.IGNORECASE,
)


def build(connection: Connection, stack: Stack, service: Service, *, no_cache: bool, report: Reporter) -> str:
    """Build a service's image and tag it; returns its id.

    Raises: BuildFailed (with the last lines of the build), ConfigurationError (no build, or no such folder or file).
    """
    how = service.build
    if how is None:
        raise ConfigurationError(f"{service.name} has no build", hint=f"inv pull --services {service.name}")
    _check(service.name, how)
    reference = image_reference(stack.project, service)
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with translated(f"build {service.name}"):
        lines = connection.streams().build(
            path=str(how.context),
            dockerfile=str(how.dockerfile),
            tag=reference,
            target=how.target,
            buildargs={name: value for name, value in how.args.items() if value is not None},
            labels={**project_labels(stack), SERVICE: service.name},
            nocache=no_cache,
            rm=True,
            forcerm=True,
            decode=True,
        )
        trouble = _follow_build(service.name, lines, last, report)
    if trouble:
        raise BuildFailed(
            f"{service.name}: the build failed: {trouble}",
            cause="\n".join(last) or None,
            hint=f"inv build --services {service.name} --no-cache",
        )
    built = image_id(connection, reference)
    if built is None:
        raise BuildFailed(f"{service.name}: the build ended without an image", cause="\n".join(last) or None)
    report.note(f"{service.name}: built {reference}")
    return built


def _check(name: str, how: Build) -> None:
    if not how.context.is_dir():
        raise ConfigurationError(f"{name}: the build's folder is not there: {how.context}")
    if not how.dockerfile.is_file():
        raise ConfigurationError(f"{name}: there is no {how.dockerfile}")
    for number, line in enumerate(how.dockerfile.read_text(errors="replace").splitlines(), 1):
        if _BUILDKIT.match(line):
            raise BuildFailed(
                f"{name}: {how.dockerfile.name} line {number} needs BuildKit: {line.strip()}",
                cause="the Docker SDK speaks with the engine's classic builder only",
                hint=f"docker buildx build --tag ... {how.context} (and name the image in the compose file)",
            )


def _follow_build(name: str, lines: Iterable[Mapping[str, Any]], last: deque[str], report: Reporter) -> str:
    """Read a build to its end, which frees the connection; returns what went wrong, if anything."""
    trouble = ""
    for line in lines:
        trouble = trouble or str(line.get("error", "")).strip()
        for text in str(line.get("stream", "")).splitlines():
            if plain := _ESCAPES.sub("", text).rstrip():
                last.append(plain)
                if plain.startswith("Step "):
                    report.note(f"{name}: {plain}")
    return trouble


def pull(connection: Connection, stack: Stack, service: Service, *, report: Reporter) -> str:
    """Pull a service's image; returns its id. Raises: BuildFailed."""
    reference = image_reference(stack.project, service)
    # Without a tag the SDK's default is `latest`, but the low-level call would pull every tag there is.
    repository, tag = parse_repository_tag(reference)
    hint = f"docker pull {reference}; where no registry answers: scripts/stand-in-images"
    with translated(f"pull {reference}"):
        try:
            lines = connection.streams().pull(repository, tag=tag or "latest", stream=True, decode=True)
            trouble = _follow_pull(reference, lines, report)
        except docker.errors.APIError as error:
            # No network is a 500 of the engine here, not a failure of the connection to it.
            raise BuildFailed(f"cannot pull {reference}", cause=explanation(error), hint=hint) from error
    if trouble:
        raise BuildFailed(f"cannot pull {reference}", cause=trouble, hint=hint)
    found = image_id(connection, reference)
    if found is None:
        raise BuildFailed(f"cannot pull {reference}", cause="the registry answered, but no image came", hint=hint)
    report.note(f"{service.name}: pulled {reference}")
    return found


def _follow_pull(reference: str, lines: Iterable[Mapping[str, Any]], report: Reporter) -> str:
    """Read a pull to its end, which frees the connection; returns what went wrong, if anything."""
    trouble = ""
    done: dict[str, tuple[int, int]] = {}
    for line in lines:
        trouble = trouble or str(line.get("error", "")).strip()
        detail = line.get("progressDetail") or {}
        if line.get("status") == "Downloading" and detail.get("total"):
            done[line["id"]] = (detail["current"], detail["total"])
            current, total = (sum(column) for column in zip(*done.values(), strict=True))
            report.progress(f"pull {reference}", current, total)
    return trouble
