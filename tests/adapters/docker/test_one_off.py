"""Does a one-off container give its exit code and its output, and is it gone afterwards?"""

from __future__ import annotations

import io

import pytest

from ops.errors import BuildFailed, ConfigurationError

from .conftest import SLEEPER, Bench, docker

pytestmark = pytest.mark.docker


def one_offs(project: str) -> list[str]:
    return docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={project}").split()


def test_it_has_streams_and_an_exit_code_and_is_gone(bench) -> None:
    stack = bench.write(SLEEPER + "    environment: {FROM_FILE: a}\n")
    out, err = io.BytesIO(), io.BytesIO()

    code = bench.engine.run_once(
        stack, stack.services["app"], ["sh", "-c", "cat; echo $FROM_FILE $MORE; echo err >&2; exit 5"],
        stdin=io.BytesIO(b"input\n"), stdout=out, stderr=err, environment={"MORE": "b"},
    )  # fmt: skip

    assert (code, out.getvalue(), err.getvalue()) == (5, b"input\na b\n", b"err\n")
    assert one_offs(bench.project) == []


def test_its_input_is_ours_and_nothing_else(bench: Bench) -> None:
    """The request's own body once came first; where it did not, that was luck, so it is asked several times."""
    stack = bench.write("  app: {image: 'python:3.13-slim', network_mode: none}")

    for _ in range(5):
        out = io.BytesIO()
        bench.engine.run_once(stack, stack.services["app"], ["cat"], stdin=io.BytesIO(b"mine"), stdout=out)
        assert out.getvalue() == b"mine"


def test_one_that_cannot_be_started_leaves_nothing(bench) -> None:
    stack = bench.write("  app: {image: 'python:3.13-slim', network_mode: none}")

    with pytest.raises(ConfigurationError):
        bench.engine.run_once(stack, stack.services["app"], ["nonesuch"])

    assert one_offs(bench.project) == []


def test_one_without_an_image_says_how_to_get_it(bench) -> None:
    stack = bench.write("  app: {image: 'opstest.invalid/nothing:1', network_mode: none}")

    with pytest.raises(BuildFailed) as caught:
        bench.engine.run_once(stack, stack.services["app"], ["true"])

    assert "inv pull" in (caught.value.hint or "")


def test_an_output_that_cannot_be_written_ends_it(bench) -> None:
    class Full:
        def write(self, block: bytes) -> None:
            raise OSError(28, "No space left on device")

        def flush(self) -> None: ...

    stack = bench.write(SLEEPER + "    network_mode: none\n")

    with pytest.raises(OSError, match="No space left"):
        bench.engine.run_once(stack, stack.services["app"], ["sh", "-c", "echo x; sleep 600"], stdout=Full())

    assert one_offs(bench.project) == []
