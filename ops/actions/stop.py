"""How does a stack go down?

Dependents first, each service asked to end before it is removed. Data stays: volumes go only where that was asked for
and confirmed, and the asking is the command line's part.
"""

from __future__ import annotations

from dataclasses import dataclass

from ops.actions.preview_stack import preview_stop
from ops.actions.start import StepDone
from ops.errors import Refused
from ops.model.compose.project import Stack
from ops.ports import Clock, Engine, Reporter


@dataclass(frozen=True, slots=True)
class StopReport:
    """What was done."""

    steps: tuple[StepDone, ...]
    duration_s: float


def stop(
    engine: Engine,
    stack: Stack,
    *,
    clock: Clock,
    report: Reporter,
    remove_volumes: bool = False,
    is_confirmed: bool = False,
    remove_orphans: bool = False,
) -> StopReport:
    """Stop and remove the services; doing it twice is harmless.

    Args:
        engine: where they run.
        stack: what goes down; read it with the profile `*` to have all of it.
        clock: for durations.
        report: a note for each change, one event `stack.stopped` at the end.
        remove_volumes: delete the stack's volumes with all data.
        is_confirmed: somebody who was asked said yes to that.
        remove_orphans: also remove what belongs to the project but not to the file.

    Raises:
        Refused: volumes were to be removed and nobody confirmed it; nothing was touched.
        EngineUnreachable.
    """
    if remove_volumes and not is_confirmed:
        raise Refused(
            f"the volumes of {stack.project} were to be deleted, and nobody confirmed it",
            cause="all data of the stack would be lost",
            hint="inv backup, then: inv down --volumes",
        )
    began = clock.monotonic()
    done: list[StepDone] = []
    for step in preview_stop(engine, stack, remove_volumes=remove_volumes, remove_orphans=remove_orphans).steps:
        step_began = clock.monotonic()
        if step.is_change:
            report.note(f"{step.action} {step.subject}: {step.reason}")
        engine.apply(step, stack, report)
        done.append(StepDone(step, round(clock.monotonic() - step_began, 3)))
    result = StopReport(tuple(done), round(clock.monotonic() - began, 3))
    report.finished("stack.stopped", project=stack.project, steps=len(done), duration_s=result.duration_s)
    return result
