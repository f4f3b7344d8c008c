"""What would `up` or `down` do now?

The same steps that `start` and `stop` carry out, with what no step says; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ops.model.compose.project import Stack
from ops.model.engine import StackState
from ops.model.stack_plan import Step, plan_down, plan_up, plan_warnings
from ops.ports import Clock, Engine


@dataclass(frozen=True, slots=True)
class StackPreview:
    """A plan and what it was made from."""

    steps: tuple[Step, ...]
    state: StackState
    left_out: Mapping[str, str]
    """Services without a process on this engine -> the reason."""
    warnings: tuple[str, ...] = ()
    observe_s: float = 0.0
    """How long looking at the engine took."""
    plan_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How `up` is asked to go about it."""

    force_recreate: bool = False
    remove_orphans: bool = False
    build: bool = False
    pull: bool = False


_AS_IT_IS = StartOptions()


def preview_start(
    engine: Engine, stack: Stack, *, clock: Clock, services: Sequence[str] = (), options: StartOptions = _AS_IT_IS
) -> StackPreview:
    """The plan of `start`. Raises: EngineUnreachable, UnknownService, ConfigurationError, BuildFailed."""
    began = clock.monotonic()
    state, left_out = engine.observe(stack), engine.left_out(stack)
    observed = clock.monotonic()
    steps = plan_up(
        stack,
        state,
        services=services,
        force_recreate=options.force_recreate,
        remove_orphans=options.remove_orphans,
        build=options.build,
        pull=options.pull,
        left_out=left_out,
        is_containerised=engine.name == "docker",
    )
    warnings = plan_warnings(stack, state)
    took_s = round(observed - began, 3), round(clock.monotonic() - observed, 3)
    return StackPreview(steps, state, left_out, warnings, *took_s)


def preview_stop(
    engine: Engine, stack: Stack, *, remove_volumes: bool = False, remove_orphans: bool = False
) -> StackPreview:
    """The plan of `stop`. Raises: EngineUnreachable."""
    state = engine.observe(stack)
    steps = plan_down(stack, state, remove_volumes=remove_volumes, remove_orphans=remove_orphans)
    return StackPreview(steps, state, engine.left_out(stack))
