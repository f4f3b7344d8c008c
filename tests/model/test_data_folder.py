from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from ops.errors import ConfigurationError, OpsError, Refused
from ops.model.compose.project import Mount, Service
from ops.model.data_folder import places, refuse_misfit, server_image

HOME = "/var/lib/postgresql"
OF_17 = {"PG_MAJOR": "17", "PGDATA": f"{HOME}/data"}
OF_18 = {"PG_MAJOR": "18", "PGDATA": f"{HOME}/18/docker"}
TOP, DATA, OLD, NEW = (PurePosixPath(path) for path in (".", "data", "17/docker", "18/docker"))


def refusal(variables: dict[str, str], target: str, found: dict[PurePosixPath, int], **own: str) -> OpsError | None:
    """What is said of a server with one volume at `target` that holds these data folders."""
    service = Service("db", image="postgres:x", environment=own, mounts=(Mount("volume", target, "volume"),))
    image = server_image(service, "postgres:x", variables)
    assert image is not None
    try:
        for place in places(service, image):
            refuse_misfit("db", image, place, {folder: found[folder] for folder in place.folders if folder in found})
    except OpsError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("variables", "target", "found", "own"),
    [
        (OF_17, f"{HOME}/data", {}, {}),
        (OF_17, f"{HOME}/data", {TOP: 17}, {}),
        (OF_18, HOME, {}, {}),
        (OF_18, HOME, {NEW: 18}, {}),
        (OF_18, HOME, {NEW: 18, OLD: 17}, {}),
        (OF_18, f"{HOME}/data", {}, {"PGDATA": f"{HOME}/data"}),
        (OF_18, f"{HOME}/data", {TOP: 18}, {"PGDATA": f"{HOME}/data"}),
        (OF_17, "/backups", {}, {}),
    ],
    ids=["new", "own", "new by major", "own by major", "after pg_upgrade", "new, told", "own, told", "no data there"],
)
def test_a_server_starts_on_nothing_and_on_data_of_its_own(variables, target, found, own) -> None:
    assert refusal(variables, target, found, **own) is None


@pytest.mark.parametrize(
    ("variables", "target", "found", "own"),
    [
        (OF_18, f"{HOME}/data", {TOP: 17}, {}),
        (OF_18, f"{HOME}/data", {TOP: 17}, {"PGDATA": f"{HOME}/data"}),
        (OF_18, HOME, {TOP: 17}, {}),
        (OF_18, HOME, {DATA: 17}, {}),
        (OF_18, HOME, {OLD: 17}, {}),
    ],
    ids=["old layout", "same folder", "the old volume mounted above", "data below", "the layout by major"],
)
def test_data_of_an_older_major_is_refused_with_the_sequence_that_moves_it(variables, target, found, own) -> None:
    error = refusal(variables, target, found, **own)

    assert isinstance(error, Refused)
    assert "PostgreSQL 17" in error.message
    assert "is PostgreSQL 18" in error.message
    for command in ("inv backup", "inv up --services db", "inv restore --latest", "docs/runbook.md"):
        assert command in (error.hint or "")


def test_data_of_a_newer_major_is_refused_too() -> None:
    assert isinstance(refusal(OF_17, f"{HOME}/data", {TOP: 18}), Refused)


def test_data_of_the_same_major_that_the_server_would_not_see_is_refused_with_the_line_that_shows_it() -> None:
    error = refusal(OF_18, HOME, {DATA: 18})

    assert isinstance(error, Refused)
    assert "PGDATA: /var/lib/postgresql/data" in (error.hint or "")


def test_a_volume_beside_the_data_folder_is_refused_though_it_is_empty() -> None:
    error = refusal(OF_18, f"{HOME}/data", {})

    assert isinstance(error, ConfigurationError)
    assert "PGDATA: /var/lib/postgresql/data" in (error.hint or "")


@pytest.mark.parametrize(
    ("reference", "major"),
    [("postgres:18", 18), ("docker.io/library/postgres:17.11-trixie", 17), ("postgres:16-alpine", 16)],
)
def test_an_image_that_is_not_here_yet_is_known_by_its_tag(reference: str, major: int) -> None:
    image = server_image(Service("db"), reference, None)

    assert image is not None
    assert image.major == major


@pytest.mark.parametrize("reference", ["postgres:latest", "postgres", "mypostgres:17", "python:3.13-slim"])
def test_an_image_whose_tag_says_nothing_is_left_to_the_look_after_the_pull(reference: str) -> None:
    assert server_image(Service("db"), reference, None) is None


def test_an_image_that_is_no_server_is_none() -> None:
    assert server_image(Service("app"), "app", {"PATH": "/bin"}) is None
