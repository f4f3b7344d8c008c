"""Do the parts of a compose file fit together?

Every name that a service uses must be declared, no two containers may have one name, no path may be mounted twice,
and no service may wait for itself by way of others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ops.errors import ConfigurationError
from ops.model.compose.values import Tree, Value, refuse


def check_services(
    services: Mapping[str, Tree], declared: Mapping[str, Mapping[str, Tree]], inactive: Collection[str]
) -> None:
    """Check the active services in their long form against the declared `networks`, `volumes` and `secrets`.

    A dependency that is not required may be inactive, but must exist.

    Raises: ConfigurationError.
    """
    names: dict[Value, str] = {}
    for service, form in services.items():
        where = f"services.{service}"
        if "image" not in form and "build" not in form:
            raise refuse(where, "has neither an image nor a build")
        for kind, used in _used(form):
            if used not in declared[kind]:
                raise refuse(where, f"uses {kind[:-1]} {used!r}, which is not declared under {kind}")
        _check_dependencies(service, form, services, inactive)
        _check_targets(where, form)
        if (name := form.get("container_name")) is not None:
            if name in names:
                raise refuse(f"{where}.container_name", f"{name!r} is already the name of {names[name]}")
            names[name] = service
    check_cycles({service: _dependencies(form) for service, form in services.items()})


def _used(form: Tree) -> Iterator[tuple[str, str]]:
    yield from (("networks", name) for name in _keys(form.get("networks")))
    for mount in _mappings(form.get("volumes")):
        if mount["type"] == "volume" and "source" in mount:
            yield "volumes", str(mount["source"])
    yield from (("secrets", str(secret["source"])) for secret in _mappings(form.get("secrets")))


def _keys(value: Value) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def _mappings(value: Value) -> list[Tree]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _dependencies(form: Tree) -> tuple[str, ...]:
    return tuple(_keys(form.get("depends_on")))


def _check_dependencies(service: str, form: Tree, services: Mapping[str, Tree], inactive: Collection[str]) -> None:
    needed = form.get("depends_on")
    for name, entry in needed.items() if isinstance(needed, dict) else ():
        is_required = isinstance(entry, dict) and entry["required"] is True
        if name not in services and (is_required or name not in inactive):
            raise ConfigurationError(
                f"services.{service}.depends_on.{name}: there is no service {name!r}, or a profile keeps it off",
                hint="switch its profile on, or write required: false",
            )


def _check_targets(where: str, form: Tree) -> None:
    seen: dict[str, str] = {}
    tmpfs = form.get("tmpfs")
    targets = [
        (f"tmpfs[{i}]", str(item).partition(":")[0]) for i, item in enumerate(tmpfs if isinstance(tmpfs, list) else [])
    ]
    targets += [(f"volumes[{i}]", str(mount["target"])) for i, mount in enumerate(_mappings(form.get("volumes")))]
    for place, target in targets:
        if target in seen:
            raise refuse(f"{where}.{place}", f"{target} is already mounted by {seen[target]}")
        seen[target] = place


def check_cycles(needs: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse services that wait for each other, naming the circle. Raises: ConfigurationError."""
    done: set[str] = set()
    for service in needs:
        _visit(service, needs, (), done)


def _visit(service: str, needs: Mapping[str, tuple[str, ...]], path: tuple[str, ...], done: set[str]) -> None:
    if service in path:
        circle = " -> ".join([*path[path.index(service) :], service])
        raise ConfigurationError(f"services depend on each other in a circle: {circle}")
    if service in done:
        return
    for needed in needs.get(service, ()):
        _visit(needed, needs, (*path, service), done)
    done.add(service)
