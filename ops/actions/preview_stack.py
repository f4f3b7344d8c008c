"""What would `up` or `down` do now?

The same steps that `start` and `stop` carry out, with what no step says; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ops.model.compose.project import Stack
from ops.model.engine import StackState
from ops.model.stack_plan import Step, plan_down, plan_up, plan_warnings
from ops.ports import Engine


@dataclass(frozen=True, slots=True)
class StackPreview:
    """A plan and what it was made from."""

    steps: tuple[Step, ...]
    state: StackState
    left_out: Mapping[str, str]
    """Services without a process on this engine -> the reason."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How `up` is asked to go about it."""

    force_recreate: bool = False
    remove_orphans: bool = False
    build: bool = False
    pull: bool = False


_AS_IT_IS = StartOptions()


def preview_start(
    engine: Engine, stack: Stack, *, services: Sequence[str] = (), options: StartOptions = _AS_IT_IS
) -> StackPreview:
    """The plan of `start`. Raises: EngineUnreachable, UnknownService, ConfigurationError, BuildFailed."""
    state, left_out = engine.observe(stack), engine.left_out(stack)
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
    return StackPreview(steps, state, left_out, plan_warnings(stack, state))


def preview_stop(
    engine: Engine, stack: Stack, *, remove_volumes: bool = False, remove_orphans: bool = False
) -> StackPreview:
    """The plan of `stop`. Raises: EngineUnreachable."""
    state = engine.observe(stack)
    steps = plan_down(stack, state, remove_volumes=remove_volumes, remove_orphans=remove_orphans)
    return StackPreview(steps, state, engine.left_out(stack))
