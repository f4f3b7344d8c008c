"""In which order do services start, and which ones does a service need?"""

from __future__ import annotations

from collections.abc import Sequence

from ops.errors import UnknownService
from ops.model.compose.consistency import check_cycles
from ops.model.compose.project import Stack


def start_order(stack: Stack, services: Sequence[str] = ()) -> tuple[str, ...]:
    """The named services (none: all) and all that they need, what is needed first, else in the file's order.

    Stopping goes the other way round. Raises: UnknownService, ConfigurationError (a circle).
    """
    for name in services:
        if name not in stack.services:
            raise UnknownService(
                f"there is no service {name!r} in the stack",
                cause="a profile keeps it off" if name in stack.inactive else f"it has {', '.join(stack.services)}",
                hint="inv ps",
            )
    needs = {name: _needed(stack, name) for name in stack.services}
    check_cycles(needs)
    ordered: dict[str, None] = {}
    for name in services or stack.services:
        _add(name, needs, ordered)
    return tuple(ordered)


def dependents(stack: Stack, service: str) -> tuple[str, ...]:
    """The services that must be restarted when `service` is replaced (`restart: true` in their `depends_on`)."""
    return tuple(
        name
        for name, other in stack.services.items()
        if any(needed.service == service and needed.is_restarted for needed in other.depends_on)
    )


def _needed(stack: Stack, name: str) -> tuple[str, ...]:
    return tuple(needed.service for needed in stack.services[name].depends_on if needed.service in stack.services)


def _add(name: str, needs: dict[str, tuple[str, ...]], ordered: dict[str, None]) -> None:
    if name in ordered:
        return
    for needed in needs[name]:
        _add(needed, needs, ordered)
    ordered[name] = None
