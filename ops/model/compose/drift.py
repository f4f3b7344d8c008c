"""Does what exists still fit what the compose file says, and if not, why?"""

from __future__ import annotations

from ops.model.compose.project import Service, Stack, image_reference
from ops.model.compose.spec import changed_keys
from ops.model.engine import ServiceStatus, StackState


def has_drifted(label: str | None, config_hash: str) -> bool:
    """Whether a network or volume carries the hash of another declaration; one without a hash does not."""
    return bool(label) and bool(config_hash) and label != config_hash


def local_image_id(stack: Stack, state: StackState, service: Service) -> str | None:
    """The id of a service's image on this engine, None where it is not here."""
    reference = image_reference(stack.project, service)
    return state.image_ids.get(reference) or state.image_ids.get(f"{reference}:latest")


def drift_of(stack: Stack, state: StackState, service: Service, status: ServiceStatus) -> str | None:
    """Why a container does not fit its service any more; None where it does."""
    if status.state == "dead":
        return "the container is dead"
    changes = changed_keys(status.spec, service) if status.spec else None
    if changes:
        return ", ".join(changes)
    if changes is None and status.config_hash and status.config_hash not in service.config_hashes:
        return "its declaration changed (made by docker compose, which does not say what)"
    image_id = local_image_id(stack, state, service)
    if image_id and status.image_id and image_id != status.image_id:
        return f"image {image_reference(stack.project, service)} is another one now"
    return _detached(stack, service, status)


def _detached(stack: Stack, service: Service, status: ServiceStatus) -> str | None:
    if status.state == "running" and status.networks:
        for key in service.networks:
            if key in stack.networks and stack.networks[key].name not in status.networks:
                return f"not attached to network {key}"
    if status.volumes:
        for mount in service.mounts:
            volume = stack.volumes.get(mount.source or "")
            if mount.kind == "volume" and volume is not None and volume.name not in status.volumes:
                return f"volume {volume.key} is not mounted"
    return None
