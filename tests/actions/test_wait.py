"""Does waiting end when it should, and does the deadline always fail?"""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.actions.wait import wait_until_ready
from ops.errors import EngineUnreachable, ServiceUnhealthy
from ops.model.compose.project import Service, Stack
from ops.model.stack_plan import Step
from tests.fakes.clock import FakeClock
from tests.fakes.engine import Behaviour, FakeEngine
from tests.fakes.reporter import RecordingReporter

STACK = Stack("opstest", Path("/project"), (), {"db": Service("db"), "app": Service("app")})


class Scene:
    def __init__(self, **behaviours: Behaviour) -> None:
        self.clock = FakeClock()
        self.report = RecordingReporter()
        self.engine = FakeEngine(self.clock, behaviours=behaviours)
        for name in STACK.services:
            self.engine.apply(Step("create", name, "test"), STACK, self.report)

    def wait(self, *services: str, timeout_s: float = 60.0, **options: object) -> float:
        """Returns the seconds that it took."""
        began = self.clock.monotonic()
        wait_until_ready(
            self.engine, STACK, services or tuple(STACK.services), clock=self.clock, report=self.report,
            timeout_s=timeout_s, **options,
        )  # fmt: skip
        return self.clock.monotonic() - began


def test_services_that_are_healthy_are_not_waited_for():
    assert Scene().wait() == 0.0


def test_the_wait_ends_within_a_second_of_the_last_one_getting_healthy():
    scene = Scene(db=Behaviour(healthy_after_s=2.0), app=Behaviour(healthy_after_s=9.0))

    assert 9.0 <= scene.wait() <= 10.0
    assert scene.report.steps["ready"] == 2


def test_without_a_health_check_it_takes_three_seconds_of_standing_still():
    scene = Scene(app=Behaviour(healthy_after_s=None))

    assert 3.0 <= scene.wait() <= 4.0


@pytest.mark.parametrize("timeout_s", [0.0, 1.0, 3.0, 29.9])
def test_the_deadline_always_fails(timeout_s):
    scene = Scene(app=Behaviour(healthy_after_s=30.0))
    began = scene.clock.monotonic()

    with pytest.raises(ServiceUnhealthy, match="app was not ready within"):
        scene.wait(timeout_s=timeout_s)

    assert scene.clock.monotonic() - began == pytest.approx(timeout_s)


def test_the_deadline_names_every_service_that_is_not_ready():
    scene = Scene(db=Behaviour(healthy_after_s=99.0), app=Behaviour(healthy_after_s=99.0))

    with pytest.raises(ServiceUnhealthy, match=r"db was not ready within 5 s: .* \(and app\)"):
        scene.wait(timeout_s=5.0)


def test_a_timeout_may_have_begun_before():
    scene = Scene(app=Behaviour(healthy_after_s=30.0))
    began = scene.clock.monotonic()
    scene.clock.sleep(8.0)

    with pytest.raises(ServiceUnhealthy, match="within 10 s"):
        scene.wait(timeout_s=10.0, began_s=began)

    assert scene.clock.monotonic() - began == pytest.approx(10.0)


def test_a_crash_loop_fails_at_its_first_restart():
    scene = Scene(app=Behaviour(healthy_after_s=None, ends_after_s=0.6, exit_code=3, is_restarted=True))
    began = scene.clock.monotonic()

    with pytest.raises(ServiceUnhealthy, match="app keeps ending"):
        scene.wait()

    assert scene.clock.monotonic() - began < 1.5


def test_restarts_of_long_ago_do_not_fail_a_service_that_was_left_as_it_is():
    scene = Scene(app=Behaviour(ends_after_s=10.0, is_restarted=True))
    scene.clock.sleep(25.0)

    scene.wait(restarts_before={"app": 2})

    with pytest.raises(ServiceUnhealthy):
        scene.wait()


def test_the_failure_tells_state_probe_and_last_words():
    said = tuple(f"line {number}" for number in range(50))
    scene = Scene(app=Behaviour(unhealthy_after_s=1.0, healthy_after_s=99.0, says=said))

    with pytest.raises(ServiceUnhealthy) as failure:
        scene.wait()

    assert failure.value.message == "app is unhealthy"
    assert failure.value.hint == "inv logs --service app"
    cause = (failure.value.cause or "").splitlines()
    assert cause[0] == "state running, health unhealthy, restarts 0"
    assert cause[1] == "last probe: probe says unhealthy"
    assert cause[2:] == ["last log lines:", *(f"  line {number}" for number in range(30, 50))]


def test_an_exit_code_is_told():
    scene = Scene(app=Behaviour(ends_after_s=1.0, healthy_after_s=99.0, exit_code=3, says=()))

    with pytest.raises(ServiceUnhealthy, match="app ended with exit code 3") as failure:
        scene.wait()

    assert "exit code 3" in (failure.value.cause or "")
    assert "it logged nothing" in (failure.value.cause or "")


def test_logs_that_cannot_be_read_do_not_hide_the_failure():
    class Mute(FakeEngine):
        def logs(self, *_args: object, **_options: object):
            raise EngineUnreachable("no logs today")

    scene = Scene()
    scene.engine = Mute(scene.clock, containers=scene.engine.containers)
    scene.engine.kill("app")

    with pytest.raises(ServiceUnhealthy, match="app ended"):
        scene.wait()
