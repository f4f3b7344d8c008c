"""Which steps bring a stack from what is to what the compose file says, and why each of them?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal[
    "create-network",
    "remove-network",
    "create-volume",
    "remove-volume",
    "pull-image",
    "build-image",
    "create",
    "recreate",
    "start",
    "keep",
    "stop",
    "remove",
]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: `subject` is a service, or the key of a network or volume; `reason` is for people."""

    action: Action
    subject: str
    reason: str
    container_id: str = ""
    """The existing container that recreate, start, stop and remove are about."""

    @property
    def is_change(self) -> bool:
        """Whether carrying it out changes anything."""
        return self.action != "keep"
