"""Is a service that runs the scheduler asked, and is it said where it gives no answer?"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ops.model.compose.project import Service, Stack
from ops.model.engine_choice import EngineChoice
from ops.wiring.scheduler_service import scheduler_service
from tests.fakes.clock import FakeClock
from tests.fakes.engine import Behaviour, FakeEngine, Running
from tests.fakes.reporter import RecordingReporter

NIGHTLY = Service("nightly", command=("inv", "scheduler"))
ASKED = ("inv", "scheduler", "--status", "--json")


@dataclass
class Tools:
    engine: FakeEngine = field(default_factory=lambda: FakeEngine(FakeClock()))
    report: RecordingReporter = field(default_factory=RecordingReporter)
    stack: Stack = field(default_factory=lambda: Stack("shop", Path(), (), {"nightly": NIGHTLY}))
    engine_choice: EngineChoice = field(default_factory=lambda: EngineChoice("docker", "a test"))

    def again(self, *, profiles: tuple[str, ...]) -> Tools:
        assert profiles == ("*",)
        return self


@pytest.fixture
def tools() -> Tools:
    tools = Tools()
    clock = tools.engine.clock
    tools.engine.behaviours["nightly"] = Behaviour()
    tools.engine.containers["nightly"] = Running("1", NIGHTLY, clock.monotonic(), clock.now())
    return tools


def test_what_the_service_says_of_itself_is_its_status(tools: Tools) -> None:
    tools.engine.programs[ASKED] = lambda _input: (0, b'{"heartbeat_age_s": 4.5}')

    found = scheduler_service(tools)

    assert found is not None
    assert (found.name, found.state, found.status) == ("nightly", "running", {"heartbeat_age_s": 4.5})
    assert tools.report.warnings == []


@pytest.mark.parametrize(("code", "said"), [(2, b""), (0, b"[]"), (0, b"no json")])
def test_a_service_that_runs_and_gives_no_answer_is_warned_of(tools: Tools, code: int, said: bytes) -> None:
    tools.engine.programs[ASKED] = lambda _input: (code, said)

    found = scheduler_service(tools)

    assert found is not None
    assert (found.state, found.status) == ("running", None)
    assert "the service nightly cannot be asked for its scheduler: " in tools.report.warnings[0]
