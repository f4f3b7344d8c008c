"""What should a person know of a stack that no step of a plan says?"""

from __future__ import annotations

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
        *(
            f"{service.name} publishes {port.published} on all addresses, past firewalls such as ufw: "
            f"write 127.0.0.1:{port.published}:{port.target}"
            for service in stack.services.values()
            for port in service.ports
            if port.published and port.published not in _WEB_PORTS and port.host_ip in (None, "0.0.0.0", "::")  # noqa: S104 - what we warn of
        ),
    )
