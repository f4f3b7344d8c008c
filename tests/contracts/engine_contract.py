"""What does every engine promise?

One suite of sentences, run on the fake, on the embedded engine and on Docker. A test module subclasses
`EngineContract` and gives a `case` fixture; see `EngineCase` for what the case must bring.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from ops.actions.start import start
from ops.actions.stop import stop
from ops.errors import Refused, ServiceUnhealthy, UnknownService
from ops.model.compose.project import Service, Stack
from ops.model.stack_plan import Step
from ops.ports import Clock, Engine
from tests.fakes.reporter import RecordingReporter


@dataclass
class EngineCase:
    """An engine and a stack of two services on it, of which nothing runs yet."""

    engine: Engine
    stack: Stack
    """`first` is the database, with a named volume of key `data`; `second` waits until it is healthy."""
    clock: Clock
    kill: Callable[[str], None]
    """Ends a service's main process from outside, as `kill -9`, and returns once the engine knows."""
    cat_then_7: tuple[str, ...]
    """A program both services can run that copies stdin to stdout and exits with 7."""
    crash: Callable[[], Stack]
    """The stack with a `second` that prints `about to fail` and ends at once with exit code 3."""
    first: str = "db"
    second: str = "app"
    timeout_s: float = 60.0
    report: RecordingReporter = field(default_factory=RecordingReporter)

    def up(self, stack: Stack | None = None, services: tuple[str, ...] = ()) -> list[tuple[str, str]]:
        """Start, and give the steps about services that were carried out."""
        done = start(
            self.engine, stack or self.stack, clock=self.clock, report=self.report, timeout_s=self.timeout_s,
            services=services,
        )  # fmt: skip
        about_services = {"create", "recreate", "start", "keep", "stop"}
        return [(one.step.action, one.step.subject) for one in done.steps if one.step.action in about_services]

    def down(self, **options: bool) -> None:
        """Stop."""
        stop(self.engine, self.stack, clock=self.clock, report=self.report, **options)

    def with_variable(self, name: str, value: str) -> Stack:
        """The stack with another variable in the environment of `second`."""
        service = self.stack.services[self.second]
        changed: Service = replace(service, environment={**service.environment, name: value}, config_hashes=("other",))
        return replace(self.stack, services={**self.stack.services, self.second: changed})


class EngineContract:
    """The sentences."""

    @pytest.fixture
    def case(self) -> EngineCase:
        raise NotImplementedError

    @pytest.fixture
    def untouched(self, case: EngineCase) -> EngineCase:
        """A case of which nothing exists, no volume either; a suite whose cases come with data overrides it."""
        return case

    def test_nothing_exists_before_the_first_start(self, untouched: EngineCase):
        state = untouched.engine.observe(untouched.stack)

        assert {status.state for status in state.services.values()} == {"absent"}
        assert state.orphans == ()
        assert untouched.stack.volumes["data"].name not in state.volumes

    def test_looking_creates_nothing(self, untouched: EngineCase):
        untouched.engine.observe(untouched.stack)

        assert untouched.engine.observe(untouched.stack).volumes == untouched.engine.observe(untouched.stack).volumes
        assert untouched.stack.volumes["data"].name not in untouched.engine.observe(untouched.stack).volumes

    def test_started_services_run_and_are_healthy_what_is_needed_first(self, case: EngineCase):
        steps = case.up()

        assert steps == [("create", case.first), ("create", case.second)]
        state = case.engine.observe(case.stack)
        for name in (case.first, case.second):
            assert (state.services[name].state, state.services[name].health) == ("running", "healthy")
            assert state.services[name].container_id
            assert state.services[name].started_at is not None
            assert state.services[name].exit_code is None
        assert case.stack.volumes["data"].name in state.volumes

    def test_starting_again_keeps_what_runs(self, case: EngineCase):
        case.up()
        before = case.engine.observe(case.stack).services

        steps = case.up()

        assert steps == [("keep", case.first), ("keep", case.second)]
        after = case.engine.observe(case.stack).services
        assert [(one.container_id, one.started_at) for one in after.values()] == [
            (one.container_id, one.started_at) for one in before.values()
        ]

    def test_carrying_out_a_step_twice_is_harmless(self, case: EngineCase):
        case.up(services=(case.first,))
        before = case.engine.status(case.stack, case.first)

        case.engine.apply(Step("create", case.first, "again"), case.stack, case.report)
        case.engine.apply(Step("start", case.first, "again", before.container_id), case.stack, case.report)

        after = case.engine.status(case.stack, case.first)
        assert (after.container_id, after.started_at) == (before.container_id, before.started_at)

    def test_naming_a_service_starts_it_and_what_it_needs_only(self, case: EngineCase):
        case.up(services=(case.first,))

        assert case.engine.status(case.stack, case.second).state == "absent"

    def test_a_changed_variable_replaces_that_service_only_and_is_named(self, case: EngineCase):
        case.up()
        before = case.engine.observe(case.stack).services

        steps = case.up(case.with_variable("COLOUR", "blue"))

        assert steps == [("keep", case.first), ("recreate", case.second)]
        assert any("environment.COLOUR" in note for note in case.report.notes)
        after = case.engine.observe(case.stack).services
        assert after[case.first].started_at == before[case.first].started_at
        assert after[case.second].container_id != before[case.second].container_id

    @pytest.mark.parametrize("which", ["first", "second"])
    def test_what_was_killed_is_started_by_the_next_start(self, case: EngineCase, which: str):
        name = getattr(case, which)
        case.up()
        case.kill(name)
        ended = case.engine.status(case.stack, name)

        steps = case.up()

        assert (ended.state, ended.exit_code) == ("exited", 137)
        assert ("start", name) in steps
        assert case.engine.status(case.stack, name).health == "healthy"

    def test_a_stopped_service_has_exited(self, case: EngineCase):
        case.up()

        case.engine.apply(Step("stop", case.second, "test"), case.stack, case.report)
        case.engine.apply(Step("stop", case.second, "twice is harmless"), case.stack, case.report)

        status = case.engine.status(case.stack, case.second)
        assert status.state == "exited"
        assert status.exit_code is not None

    def test_taking_down_removes_services_and_keeps_data(self, case: EngineCase):
        case.up()

        case.down()
        case.down()

        state = case.engine.observe(case.stack)
        assert {status.state for status in state.services.values()} == {"absent"}
        assert case.stack.volumes["data"].name in state.volumes

    def test_volumes_go_only_where_that_was_confirmed(self, case: EngineCase):
        case.up()

        with pytest.raises(Refused):
            case.down(remove_volumes=True)
        assert case.engine.status(case.stack, case.first).state == "running"
        case.down(remove_volumes=True, is_confirmed=True)

        assert case.stack.volumes["data"].name not in case.engine.observe(case.stack).volumes

    def test_a_service_that_ends_at_once_fails_the_start_with_its_code_and_last_words(self, case: EngineCase):
        with pytest.raises(ServiceUnhealthy) as failure:
            case.up(case.crash())

        assert case.second in failure.value.message
        assert "3" in failure.value.message
        assert "about to fail" in (failure.value.cause or "")
        assert failure.value.hint == f"inv logs --service {case.second}"

    def test_a_program_in_a_service_has_our_streams_and_its_own_exit_code(self, case: EngineCase):
        case.up(services=(case.first,))
        said = io.BytesIO()

        code = case.engine.execute(
            case.stack, case.first, case.cat_then_7, stdin=io.BytesIO(b"a\x00b\r\n" * 50_000), stdout=said
        )

        assert code == 7
        assert said.getvalue() == b"a\x00b\r\n" * 50_000

    def test_a_missing_program_is_127(self, case: EngineCase):
        case.up(services=(case.first,))

        assert case.engine.execute(case.stack, case.first, ("no-such-program-here",)) == 127

    def test_a_program_in_a_service_that_does_not_run_is_refused(self, case: EngineCase):
        with pytest.raises(UnknownService):
            case.engine.execute(case.stack, case.second, case.cat_then_7)

    def test_a_one_off_program_needs_no_running_service(self, case: EngineCase):
        said = io.BytesIO()

        code = case.engine.run_once(
            case.stack, case.stack.services[case.second], case.cat_then_7, stdin=io.BytesIO(b"once"), stdout=said
        )

        assert (code, said.getvalue()) == (7, b"once")
        assert case.engine.status(case.stack, case.second).state == "absent"

    def test_logs_end_by_themselves_and_can_be_cut(self, case: EngineCase):
        case.up()

        lines = list(case.engine.logs(case.stack, (case.first, case.second)))

        assert {line.service for line in lines} == {case.first, case.second}
        assert all(line.at is not None and line.at.tzinfo is not None for line in lines)
        assert len(list(case.engine.logs(case.stack, (case.second,), tail=1))) == 1
        assert list(case.engine.logs(case.stack, (case.second,), tail=0)) == []

    def test_a_service_that_the_stack_has_not_is_unknown(self, case: EngineCase):
        with pytest.raises(UnknownService):
            case.engine.status(case.stack, "no-such-service")

    def test_the_database_has_an_endpoint_only_while_it_runs(self, case: EngineCase):
        with pytest.raises(UnknownService):
            case.engine.database_endpoint(case.stack, case.first)
        case.up(services=(case.first,))

        assert case.engine.database_endpoint(case.stack, case.first)
