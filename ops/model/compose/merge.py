"""What do several compose files say together?

The later file wins: mappings are merged, lists are joined, single values replaced. Some keys have rules of their
own, as Compose has them: commands and tests are replaced, `KEY=value` lists and mappings are joined key by key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ops.model.compose.values import Tree, Value, printed, refuse

Merger = Callable[[Value, Value, str], Value]


def merge_files(base: Tree, over: Tree) -> Tree:
    """The tree of two files, `over` being the later one; neither is changed. Raises: ConfigurationError."""
    merged = dict(base)
    for key, value in over.items():
        if key == "services" and isinstance(value, dict) and isinstance(own := base.get(key), dict):
            merged[key] = _mappings(own, value, key, _service)
        elif key in ("networks", "volumes") and isinstance(value, dict) and isinstance(own := base.get(key), dict):
            merged[key] = _mappings(own, value, key, _resource)
        else:
            merged[key] = _values(base[key], value, key) if key in base else value
    return merged


def _mappings(base: Tree, over: Tree, where: str, merge: Merger) -> Tree:
    merged = dict(base)
    for key, value in over.items():
        merged[key] = merge(base[key], value, f"{where}.{key}") if key in base else value
    return merged


def _values(base: Value, over: Value, where: str) -> Value:
    if over is None:
        return base
    if isinstance(base, dict):
        if not isinstance(over, dict):
            raise refuse(where, "cannot replace the mapping of an earlier file")
        return _mappings(base, over, where, _values)
    if isinstance(base, list):
        if not isinstance(over, list):
            raise refuse(where, "cannot replace the list of an earlier file")
        return [*base, *over]
    return over


def _service(base: Value, over: Value, where: str) -> Value:
    return _by_rule(base, over, where, _SERVICE_RULES)


def _resource(base: Value, over: Value, where: str) -> Value:
    return _by_rule(base, over, where, {"labels": _joined})


def _by_rule(base: Value, over: Value, where: str, rules: Mapping[str, Merger]) -> Value:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return _values(base, over, where)
    merged = dict(base)
    for key, value in over.items():
        merge = rules.get(key, _values)
        merged[key] = merge(base[key], value, f"{where}.{key}") if key in base else value
    return merged


def _replaced(_: Value, over: Value, __: str) -> Value:
    return over


def _joined(base: Value, over: Value, where: str) -> Value:
    return [*_as_entries(base, where), *_as_entries(over, where)]


def _as_entries(value: Value, where: str) -> list[Value]:
    if isinstance(value, dict):
        return sorted(
            (key if item is None else f"{key}={printed(item, where)}" for key, item in value.items()), key=str
        )
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, str) else []


def _hosts(base: Value, over: Value, where: str) -> Value:
    entries = _as_entries(base, where)
    return [*entries, *(entry for entry in _as_entries(over, where) if entry not in entries)]


def _build(base: Value, over: Value, where: str) -> Value:
    return _by_rule(_as_build(base), _as_build(over), where, {"args": _joined})


def _as_build(value: Value) -> Value:
    return {"context": value} if isinstance(value, str) else value


def _healthcheck(base: Value, over: Value, where: str) -> Value:
    return _by_rule(base, over, where, {"test": _replaced})


def _logging(base: Value, over: Value, where: str) -> Value:
    if isinstance(base, dict) and isinstance(over, dict):
        drivers = {tree.get("driver") for tree in (base, over) if "driver" in tree}
        return over if len(drivers) > 1 else _values(base, over, where)
    return _values(base, over, where)


def _dependencies(base: Value, over: Value, where: str) -> Value:
    started: Tree = {"condition": "service_started", "required": True}
    return _values(_as_mapping(base, started), _as_mapping(over, started), where)


def _networks(base: Value, over: Value, where: str) -> Value:
    return _values(_as_mapping(base, None), _as_mapping(over, None), where)


def _as_mapping(value: Value, default: Tree | None) -> Value:
    if isinstance(value, list):
        return {str(item): None if default is None else dict(default) for item in value}
    return value


_SERVICE_RULES: Mapping[str, Merger] = {
    "build": _build,
    "command": _replaced,
    "depends_on": _dependencies,
    "entrypoint": _replaced,
    "env_file": _joined,
    "environment": _joined,
    "extra_hosts": _hosts,
    "healthcheck": _healthcheck,
    "labels": _joined,
    "logging": _logging,
    "networks": _networks,
    "tmpfs": _joined,
}
