"""Can a PostgreSQL image work on the data that its mounts hold?

A server reads data of its own major only; beside data of another one, or of another layout, it would fail at its start
or begin an empty database. So what is there is looked at before anything is replaced, and what does not fit is refused
with the sequence that moves it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from ops.errors import ConfigurationError, Refused
from ops.model.compose.project import Mount, Service

HOME = PurePosixPath("/var/lib/postgresql")
"""Below it every layout of the official image keeps its data. Source: docker-library/postgres, pull request 1259."""
FIRST_BY_MAJOR = 18
"""The first major whose official image keeps its data below its own number."""
OLDEST = 10
_TAG = re.compile(r"(?:.*/)?postgres:(\d+)(?:[.-].*)?")


@dataclass(frozen=True, slots=True)
class ServerImage:
    """A PostgreSQL server's image as a service runs it."""

    reference: str
    major: int
    data_folder: PurePosixPath
    """PGDATA inside the container."""


@dataclass(frozen=True, slots=True)
class Place:
    """A mount that may hold a server's data, and where in it, relative to its top; the folder in effect first."""

    mount: Mount
    folders: tuple[PurePosixPath, ...]
    is_in_effect: bool
    """Whether the first of the folders is the one that the server would use."""


def server_image(service: Service, reference: str, variables: Mapping[str, str] | None) -> ServerImage | None:
    """What the service's image is as a PostgreSQL server; None where it is none, or cannot be told.

    Args:
        service: its environment counts over the image's.
        reference: the image's name.
        variables: the image's own environment; None where the image is not here, so that only its tag tells.
    """
    if variables is None:
        tag = _TAG.fullmatch(reference)
        if tag is None:
            return None
        major = int(tag[1])
        variables = {"PG_MAJOR": tag[1], "PGDATA": str(_usual_folder(major))}
    number, folder = variables.get("PG_MAJOR", ""), service.environment.get("PGDATA") or variables.get("PGDATA", "")
    if not number.isdecimal() or not folder:
        return None
    return ServerImage(reference, int(number), PurePosixPath(folder))


def _usual_folder(major: int) -> PurePosixPath:
    return HOME / str(major) / "docker" if major >= FIRST_BY_MAJOR else HOME / "data"


def places(service: Service, image: ServerImage) -> tuple[Place, ...]:
    """Where to look for data before the service starts."""
    found = []
    for mount in service.mounts:
        top = PurePosixPath(mount.target)
        is_in_effect = image.data_folder.is_relative_to(top)
        if mount.source is None or mount.kind == "tmpfs" or not (is_in_effect or top.is_relative_to(HOME)):
            continue
        by_major = [PurePosixPath(str(n), "docker") for n in range(OLDEST, max(image.major, FIRST_BY_MAJOR) + 3)]
        used = [image.data_folder.relative_to(top)] if is_in_effect else []
        folders = dict.fromkeys([*used, PurePosixPath(), PurePosixPath("data"), *by_major])
        found.append(Place(mount, tuple(folders), is_in_effect))
    return tuple(found)


def refuse_misfit(service: str, image: ServerImage, place: Place, found: Mapping[PurePosixPath, int]) -> None:
    """Refuse to start a server on a mount.

    Args:
        service: the service's name.
        image: what it would run.
        place: the mount that was looked at.
        found: folder in it -> the major of the data there.

    Raises: Refused (data of another major, or elsewhere than this server looks), ConfigurationError (the server would
        keep its data beside the mount).
    """
    in_effect = found.get(place.folders[0]) if place.is_in_effect else None
    if in_effect == image.major:
        return
    where = place.mount.source
    others = sorted({major for folder, major in found.items() if in_effect is None or folder == place.folders[0]})
    if others and others != [image.major]:
        old = others[-1]
        raise Refused(
            f"{service}: {where} holds data of PostgreSQL {old}, and {image.reference} is PostgreSQL {image.major}",
            cause="a server reads data of its own major only",
            hint=move_hint(service, old),
        )
    if others:
        data = place.mount.target / next(folder for folder, major in found.items() if major == image.major)
        raise Refused(
            f"{service}: {image.reference} would not see the data in {where}",
            cause=f"the data is in {data}, the image looks in {image.data_folder}",
            hint=f"under services.{service}.environment:  PGDATA: {data}",
        )
    if not place.is_in_effect:
        raise ConfigurationError(
            f"{service}: the data of {image.reference} would not be in {where}",
            cause=f"it is mounted at {place.mount.target}, the image keeps its data in {image.data_folder}",
            hint=f"under services.{service}.environment:  PGDATA: {place.mount.target}",
        )


def move_hint(service: str, old: int) -> str:
    """The sequence that moves a stack to a server of another major, in one line."""
    return (
        f"with the image of PostgreSQL {old} and its volume again: "
        f"inv down && inv up --services {service} && inv backup; then with the new image and a new volume: "
        f"inv up --services {service} && inv restore --latest && inv up --build "
        "(docs/runbook.md, To another major of PostgreSQL)"
    )
