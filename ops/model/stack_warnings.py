"""What should a person know of a stack that no step of a plan says?"""

from __future__ import annotations

from collections.abc import Iterator

from ops.model.compose.drift import has_drifted
from ops.model.compose.project import Stack
from ops.model.engine import ServiceStatus, StackState

_WEB_PORTS = frozenset({"80", "443"})


def orphans(stack: Stack, state: StackState) -> tuple[ServiceStatus, ...]:
    """Containers of the project whose service the file does not name; a service that is merely off is none."""
    return tuple(status for status in state.orphans if status.service not in {*stack.services, *stack.inactive})


def plan_warnings(stack: Stack, state: StackState) -> tuple[str, ...]:
    """What a person should know of a plan and no step says: one sentence each, with what to do."""
    return (
        *(
            f"container {orphan.container_name or orphan.service} belongs to the project but not to the compose file: "
            "inv up --remove-orphans removes it"
            for orphan in orphans(stack, state)
        ),
        *(
            f"the declaration of volume {volume.key} changed; {volume.name} is kept as it is and will not be recreated"
            for volume in stack.volumes.values()
            if has_drifted(state.volumes.get(volume.name), volume.config_hash)
        ),
        *_set_aside(stack, state),
        *(
            f"{service.name} publishes {port.published} on all addresses, past firewalls such as ufw: "
            f"write 127.0.0.1:{port.published}:{port.target}"
            for service in stack.services.values()
            for port in service.ports
            if port.published and port.published not in _WEB_PORTS and port.host_ip in (None, "0.0.0.0", "::")  # noqa: S104 - what we warn of
        ),
    )


def _set_aside(stack: Stack, state: StackState) -> Iterator[str]:
    """Services that would begin with an empty volume in place of the one that their container has now."""
    for service in stack.services.values():
        mounted = {mount.source for mount in service.mounts if mount.kind == "volume"}
        names = {volume.name for volume in stack.volumes.values() if volume.key in mounted}
        present = state.services.get(service.name, ServiceStatus(service.name)).volumes
        left = [name for name in present if name in state.volumes and name not in names]
        for new in sorted(names - state.volumes.keys()) if left else ():
            yield f"{service.name} begins with a new, empty volume {new}; {', '.join(left)} stays as it is, unused"
