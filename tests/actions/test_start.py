"""Does a stack come up in the right order, wait for what it should, and survive being killed half-way?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ops.actions.ask_login import Login
from ops.actions.preview_stack import StartOptions, preview_start
from ops.actions.start import start
from ops.errors import (
    DatabaseRefused,
    EngineUnreachable,
    OpsError,
    PortTaken,
    Refused,
    ServiceUnhealthy,
    UnknownService,
)
from ops.model.compose.project import Dependency, Mount, Network, Service, Stack, Volume
from ops.model.secret import Secret
from tests.fakes.clock import FakeClock
from tests.fakes.engine import Behaviour, FakeEngine, Killed
from tests.fakes.reporter import RecordingReporter


def service(name: str, *needs: Dependency, **more: object) -> Service:
    return Service(name, image=f"{name}:1", depends_on=needs, networks={"default": ()}, **more)


def stack_of(*services: Service) -> Stack:
    return Stack(
        "opstest",
        Path("/project"),
        (),
        {one.name: one for one in services},
        networks={"default": Network("default", "opstest_default")},
        volumes={"data": Volume("data", "opstest_data")},
    )


DB = service("db", mounts=(Mount("volume", "/data", "data"),))
APP = service("app", Dependency("db", "service_healthy"))
STACK = stack_of(APP, DB)


class Scene:
    def __init__(self, **behaviours: Behaviour) -> None:
        self.clock = FakeClock()
        self.report = RecordingReporter()
        self.engine = FakeEngine(self.clock, behaviours=behaviours)

    def start(self, stack: Stack = STACK, **options: object):
        wanted = {"timeout_s": 60.0, **options}
        return start(self.engine, stack, clock=self.clock, report=self.report, **wanted)

    @property
    def actions(self) -> list[str]:
        return [f"{action} {subject}" for action, subject in self.engine.applied]


def test_networks_volumes_and_images_come_before_services_and_what_is_needed_before_what_needs_it():
    scene = Scene()

    scene.start()

    assert scene.actions == [
        "create-network default", "create-volume data", "pull-image db", "pull-image app", "create db", "create app",
    ]  # fmt: skip


def test_a_service_starts_only_once_what_it_needs_is_healthy():
    scene = Scene(db=Behaviour(healthy_after_s=7.0))

    report = scene.start()

    app, db = scene.engine.containers["app"], scene.engine.containers["db"]
    assert app.started_s - db.started_s >= 7.0
    assert report.services["app"].health == "healthy"


def test_started_is_enough_where_nothing_more_is_asked():
    scene = Scene(db=Behaviour(healthy_after_s=7.0))

    scene.start(stack_of(service("app", Dependency("db", "service_started")), DB))

    assert scene.engine.containers["app"].started_s == scene.engine.containers["db"].started_s


def test_a_one_shot_must_end_with_0_before_what_waits_for_it_starts():
    stack = stack_of(service("migrate"), service("app", Dependency("migrate", "service_completed_successfully")))
    scene = Scene(migrate=Behaviour(healthy_after_s=None, ends_after_s=4.0))

    report = scene.start(stack)

    assert scene.engine.containers["app"].started_s - scene.engine.containers["migrate"].started_s >= 4.0
    assert report.services["migrate"].state == "exited"


def test_a_one_shot_that_fails_keeps_the_others_from_starting():
    stack = stack_of(service("migrate"), service("app", Dependency("migrate", "service_completed_successfully")))
    scene = Scene(migrate=Behaviour(healthy_after_s=None, ends_after_s=1.0, exit_code=5))

    with pytest.raises(ServiceUnhealthy, match="migrate ended with exit code 5"):
        scene.start(stack)

    assert "app" not in scene.engine.containers


def test_what_is_not_required_may_fail_with_a_warning():
    stack = stack_of(service("app", Dependency("cache", "service_healthy", is_required=False)), service("cache"))
    scene = Scene(cache=Behaviour(healthy_after_s=99.0, unhealthy_after_s=1.0))

    with pytest.raises(ServiceUnhealthy, match="cache is unhealthy"):
        scene.start(stack)

    assert "app" in scene.engine.containers
    assert scene.report.warnings == ["app starts without cache: cache is unhealthy"]


def test_the_timeout_holds_for_all_waiting_together():
    scene = Scene(db=Behaviour(healthy_after_s=8.0), app=Behaviour(healthy_after_s=8.0))
    began = scene.clock.monotonic()

    with pytest.raises(ServiceUnhealthy, match="app was not ready within 10 s"):
        scene.start(timeout_s=10.0)

    assert scene.clock.monotonic() - began == pytest.approx(10.0)


def test_a_second_start_changes_nothing():
    scene = Scene()
    scene.start()

    report = scene.start()

    assert not report.is_changed
    assert [done.step.action for done in report.steps] == ["keep", "keep"]


def test_what_crashed_long_ago_and_runs_now_is_left_as_it_is():
    scene = Scene(app=Behaviour(ends_after_s=1000.0, is_restarted=True))
    scene.start()
    scene.clock.sleep(2500.0)

    report = scene.start()

    assert report.services["app"].restart_count == 2
    assert not report.is_changed


def test_only_named_services_and_what_they_need_start():
    scene = Scene()

    scene.start(services=["db"])

    assert set(scene.engine.containers) == {"db"}


def test_an_unknown_service_is_refused_before_anything_is_done():
    scene = Scene()

    with pytest.raises(UnknownService):
        scene.start(services=["web"])

    assert scene.engine.applied == []


def test_a_plan_that_the_engine_refuses_starts_nothing():
    scene = Scene()
    scene.engine.images = {"db:1": "a", "app:1": "b"}
    scene.engine.refuses = PortTaken("port 8000 is in use by nginx (pid 4711)")

    with pytest.raises(PortTaken):
        scene.start()

    assert scene.engine.applied == []


def test_images_are_got_first_and_the_plan_made_anew():
    scene = Scene()
    scene.start()

    scene.start(options=StartOptions(pull=True))

    assert scene.actions[6:] == ["pull-image db", "pull-image app", "keep db", "keep app"]


def test_an_image_that_is_always_pulled_is_pulled_once():
    scene = Scene()

    scene.start(stack_of(replace(DB, pull_policy="always")))

    assert scene.actions.count("pull-image db") == 1


def test_services_without_a_process_are_left_out_and_not_waited_for():
    stack = stack_of(service("app", Dependency("proxy", "service_healthy")), service("proxy"))
    scene = Scene()
    scene.engine.name = "embedded"
    scene.engine.without_process = {"proxy": "no process here"}

    report = scene.start(stack)

    assert scene.actions == ["create app"]
    assert report.left_out == {"proxy": "no process here"}


def test_the_end_is_one_event_with_its_numbers():
    scene = Scene(app=Behaviour(healthy_after_s=2.0))

    report = scene.start()

    ((name, fields),) = scene.report.events
    assert name == "stack.started"
    assert fields == {"project": "opstest", "services": 2, "changes": 6, "duration_s": report.duration_s}
    assert report.duration_s >= report.wait_s >= 2.0


def test_a_preview_is_what_a_start_then_does_and_changes_nothing():
    scene = Scene()
    scene.engine.images = {"db:1": "a", "app:1": "b"}

    preview = preview_start(scene.engine, STACK, clock=scene.clock)

    assert scene.engine.applied == []
    assert [done.step for done in scene.start().steps] == list(preview.steps)


@pytest.mark.parametrize("killed_after", range(6))
def test_a_start_that_was_killed_after_any_step_is_finished_by_the_next_one(killed_after):
    scene = Scene(app=Behaviour(healthy_after_s=2.0))
    scene.engine.killed_after = killed_after
    with pytest.raises(Killed):
        scene.start()
    scene.engine.killed_after = None

    report = scene.start()

    assert {status.health for status in report.services.values()} == {"healthy"}
    assert sorted(scene.actions.count(f"create {name}") for name in ("app", "db")) == [1, 1]
    assert scene.actions.count("create-volume data") == 1


def refused(error: OpsError) -> Login:
    """A database that gives this answer to each login."""

    def check() -> None:
        raise error

    return Login("db", check)


ANOTHER_PASSWORD = refused(DatabaseRefused("another password"))


def test_a_running_database_that_refuses_the_login_is_found_before_anything_is_replaced_or_built():
    scene = Scene()
    scene.start()
    before = list(scene.actions)

    with pytest.raises(DatabaseRefused):
        scene.start(options=StartOptions(force_recreate=True, build=True, pull=True), login=ANOTHER_PASSWORD)

    assert scene.actions == before


def test_a_database_that_was_down_is_asked_once_it_runs_and_nothing_else_starts():
    scene = Scene(db=Behaviour(healthy_after_s=5.0))
    scene.engine.volumes["opstest_data"] = ""

    with pytest.raises(DatabaseRefused):
        scene.start(login=ANOTHER_PASSWORD)

    assert scene.actions[-1] == "create db"


def test_a_health_check_that_does_not_log_in_hides_no_refusal():
    scene = Scene()
    scene.engine.volumes["opstest_data"] = ""

    with pytest.raises(DatabaseRefused):
        scene.start(services=["db"], login=ANOTHER_PASSWORD)

    assert scene.engine.status(STACK, "db").health == "healthy"


def test_an_unhealthy_database_that_refuses_the_login_says_so_although_nothing_changes():
    scene = Scene()
    scene.start()
    scene.engine.behaviours["db"] = Behaviour(unhealthy_after_s=0.0)

    with pytest.raises(DatabaseRefused):
        scene.start(login=ANOTHER_PASSWORD)


def test_data_that_is_being_made_is_not_asked():
    report = Scene().start(login=ANOTHER_PASSWORD)

    assert report.services["db"].health == "healthy"


def test_a_volume_of_another_service_that_is_made_meanwhile_spares_the_old_data_no_question():
    beside = replace(APP, mounts=(Mount("volume", "/cache", "cache"),))
    stack = replace(stack_of(beside, DB), volumes={**STACK.volumes, "cache": Volume("cache", "opstest_cache")})
    scene = Scene()
    scene.engine.volumes["opstest_data"] = ""

    with pytest.raises(DatabaseRefused):
        scene.start(stack, login=ANOTHER_PASSWORD)

    assert "create-volume cache" in scene.actions


def test_a_database_that_cannot_be_asked_from_here_starts_all_the_same():
    scene = Scene()
    scene.start()

    report = scene.start(options=StartOptions(force_recreate=True), login=refused(EngineUnreachable("no way there")))

    assert report.is_changed


def test_the_url_engine_starts_nothing_and_says_what_to_do():
    from ops.adapters.url_engine import UrlEngine

    scene = Scene()

    with pytest.raises(Refused) as failure:
        start(UrlEngine(Secret("sqlite:////tmp/x.db")), STACK, clock=scene.clock, report=scene.report, timeout_s=1.0)

    assert "unset OPS_ENGINE" in (failure.value.hint or "")
