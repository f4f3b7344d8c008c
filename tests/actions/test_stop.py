"""Does a stack go down in the right order, and does data stay?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ops.actions.preview_stack import preview_stop
from ops.actions.stop import stop
from ops.errors import Refused
from ops.model.compose.project import Dependency, Mount, Network, Service, Stack, Volume
from ops.model.stack_plan import Step
from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakeEngine, Killed
from tests.fakes.reporter import RecordingReporter


@pytest.fixture
def stack(tmp_path) -> Stack:
    return Stack(
        "opstest",
        tmp_path,
        (),
        {
            "db": Service("db", mounts=(Mount("volume", "/data", "data"),), networks={"default": ()}),
            "app": Service("app", depends_on=(Dependency("db", "service_healthy"),), networks={"default": ()}),
        },
        networks={"default": Network("default", "opstest_default")},
        volumes={"data": Volume("data", "opstest_data")},
    )


class Scene:
    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.clock = FakeClock()
        self.report = RecordingReporter()
        self.engine = FakeEngine(self.clock)
        for step in (
            Step("create-network", "default", ""), Step("create-volume", "data", ""),
            Step("create", "db", ""), Step("create", "app", ""),
        ):  # fmt: skip
            self.engine.apply(step, stack, self.report)
        self.engine.applied.clear()

    def stop(self, **options: bool):
        return stop(self.engine, self.stack, clock=self.clock, report=self.report, **options)

    @property
    def actions(self) -> list[str]:
        return [f"{action} {subject}" for action, subject in self.engine.applied]


@pytest.fixture
def scene(stack) -> Scene:
    return Scene(stack)


def test_dependents_go_first_and_the_network_last(scene):
    scene.stop()

    assert scene.actions == ["stop app", "remove app", "stop db", "remove db", "remove-network default"]
    assert scene.engine.volumes == {"opstest_data": ""}


def test_stopping_twice_is_harmless(scene):
    scene.stop()

    assert scene.stop().steps == ()


def test_volumes_need_a_yes_and_without_it_nothing_is_touched(scene):
    with pytest.raises(Refused, match="nobody confirmed it"):
        scene.stop(remove_volumes=True)

    assert scene.actions == []


def test_confirmed_volumes_go_last(scene):
    scene.stop(remove_volumes=True, is_confirmed=True)

    assert scene.actions[-1] == "remove-volume data"
    assert scene.engine.volumes == {}


def test_orphans_stay_unless_asked_for(scene, stack):
    scene.stack = replace(stack, services={"db": stack.services["db"]})

    scene.stop()
    assert "app" in scene.engine.containers
    scene.stop(remove_orphans=True)

    assert scene.engine.containers == {}


def test_a_preview_is_what_a_stop_then_does_and_changes_nothing(scene):
    preview = preview_stop(scene.engine, scene.stack, remove_volumes=True)

    assert scene.actions == []
    done = scene.stop(remove_volumes=True, is_confirmed=True)
    assert [one.step for one in done.steps] == list(preview.steps)


@pytest.mark.parametrize("killed_after", range(5))
def test_a_stop_that_was_killed_after_any_step_is_finished_by_the_next_one(scene, killed_after):
    scene.engine.killed_after = killed_after
    with pytest.raises(Killed):
        scene.stop()
    scene.engine.killed_after = None

    scene.stop()

    assert (scene.engine.containers, scene.engine.networks) == ({}, {})


def test_the_end_is_one_event(scene):
    report = scene.stop()

    assert scene.report.events == [
        ("stack.stopped", {"project": "opstest", "steps": 5, "duration_s": report.duration_s})
    ]
