"""Is an image built from what belongs to it, and does a failed build or pull say why?"""

from __future__ import annotations

import pytest

from ops.errors import BuildFailed, ConfigurationError

from .conftest import Bench, docker, sweep

pytestmark = pytest.mark.docker


def building(bench: Bench, dockerfile: str, build: str = "{context: ctx}"):
    context = bench.folder / "ctx"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(dockerfile)
    return bench.write(f"  app: {{build: {build}, network_mode: none, command: [sleep, '60'], init: true}}")


@pytest.fixture(autouse=True)
def no_images_left(bench: Bench):
    yield
    of_project = f"label=com.docker.compose.project={bench.project}"
    images = docker("images", "--all", "--quiet", "--filter", of_project).split()
    sweep(bench.project)
    docker("image", "rm", "--force", *images, check=False)


def test_a_build_has_its_context_target_and_arguments_and_composes_labels(bench: Bench) -> None:
    stack = building(
        bench,
        "FROM python:3.13-slim AS base\nARG GREETING\nCOPY . /ctx/\nRUN echo $GREETING >/greeting\n"
        "FROM base AS wanted\nENV STAGE=wanted\nFROM base AS other\nRUN exit 1\n",
        "{context: ctx, target: wanted, args: {GREETING: 'good day'}}",
    )
    (bench.folder / "ctx" / ".dockerignore").write_text("*.log\nsecret/\n!kept.log\n# comment\n")
    for name in ("a.log", "kept.log", "code.py"):
        (bench.folder / "ctx" / name).touch()
    (bench.folder / "ctx" / "secret").mkdir()
    (bench.folder / "ctx" / "secret" / "key").touch()

    built = bench.engine.build(stack, ["app"], no_cache=False, report=bench.report)

    image = f"{bench.project}-app"
    said = docker("run", "--rm", image, "sh", "-c", "echo $STAGE; cat /greeting; ls -A /ctx").split("\n")
    assert said == ["wanted", "good day", ".dockerignore", "Dockerfile", "code.py", "kept.log"]
    assert docker("image", "inspect", "-f", "{{.Id}}", image) == built["app"]
    assert docker("image", "inspect", "-f", '{{index .Config.Labels "com.docker.compose.service"}}', image) == "app"
    assert bench.engine.observe(stack).image_ids[image] == built["app"]


def test_up_builds_what_is_missing_and_then_changes_nothing(bench: Bench) -> None:
    stack = building(bench, "FROM python:3.13-slim\n")

    first = bench.changes(stack)
    bench.up(stack)

    assert first == ["build-image app", "create app"]
    assert bench.changes(stack) == []


def test_another_image_means_another_container(bench: Bench) -> None:
    stack = building(bench, "FROM python:3.13-slim\n")
    bench.up(stack)
    stack = building(bench, "FROM python:3.13-slim\nENV NEW=1\n")

    bench.engine.build(stack, ["app"], no_cache=False, report=bench.report)

    assert bench.changes(stack) == ["recreate app"]


def test_a_failed_build_shows_its_last_lines(bench: Bench) -> None:
    stack = building(bench, "FROM python:3.13-slim\nRUN echo this is why && exit 3\n")

    with pytest.raises(BuildFailed) as caught:
        bench.engine.build(stack, ["app"], no_cache=True, report=bench.report)

    assert "exit 3" in caught.value.message or "code: 3" in caught.value.message
    assert "this is why" in (caught.value.cause or "")


@pytest.mark.parametrize(
    "line", ["RUN --mount=type=cache,target=/x true", "COPY --chmod=644 a /a", "RUN <<EOF", "RUN cat <<'EOF' >/x"]
)
def test_a_dockerfile_that_needs_buildkit_is_refused_with_its_line(bench: Bench, line: str) -> None:
    stack = building(bench, f"FROM python:3.13-slim\n{line}\n")

    with pytest.raises(BuildFailed, match="line 2 needs BuildKit"):
        bench.engine.build(stack, ["app"], no_cache=False, report=bench.report)


def test_a_service_without_a_build_is_refused(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="app has no build"):
        bench.engine.build(bench.write(), ["app"], no_cache=False, report=bench.report)


def test_a_dockerfile_that_is_missing_is_named(bench: Bench) -> None:
    stack = building(bench, "FROM python:3.13-slim\n", "{context: ctx, dockerfile: Elsewhere}")

    with pytest.raises(ConfigurationError, match="Elsewhere"):
        bench.engine.build(stack, ["app"], no_cache=False, report=bench.report)


def test_a_pull_that_no_registry_answers_says_so(bench: Bench) -> None:
    # A port of this machine where nobody listens: the engine answers at once, nothing leaves the machine.
    stack = bench.write("  app: {image: '127.0.0.1:9/opstest/nothing:1'}")

    with pytest.raises(BuildFailed, match=r"cannot pull 127\.0\.0\.1:9/opstest/nothing:1") as caught:
        bench.engine.pull(stack, ["app"], report=bench.report)

    assert "docker pull" in (caught.value.hint or "")
