"""What was a container made from, key by key, so that a change can be named?

Compose's config hash says that something changed, not what. Our containers carry a digest of every key that shapes
a container in one label; keys that have their default value are left out, so that a new key of a later version of
ops changes nothing. Digests, since an environment's values may be secrets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from ops.model.compose.project import Service

SPEC_LABEL = "io.ops.spec"
"""The container's label that holds `spec_text`."""

_DIGEST_LENGTH = 12
# What only decides when and how an image is had or a container is started, not what the container is.
_OUTSIDE = frozenset({"name", "build", "pull_policy", "depends_on", "profiles", "config_hashes"})
_BY_ENTRY = frozenset({"environment", "labels"})
_KEYS = {
    "mounts": "volumes",
    "shm_size_bytes": "shm_size",
    "mem_limit_bytes": "mem_limit",
    "stop_grace_period_s": "stop_grace_period",
    "log_driver": "logging.driver",
    "log_options": "logging.options",
}


def spec_digests(service: Service) -> Mapping[str, str]:
    """The compose file's key (`image`, `environment.LOG_LEVEL`) -> a short digest of its value."""
    default = Service(name=service.name)
    digests: dict[str, str] = {}
    for field in fields(Service):
        value = getattr(service, field.name)
        if field.name in _OUTSIDE or value == getattr(default, field.name):
            continue
        key = _KEYS.get(field.name, field.name)
        if field.name in _BY_ENTRY:
            digests |= {f"{key}.{name}": _digest(item) for name, item in value.items()}
        else:
            digests[key] = _digest(value)
    return digests


def spec_text(service: Service) -> str:
    """The text for the label `io.ops.spec`."""
    return json.dumps(dict(sorted(spec_digests(service).items())), separators=(",", ":"))


def changed_keys(label: str, service: Service) -> tuple[str, ...] | None:
    """What differs between a container's label and a service: `environment.X changed`, `user added`.

    None where the label cannot be read; empty where nothing differs.
    """
    try:
        old = json.loads(label)
    except ValueError:
        return None
    if not isinstance(old, dict):
        return None
    new = spec_digests(service)
    changes = [
        f"{key} {_change(key, old, new)}" for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)
    ]
    return tuple(changes)


def _change(key: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    if key not in old:
        return "added"
    return "changed" if key in new else "removed"


def _digest(value: object) -> str:
    return hashlib.sha256(repr(_plain(value)).encode()).hexdigest()[:_DIGEST_LENGTH]


def _plain(value: object) -> object:
    """A value whose text depends neither on the order of mappings nor on what has its default."""
    if isinstance(value, Mapping):
        return sorted((str(key), _plain(item)) for key, item in value.items())
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        parts = [(field.name, field.default, getattr(value, field.name)) for field in fields(value)]
        return sorted((name, repr(_plain(item))) for name, default, item in parts if item != default)
    return value
