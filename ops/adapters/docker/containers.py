"""How do a service's containers come, go, and take each other's place?

A replacement is made under a temporary name and started last: create it, stop the old one, remove the old one, rename,
start. So a kill at any point leaves at most one running container, never none of the data, and the next apply goes on
from what it finds. Anonymous volumes move to the replacement, and go only with a stack that goes down with its volumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import docker.errors

from ops.adapters.docker import container_config
from ops.adapters.docker.client import Connection
from ops.adapters.docker.container_config import Placement, container_name
from ops.adapters.docker.errors import translated
from ops.adapters.docker.new_container import anonymous_volumes, make, placement_of
from ops.adapters.docker.status import (
    containers_of,
    inspect_container,
    is_temporary,
    labels_of,
    name_of,
    pick,
)
from ops.errors import UnknownService
from ops.model.compose.project import Service, Stack
from ops.model.engine import is_nameless
from ops.model.stack_plan import Step
from ops.ports import Reporter

_DEFAULT_GRACE_S = 10
_RUNNING = {"running", "restarting"}


@dataclass(frozen=True, slots=True)
class Containers:
    """Changes the containers of one stack.

    `secrets` are the variables that secrets with `environment:` take their content from.
    """

    connection: Connection
    stack: Stack
    secrets: Mapping[str, str]
    report: Reporter

    def apply(self, step: Step) -> None:
        """Carry out a step that is about a container; `keep` only clears away what a killed run left beside it."""
        match step.action:
            case "create":
                self.create(self._service(step.subject))
            case "recreate":
                self.recreate(self._service(step.subject), step.container_id)
            case "start":
                self.start(self._service(step.subject), step.container_id)
            case "stop":
                self.stop(step.subject, step.container_id)
            case "remove":
                self.remove(step.subject, step.container_id, is_with_volumes=step.is_with_volumes)
            case "keep" if step.subject in self.stack.services:
                self._tidy(self.stack.services[step.subject])

    def _service(self, name: str) -> Service:
        try:
            return self.stack.services[name]
        except KeyError:
            raise UnknownService(f"the stack {self.stack.project} has no service {name}") from None

    def create(self, service: Service) -> None:
        """Make and start the service's container; where one is there already, replace an outdated one."""
        there = self._tidy(service)
        if there is None:
            made = self._make(
                service, placement_of(self.connection, self.stack, service), container_name(self.stack, service)
            )
            try:
                self._start(made, service.name)
            except BaseException:
                # Nobody has used it: a start that fails (a port, a bad command) must not leave it behind.
                with suppress(docker.errors.APIError):
                    self.connection.slow().remove_container(made, v=True, force=True)
                raise
        elif labels_of(there).get(container_config.CONFIG_HASH) in service.config_hashes:
            self._start(there["Id"], service.name)
        else:
            self._replace(service, there)

    def recreate(self, service: Service, container_id: str) -> None:
        """Replace the service's container, running or not, by one made from the compose file as it is now."""
        there = self._tidy(service)
        if there is None:
            self.create(service)
        elif container_id and there["Id"] != container_id and is_current(there, service):
            # A killed run had got as far as removing the old one.
            self._start(there["Id"], service.name)
        else:
            self._replace(service, there)

    def start(self, service: Service, container_id: str) -> None:
        """Start the service's container where it does not run."""
        there = self._tidy(service)
        if there is None:
            raise UnknownService(f"{service.name} has no container {container_id[:12]}", hint="inv up")
        self._start(there["Id"], service.name)

    def stop(self, subject: str, container_id: str) -> None:
        """Stop a container (or all of a service), giving it its own time to end."""
        for inspection in self._found(subject, container_id):
            self._stop(inspection)

    def remove(self, subject: str, container_id: str, *, is_with_volumes: bool = False) -> None:
        """Stop and remove a container and all others of its service (scaled, half made).

        Their volumes stay; `is_with_volumes`: those without a name go, as with Compose's `down --volumes`.
        """
        named = self._found(subject, container_id)
        others = containers_of(self.connection, self.stack.project, subject)
        for inspection in {each["Id"]: each for each in [*named, *others]}.values():
            self._stop(inspection)
            self._remove(inspection)
            if is_with_volumes:
                self._remove_nameless(inspection)

    def _found(self, subject: str, container_id: str) -> list[dict[str, Any]]:
        if not container_id:
            return containers_of(self.connection, self.stack.project, subject)
        found = inspect_container(self.connection, container_id)
        return [found] if found else []

    def _tidy(self, service: Service) -> dict[str, Any] | None:
        """Undo what a killed run left half done: a replacement that replaced nothing goes, one that is alone stays.

        Returns the service's one container, under its final name.
        """
        final = container_name(self.stack, service)
        found = containers_of(self.connection, self.stack.project, service.name)
        chosen = pick(self.stack, service.name, found)
        for each in found:
            if chosen is not None and each["Id"] != chosen["Id"] and is_temporary(name_of(each), final):
                self._remove(each)
        if chosen is not None and is_temporary(name_of(chosen), final):
            self._rename(chosen["Id"], final)
        return chosen

    def _replace(self, service: Service, old: dict[str, Any]) -> None:
        final = container_name(self.stack, service)
        placement = replace(
            placement_of(self.connection, self.stack, service),
            inherited=anonymous_volumes(old, service),
            replaces=name_of(old),
        )
        made = self._make(service, placement, f"{old['Id'][:12]}_{final}")
        self._stop(old)
        self._remove(old)
        self._rename(made, final)
        self._start(made, service.name)

    def _make(self, service: Service, placement: Placement, name: str) -> str:
        return make(self.connection, self.stack, service, placement=placement, name=name, secrets=self.secrets)

    def _start(self, container: str, name: str) -> None:
        inspection = inspect_container(self.connection, container)
        if inspection and inspection["State"]["Status"] in _RUNNING:
            return
        with translated(f"start {name}"):
            client = self.connection.slow()
            if inspection and inspection["State"]["Status"] == "paused":
                client.unpause(container)
            else:
                client.start(container)
        self.report.note(f"{name} started")

    def _stop(self, inspection: Mapping[str, Any]) -> None:
        if inspection["State"]["Status"] not in {*_RUNNING, "paused"}:
            return
        grace_s = inspection["Config"].get("StopTimeout") or _DEFAULT_GRACE_S
        name = name_of(inspection)
        with translated(f"stop {name}"), suppress(docker.errors.NotFound):
            # The client waits for the answer as long as the grace time and its own limit together.
            self.connection.slow().stop(inspection["Id"], timeout=min(grace_s, 24 * 3600))
        self.report.note(f"{name} stopped")

    def _remove(self, inspection: Mapping[str, Any]) -> None:
        name = name_of(inspection)
        with translated(f"remove {name}"), suppress(docker.errors.NotFound):
            try:
                self.connection.slow().remove_container(inspection["Id"], v=False, force=True)
            except docker.errors.APIError as error:
                if "is already in progress" not in str(error.explanation):
                    raise
        self.report.note(f"{name} removed")

    def _remove_nameless(self, inspection: Mapping[str, Any]) -> None:
        """A container that replaced another one has the volume of that by its number, so the engine lets it stay."""
        for mount in inspection.get("Mounts") or ():
            if mount.get("Type") == "volume" and is_nameless(str(mount.get("Name"))):
                self._remove_volume(mount["Name"])

    def _remove_volume(self, name: str) -> None:
        with translated(f"remove the volume {name}"), suppress(docker.errors.NotFound):
            try:
                self.connection.slow().remove_volume(name)
            except docker.errors.APIError as error:
                if error.status_code != HTTPStatus.CONFLICT:  # another container uses it
                    raise

    def _rename(self, container: str, final: str) -> None:
        with translated(f"rename the new container to {final}"):
            self.connection.slow().rename(container, final)


def is_current(inspection: Mapping[str, Any], service: Service) -> bool:
    """Whether a container was made from the compose file as it is now."""
    return labels_of(inspection).get(container_config.CONFIG_HASH, "") in service.config_hashes
