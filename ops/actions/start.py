"""How does a stack come up?

Look, plan, refuse what could not be carried out, then carry out each step - a service starts once what it depends on
is as it asks - and wait strictly until all are ready. A run that is killed is taken up by the next one.
A database that does not take the login of the compose file is refused before anything is replaced where it runs, and
as soon as it answers where it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ops.actions.ask_login import Login
from ops.actions.preview_stack import StackPreview, StartOptions, preview_start
from ops.actions.wait import wait_until_ready
from ops.errors import ServiceUnhealthy
from ops.model.compose.project import Stack
from ops.model.engine import ServiceStatus
from ops.model.stack_plan import Step
from ops.ports import Clock, Engine, Reporter

_IMAGE_STEPS = frozenset({"build-image", "pull-image"})
_STARTS = frozenset({"create", "recreate", "start"})
_SERVICE_STEPS = _STARTS | {"keep"}
_AS_IT_IS = StartOptions()


@dataclass(frozen=True, slots=True)
class StepDone:
    """One step that was carried out, waiting for what it depends on included."""

    step: Step
    duration_s: float


@dataclass(frozen=True, slots=True)
class StartReport:
    """What was done, and how the services are now."""

    steps: tuple[StepDone, ...]
    services: Mapping[str, ServiceStatus]
    left_out: Mapping[str, str]
    warnings: tuple[str, ...]
    wait_s: float
    duration_s: float

    @property
    def is_changed(self) -> bool:
        """Whether anything had to be done."""
        return any(done.step.is_change for done in self.steps)


def start(
    engine: Engine,
    stack: Stack,
    *,
    clock: Clock,
    report: Reporter,
    timeout_s: float,
    services: Sequence[str] = (),
    options: StartOptions = _AS_IT_IS,
    login: Login | None = None,
) -> StartReport:
    """Start services (none named: all) with what they need, and wait until they are ready.

    Args:
        engine: where.
        stack: what should be.
        clock: for durations and the deadline.
        report: a note for each change, warnings, one event `stack.started` at the end.
        timeout_s: how long waiting may take in all; images are got before that.
        services: named services; what they depend on comes along.
        options: recreate, orphans, images.
        login: the database service's, None where there is none to check.

    Raises:
        DatabaseRefused: the database does not take the compose file's login; nothing that ran was replaced.
        ServiceUnhealthy: a service failed or was not ready in time.
        UnknownService, ConfigurationError, PortTaken, Refused, BuildFailed, EngineUnreachable.
    """
    run = _Start(engine, stack, clock=clock, report=report, timeout_s=timeout_s, login=login)
    return run.run(services, options)


class _Start:
    """One run: its tools, what it did, and when its waiting must end."""

    def __init__(
        self, engine: Engine, stack: Stack, *, clock: Clock, report: Reporter, timeout_s: float, login: Login | None
    ) -> None:
        self._engine = engine
        self._stack = stack
        self._clock = clock
        self._report = report
        self._login = login
        self._done: list[StepDone] = []
        self._timeout_s = timeout_s
        self._began_s = clock.monotonic()

    def run(self, services: Sequence[str], options: StartOptions) -> StartReport:
        began = self._clock.monotonic()
        plan = self._with_images(services, options)
        for text in plan.warnings:
            self._report.warn(text)
        self._engine.preflight(plan.steps, self._stack)
        self._began_s = self._clock.monotonic()
        for step in plan.steps:
            self._carry_out(step, plan)
        waits_from = self._clock.monotonic()
        names = [step.subject for step in plan.steps if step.action in _SERVICE_STEPS and self._has(step.subject)]
        ready = self._wait(list(dict.fromkeys(names)), plan)
        ended = self._clock.monotonic()
        result = StartReport(
            steps=tuple(self._done),
            services=ready,
            left_out=plan.left_out,
            warnings=plan.warnings,
            wait_s=round(ended - waits_from, 3),
            duration_s=round(ended - began, 3),
        )
        changes = sum(done.step.is_change for done in self._done)
        self._report.finished(
            "stack.started",
            project=self._stack.project,
            services=len(ready),
            changes=changes,
            duration_s=result.duration_s,
        )
        return result

    def _with_images(self, services: Sequence[str], options: StartOptions) -> StackPreview:
        """Get images, then plan anew: only a new look tells whether they are others."""
        plan = preview_start(self._engine, self._stack, clock=self._clock, services=services, options=options)
        if self._login is not None:
            self._login.ask_before(plan)
        last = max((place for place, step in enumerate(plan.steps) if step.action in _IMAGE_STEPS), default=-1)
        if last < 0:
            return plan
        for step in plan.steps[: last + 1]:
            self._carry_out(step, plan)
        have = replace(options, build=False, pull=False)
        anew = preview_start(self._engine, self._stack, clock=self._clock, services=services, options=have)
        return replace(anew, steps=tuple(step for step in anew.steps if step.action not in _IMAGE_STEPS))

    def _carry_out(self, step: Step, plan: StackPreview) -> None:
        began = self._clock.monotonic()
        if step.is_change:
            self._report.note(f"{step.action} {step.subject}: {step.reason}")
        if step.action in _STARTS:
            self._wait_for_needed(step.subject, plan)
        self._engine.apply(step, self._stack, self._report)
        self._done.append(StepDone(step, round(self._clock.monotonic() - began, 3)))

    def _wait_for_needed(self, name: str, plan: StackPreview) -> None:
        for needed in self._stack.services[name].depends_on:
            if (
                needed.condition == "service_started"
                or not self._has(needed.service)
                or needed.service in plan.left_out
            ):
                continue
            try:
                self._wait([needed.service], plan)
            except ServiceUnhealthy as failure:
                if needed.is_required:
                    raise
                self._report.warn(f"{name} starts without {needed.service}: {failure.message}")

    def _wait(self, names: Sequence[str], plan: StackPreview) -> Mapping[str, ServiceStatus]:
        """A service that we leave as it is may have been restarted long ago; one that we start begins at 0."""
        begun = {step.subject for step in plan.steps if step.action in _STARTS}
        before = {name: was.restart_count for name, was in plan.state.services.items() if name not in begun}
        steps = [*(done.step for done in self._done), *plan.steps]
        login = self._login if self._login and self._login.is_asked_among(steps, self._stack) else None

        def ask(name: str) -> None:
            if login is not None and name == login.service:
                login.ask()

        ready = wait_until_ready(
            self._engine,
            self._stack,
            names,
            clock=self._clock,
            report=self._report,
            timeout_s=self._timeout_s,
            began_s=self._began_s,
            restarts_before=before,
            while_waiting=ask,
        )
        for name in begun.intersection(names):
            ask(name)  # there are health checks that do not log in
        return ready

    def _has(self, name: str) -> bool:
        return name in self._stack.services
