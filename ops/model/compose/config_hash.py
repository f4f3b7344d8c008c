"""What is Compose's config hash of a service, a network or a volume?

SHA-256 of compact JSON in the order of Compose's own structures, maps sorted. The hash differs between versions of
Compose ("dialects"); a container is current when its label equals any of them.

Source: runtime.md 2.3 (every 2.x tag compared); checked against Compose 2.40.3 in tests/judge.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from ops.model.compose.values import Tree, Value, json_float

_SERVICE_ORDER = (
    "profiles",
    "scale",
    "build",
    "cap_add",
    "cap_drop",
    "cpus",
    "command",
    "container_name",
    "depends_on",
    "entrypoint",
    "environment",
    "env_file",
    "expose",
    "extra_hosts",
    "group_add",
    "hostname",
    "healthcheck",
    "image",
    "init",
    "labels",
    "logging",
    "mem_limit",
    "network_mode",
    "networks",
    "pids_limit",
    "ports",
    "pull_policy",
    "read_only",
    "restart",
    "secrets",
    "security_opt",
    "shm_size",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "tmpfs",
    "tty",
    "user",
    "volumes",
    "working_dir",
)
_INNER_ORDER: dict[str, tuple[str, ...]] = {
    "healthcheck": ("test", "timeout", "interval", "retries", "start_period", "disable"),
    "logging": ("driver", "options"),
    "ports": ("name", "mode", "host_ip", "target", "published", "protocol", "app_protocol"),
    "volumes": ("type", "source", "target", "read_only", "bind", "volume", "tmpfs"),
    "bind": ("selinux", "propagation", "create_host_path"),
    "tmpfs": ("size", "mode"),
    "secrets": ("source", "target"),
    "env_file": ("path", "required"),
    "dependency": ("condition", "restart", "required"),
}
_NETWORK_ORDER = ("name", "driver", "ipam", "external", "internal", "labels")
_VOLUME_ORDER = ("name", "driver", "driver_opts", "external", "labels")
_ESCAPES = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"})


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a range of Compose versions leaves in the JSON that it hashes."""

    name: str
    keeps_profiles: bool = False
    keeps_dependencies: bool = False
    writes_scale: bool = False
    writes_create_host_path: bool = True


DIALECTS = (
    Dialect("2.30.2 to 2.40"),
    Dialect("5.0 and later", writes_create_host_path=False),
    Dialect("2.29.3 to 2.30.1", keeps_profiles=True),
    Dialect("2.24.0 to 2.29.2", keeps_profiles=True, keeps_dependencies=True),
    Dialect("2.0 to 2.23", keeps_profiles=True, keeps_dependencies=True, writes_scale=True),
)
"""The first is the one that we write. Only the first was compared with a real Compose."""


def service_hash(form: Tree, dialect: Dialect = DIALECTS[0]) -> str:
    """The config hash of a service's long form; env files must have been merged into `environment` by then."""
    return _digest(_service(form, dialect))


def service_hashes(form: Tree) -> tuple[str, ...]:
    """The hash in every dialect, the one that we write first, without doubles."""
    return tuple(dict.fromkeys(service_hash(form, dialect) for dialect in DIALECTS))


def network_hash(form: Tree) -> str:
    """The config hash of a network's long form."""
    return _digest(_ordered(form, _NETWORK_ORDER))


def volume_hash(form: Tree) -> str:
    """The config hash of a volume's long form; `driver: local` is always part of it."""
    with_driver: Tree = {"driver": "local", **form}
    return _digest(_ordered(with_driver, _VOLUME_ORDER))


def _service(form: Tree, dialect: Dialect) -> Tree:
    dropped = {"build", "pull_policy"}
    dropped |= set() if dialect.keeps_profiles else {"profiles"}
    dropped |= set() if dialect.keeps_dependencies else {"depends_on"}
    kept = {key: value for key, value in form.items() if key not in dropped}
    if dialect.writes_scale:
        kept["scale"] = 1
    return {key: _inner(key, value, dialect) for key, value in _ordered(kept, _SERVICE_ORDER).items()}


def _inner(key: str, value: Value, dialect: Dialect) -> Value:
    if key == "volumes" and isinstance(value, list):
        return [_mount(mount, dialect) for mount in value if isinstance(mount, dict)]
    if key == "depends_on" and isinstance(value, dict):
        return {name: _inner("dependency", value[name], dialect) for name in sorted(value)}
    order = _INNER_ORDER.get(key)
    if isinstance(value, list):
        return [_ordered(item, order) if order and isinstance(item, dict) else item for item in value]
    if isinstance(value, dict):
        return {inner: _sorted(item) for inner, item in _ordered(value, order or tuple(sorted(value))).items()}
    return value


def _mount(mount: Tree, dialect: Dialect) -> Tree:
    ordered = _ordered(mount, _INNER_ORDER["volumes"])
    for key in ("bind", "tmpfs"):
        if isinstance(options := ordered.get(key), dict):
            ordered[key] = _ordered(options, _INNER_ORDER[key])
    if isinstance(bind := ordered.get("bind"), dict):
        # Up to 2.40 false is what is left out; since 5.0 it is true.
        left_out = not dialect.writes_create_host_path
        rest: Tree = {key: value for key, value in bind.items() if value is not left_out}
        ordered["bind"] = rest
    return ordered


def _sorted(value: Value) -> Value:
    return {key: value[key] for key in sorted(value)} if isinstance(value, dict) else value


def _ordered(tree: Tree, order: tuple[str, ...]) -> Tree:
    return {key: tree[key] for key in order if key in tree}


def _digest(tree: Tree) -> str:
    return hashlib.sha256(go_json(tree).encode()).hexdigest()


def go_json(value: Value) -> str:
    """Compact JSON as Go's encoder writes it, the order of mappings kept."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(key)}:{go_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(go_json(item) for item in value) + "]"
    if isinstance(value, float):
        return json_float(value)
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).translate(_ESCAPES)
