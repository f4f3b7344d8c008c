"""Does the engine in memory keep the promises of an engine?"""

from __future__ import annotations

import pytest

from ops.model.compose.project import Dependency, Mount, Service, Stack, Volume
from ops.model.endpoint import PostgresEndpoint
from ops.model.secret import Secret
from tests.contracts.engine_contract import EngineCase, EngineContract
from tests.fakes.clock import FakeClock
from tests.fakes.engine import Behaviour, FakeEngine


class TestFakeEngine(EngineContract):
    @pytest.fixture
    def case(self, tmp_path) -> EngineCase:
        clock = FakeClock()
        engine = FakeEngine(clock)
        engine.endpoint = PostgresEndpoint("127.0.0.1", 5432, "me", Secret("x"), "comic")
        engine.programs[("cat-then-7",)] = lambda given: (7, given)
        engine.behaviours["app"] = Behaviour(healthy_after_s=1.5, says=("one", "two"))
        stack = Stack(
            "opstest",
            tmp_path,
            (),
            {
                "db": Service("db", image="db:1", mounts=(Mount("volume", "/data", "data"),)),
                "app": Service("app", image="app:1", depends_on=(Dependency("db", "service_healthy"),)),
            },
            volumes={"data": Volume("data", "opstest_data")},
        )

        def crash() -> Stack:
            engine.behaviours["app"] = Behaviour(ends_after_s=0.0, exit_code=3, says=("about to fail",))
            return stack

        return EngineCase(engine, stack, clock, engine.kill, ("cat-then-7",), crash)
