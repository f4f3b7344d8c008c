"""Which steps bring a stack from what is to what the compose file says, and why each of them?

The rules are Compose's, with three differences: a recreated container's reason names the key that changed, a volume
is never removed because its declaration changed, and nothing is done to what the file does not name unless asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ops.errors import BuildFailed
from ops.model.compose.drift import drift_of, has_drifted, local_image_id
from ops.model.compose.order import dependents, start_order
from ops.model.compose.project import Stack, image_reference
from ops.model.engine import ServiceStatus, StackState, is_nameless
from ops.model.stack_warnings import orphans, plan_warnings

__all__ = ["Action", "Step", "orphans", "plan_down", "plan_up", "plan_warnings"]

Action = Literal[
    "create-network",
    "remove-network",
    "create-volume",
    "remove-volume",
    "pull-image",
    "build-image",
    "create",
    "recreate",
    "start",
    "keep",
    "stop",
    "remove",
]
_RUNNING = frozenset({"running", "restarting", "paused"})


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: `subject` is a service, or the key of a network or volume; `reason` is for people.

    `create` makes the container and starts it; `recreate` replaces it and starts the new one, keeping anonymous
    volumes; `start` starts the one that is there; `remove` takes it away, running or not; `remove-network`
    disconnects what is attached first. The subject of an orphan's step is the service it was made for.
    """

    action: Action
    subject: str
    reason: str
    container_id: str = ""
    """The existing container that recreate, start, stop and remove are about."""
    is_with_volumes: bool = False
    """Whether `remove` takes the container's volumes without a name along."""

    @property
    def is_change(self) -> bool:
        """Whether carrying it out changes anything."""
        return self.action != "keep"


def plan_up(
    stack: Stack,
    state: StackState,
    *,
    services: Sequence[str] = (),
    force_recreate: bool = False,
    remove_orphans: bool = False,
    build: bool = False,
    pull: bool = False,
    left_out: Collection[str] = (),
    is_containerised: bool = True,
) -> tuple[Step, ...]:
    """The steps that start services (none named: all) and what they need, in the order in which to carry them out.

    A build or a pull may bring another image, which only a new look tells: carry a plan out up to its last image
    step, observe, and plan again without `build` and `pull`.

    Args:
        stack: what should be.
        state: what is.
        services: named services; what they depend on comes along.
        force_recreate: replace containers although nothing changed (not those that only come along).
        remove_orphans: remove containers of services that the file no longer has.
        build: build again what has a build.
        pull: pull again what has none.
        left_out: services that have no process on this engine.
        is_containerised: False for an engine without images, networks and volumes.

    Raises:
        UnknownService: a name that the stack has not.
        ConfigurationError: services that depend on each other in a circle.
        BuildFailed: an image is not here and `pull_policy: never` forbids getting it.
    """
    chosen = [name for name in start_order(stack, services) if name not in left_out]
    forced = frozenset(services or chosen) if force_recreate else frozenset()
    steps: list[Step] = []
    if is_containerised:
        steps += _network_steps(stack, state, chosen)
        steps += _volume_steps(stack, state, chosen)
        steps += _image_steps(stack, state, chosen, build=build, pull=pull)
    replaced = frozenset(step.subject for step in steps if step.action == "remove-network")
    steps += _service_steps(stack, state, chosen, forced=forced, replaced_networks=replaced)
    if remove_orphans:
        steps += [_removal(orphan, "not in the compose file") for orphan in orphans(stack, state)]
    return tuple(steps)


def plan_down(
    stack: Stack, state: StackState, *, remove_volumes: bool = False, remove_orphans: bool = False
) -> tuple[Step, ...]:
    """The steps that take a stack down, dependents first; read the stack with the profile `*` to have all of it.

    Containers of services that a profile keeps off are removed too; orphans only when asked. Volumes stay unless
    `remove_volumes`, and external ones always.
    """
    steps: list[Step] = []
    for name in reversed(start_order(stack)):
        steps += _down(state.services.get(name, ServiceStatus(name)), is_with_volumes=remove_volumes)
    for status in state.orphans:
        if status.service in stack.inactive or remove_orphans:
            steps += _down(status, is_with_volumes=remove_volumes)
    staying = [] if remove_orphans else orphans(stack, state)
    for network in stack.networks.values():
        if not network.is_external and network.name in state.networks:
            users = [orphan.container_name for orphan in staying if network.name in orphan.networks]
            if users:
                steps.append(Step("keep", network.key, f"network still used by {', '.join(users)}"))
            else:
                steps.append(Step("remove-network", network.key, "stack goes down"))
    for volume in stack.volumes.values() if remove_volumes else ():
        if not volume.is_external and volume.name in state.volumes:
            steps.append(Step("remove-volume", volume.key, "asked for, with the data in it"))
    return tuple(steps)


def _network_steps(stack: Stack, state: StackState, chosen: Sequence[str]) -> Iterator[Step]:
    used = {key for name in chosen for key in stack.services[name].networks}
    for network in stack.networks.values():
        if network.is_external or network.key not in used:
            continue
        if network.name not in state.networks:
            yield Step("create-network", network.key, f"network {network.name} is missing")
        elif has_drifted(state.networks[network.name], network.config_hash):
            yield Step("remove-network", network.key, "its declaration changed")
            yield Step("create-network", network.key, "its declaration changed")


def _volume_steps(stack: Stack, state: StackState, chosen: Sequence[str]) -> Iterator[Step]:
    used = {mount.source for name in chosen for mount in stack.services[name].mounts if mount.kind == "volume"}
    for volume in stack.volumes.values():
        if not volume.is_external and volume.key in used and volume.name not in state.volumes:
            yield Step("create-volume", volume.key, f"volume {volume.name} is missing")


def _image_steps(stack: Stack, state: StackState, chosen: Sequence[str], *, build: bool, pull: bool) -> Iterator[Step]:
    for name in chosen:
        service = stack.services[name]
        reference = image_reference(stack.project, service)
        is_here = local_image_id(stack, state, service) is not None
        if service.build is not None:
            if build or not is_here or service.pull_policy == "build":
                reason = f"image {reference} is not here" if not is_here else "asked for"
                yield Step("build-image", name, reason)
        elif pull or not is_here or service.pull_policy == "always":
            if service.pull_policy == "never":
                if is_here:
                    continue
                raise BuildFailed(
                    f"the image {reference} of {name} is not here", cause="its pull_policy is never", hint="inv pull"
                )
            yield Step("pull-image", name, "asked for" if is_here else f"image {reference} is not here")


def _service_steps(
    stack: Stack,
    state: StackState,
    chosen: Sequence[str],
    *,
    forced: Collection[str],
    replaced_networks: Collection[str],
) -> Iterator[Step]:
    reasons: dict[str, str] = {}
    for name in chosen:
        status = state.services.get(name, ServiceStatus(name))
        network = next((key for key in stack.services[name].networks if key in replaced_networks), None)
        if status.state == "absent":
            continue
        asked = "asked for" if name in forced else None
        renewed = f"network {network} changed" if network else None
        reason = asked or renewed or drift_of(stack, state, stack.services[name], status)
        if reason:
            reasons[name] = reason
    stopped: set[str] = set()
    for name in chosen:
        status = state.services.get(name, ServiceStatus(name))
        if name in reasons:
            for other in dependents(stack, name):
                dependent = state.services.get(other, ServiceStatus(other))
                if other in chosen and other not in reasons and dependent.state in _RUNNING and other not in stopped:
                    stopped.add(other)
                    yield Step("stop", other, f"restarts with {name}", dependent.container_id)
            yield Step("recreate", name, reasons[name], status.container_id)
        elif name in stopped:
            yield Step("start", name, "restarts with what it depends on", status.container_id)
        else:
            yield _unchanged(status)


def _unchanged(status: ServiceStatus) -> Step:
    match status.state:
        case "absent":
            return Step("create", status.service, "no container yet")
        case "running" | "restarting":
            return Step("keep", status.service, "nothing changed", status.container_id)
        case "paused":
            return Step("start", status.service, "paused", status.container_id)
        case "created":
            return Step("start", status.service, "never started", status.container_id)
        case _:
            code = "" if status.exit_code is None else f" with exit code {status.exit_code}"
            return Step("start", status.service, f"ended{code}", status.container_id)


def _down(status: ServiceStatus, *, is_with_volumes: bool) -> Iterator[Step]:
    if status.state == "absent":
        return
    if status.state in _RUNNING:
        yield Step("stop", status.service, "stack goes down", status.container_id)
    removal = _removal(status, "stack goes down")
    if is_with_volumes and any(map(is_nameless, status.volumes)):
        removal = replace(removal, reason="stack goes down, with its volumes without a name", is_with_volumes=True)
    yield removal


def _removal(status: ServiceStatus, reason: str) -> Step:
    return Step("remove", status.service, reason, status.container_id)
