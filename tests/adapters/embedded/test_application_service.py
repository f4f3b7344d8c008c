"""Does the application get what it needs, nothing else, and is its end told?"""

from __future__ import annotations

import io
import os
import socket
import urllib.request
from pathlib import Path

import pytest

from ops.actions.start import start
from ops.adapters.embedded.engine import EmbeddedEngine
from ops.adapters.system_clock import SystemClock
from ops.errors import ConfigurationError, PortTaken
from ops.model.compose.project import Service, Stack
from tests.adapters.embedded.conftest import Place
from tests.fakes.reporter import RecordingReporter

pytestmark = pytest.mark.postgres


def up(engine: EmbeddedEngine, stack: Stack, *services: str) -> RecordingReporter:
    report = RecordingReporter()
    start(engine, stack, services=services, clock=SystemClock(), report=report, timeout_s=60)
    return report


def said_by(engine: EmbeddedEngine, stack: Stack, *argv: str) -> str:
    out = io.BytesIO()
    assert engine.execute(stack, "app", argv, stdout=out) == 0
    return out.getvalue().decode()


def test_the_application_answers_and_its_database_url_works(place: Place):
    engine, stack = place.engine(), place.stack(COLOUR="green")

    up(engine, stack)

    with urllib.request.urlopen(f"http://127.0.0.1:{place.app_port}/health") as response:
        assert response.read() == b"green"
    asked = "import os, psycopg; print(psycopg.connect(os.environ['DATABASE_URL'].replace('+psycopg', '')).info.dbname)"
    assert said_by(engine, stack, "python", "-c", asked) == "comic\n"


def test_nothing_of_our_own_environment_reaches_it_but_what_a_process_needs(place: Place):
    engine = place.engine(host={**os.environ, "AWS_SECRET_ACCESS_KEY": "mine", "LANG": "C.UTF-8"})
    stack = place.stack(COLOUR="green")
    up(engine, stack)

    shown = said_by(engine, stack, "env")

    assert "AWS_SECRET_ACCESS_KEY" not in shown
    assert {"COLOUR=green", "LANG=C.UTF-8", "PYTHONUNBUFFERED=1"} <= set(shown.splitlines())


def test_programs_run_in_the_projects_folder(place: Place):
    engine, stack = place.engine(), place.stack()
    up(engine, stack)

    assert said_by(engine, stack, "pwd") == f"{place.folder}\n"


def test_programs_beside_the_database_reach_it_without_being_told(place: Place):
    engine, stack, out = place.engine(), place.stack(), io.BytesIO()
    up(engine, stack, "db")

    code = engine.execute(stack, "db", ["psql", "-AtXc", "SELECT current_user, current_database()"], stdout=out)

    assert (code, out.getvalue()) == (0, b"me|comic\n")


def test_a_port_that_is_taken_is_refused_with_its_owner_before_the_database_is_made(bare_place: Place):
    with socket.create_server(("127.0.0.1", bare_place.app_port)), pytest.raises(PortTaken) as failure:
        up(bare_place.engine(), bare_place.stack())

    assert f"port {bare_place.app_port} for app" in failure.value.message
    assert f"pid {os.getpid()}" in failure.value.message
    assert "APP_PORT" in (failure.value.hint or "")
    assert not bare_place.state.exists()


@pytest.mark.parametrize("command", [(), ("no-such-program-here",)])
def test_an_application_that_cannot_be_started_is_refused_first(bare_place: Place, command):
    with pytest.raises(ConfigurationError) as failure:
        up(bare_place.engine(app_command=command), bare_place.stack())

    assert "app-command" in (failure.value.hint or "")
    assert not bare_place.state.exists()


def test_services_without_a_process_are_named(place: Place):
    stack = place.stack()
    wider = Stack("opstest", place.folder, (), {**stack.services, "nginx": Service("nginx", image="nginx:alpine")})

    assert place.engine().left_out(wider) == {"nginx": "the embedded engine runs db and app only"}


def test_log_lines_have_times_in_order_and_know_stderr(place: Place):
    engine, stack = place.engine(), place.stack()
    up(engine, stack)

    lines = list(engine.logs(stack, ["app"]))

    assert ("listening", False) in [(line.text, line.is_error) for line in lines]
    assert ("to stderr", True) in [(line.text, line.is_error) for line in lines]
    times = [line.at for line in lines]
    assert times == sorted(times)
    assert list(engine.logs(stack, ["app"], since=SystemClock().now())) == []


def test_following_ends_with_the_service_and_misses_nothing(place: Place):
    engine, stack = place.engine(), place.stack()
    up(engine, stack)
    lines = engine.logs(stack, ["app"], follow=True, tail=1)
    next(lines)

    with urllib.request.urlopen(f"http://127.0.0.1:{place.app_port}/health"):
        pass
    place.kill("app")

    assert any("GET /health" in line.text for line in lines)


def test_its_files_are_for_our_eyes_only(place: Place):
    up(place.engine(), place.stack())

    run = place.state / "run"
    assert run.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in run.iterdir())
    assert Path(place.state / "key").stat().st_mode & 0o077 == 0
