"""Does the embedded engine keep the promises of an engine?"""

from __future__ import annotations

import pytest

from ops.adapters.system_clock import SystemClock
from tests.adapters.embedded.conftest import Place, crashing
from tests.contracts.engine_contract import EngineCase, EngineContract


@pytest.mark.postgres
class TestEmbeddedEngine(EngineContract):
    @pytest.fixture
    def case(self, place: Place) -> EngineCase:
        return case_in(place)

    @pytest.fixture
    def untouched(self, bare_place: Place) -> EngineCase:
        return case_in(bare_place)


def case_in(place: Place) -> EngineCase:
    stack = place.stack()
    return EngineCase(
        place.engine(), stack, SystemClock(), place.kill, ("sh", "-c", "cat; exit 7"), lambda: crashing(stack)
    )
