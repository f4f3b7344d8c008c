"""What was a running process started with, key by key, so that a change can be named?

Each key (`environment.LOG_LEVEL`, `command`) is kept as a keyed digest: values may be secrets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ops.adapters.embedded.state_folder import StateFolder
from ops.model.compose.project import Service
from ops.model.compose.spec import spec_digests

_LENGTH = 16
_OTHER = "another"


def digested(state: StateFolder, command: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The keys of one start."""
    keys = {f"environment.{name}": state.digest(value)[:_LENGTH] for name, value in environment.items()}
    return {**keys, "command": state.digest(list(command))[:_LENGTH]}


def spec_as_seen(service: Service, started_with: Mapping[str, str], would_start_with: Mapping[str, str]) -> str:
    """The text that a plan compares with the service: equal to the service's own, but for the keys that changed."""
    spec = dict(spec_digests(service))
    for key in started_with.keys() | would_start_with.keys():
        if started_with.get(key) == would_start_with.get(key):
            continue
        if key in spec and key not in started_with:
            del spec[key]
        else:
            spec[key] = _OTHER
    return json.dumps(spec)
