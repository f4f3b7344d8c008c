"""What does one log event look like, and how is a secret kept out of it?

One event per finished unit of work: dotted past tense, then fields with their units in their names. Text on a
terminal, one JSON object a line otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TextIO

from ops.model.secret import MASK, Secret

SHORTEST_SECRET = 4
"""Shorter texts are not masked: they would hide half of every line."""


class Log:
    """Writes events to one stream, masking every known secret."""

    def __init__(self, stream: TextIO, *, is_json: bool, secrets: Iterable[Secret] = ()) -> None:
        self._stream = stream
        self.is_json = is_json
        self._secrets = sorted(
            {secret.reveal() for secret in secrets if len(secret.reveal()) >= SHORTEST_SECRET}, key=len, reverse=True
        )

    def masked(self, text: str) -> str:
        """Return the text with every known secret replaced by `***`."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def event(self, name: str, fields: Mapping[str, object], *, at: datetime, level: str = "info") -> None:
        """Write one event."""
        if self.is_json:
            line = json.dumps({"at": at.isoformat(), "level": level, "event": name, **fields}, default=str)
        else:
            line = " ".join([name, *(f"{key}={_shown(value)}" for key, value in fields.items())])
        self.line(line)

    def line(self, text: str) -> None:
        """Write one line."""
        self._stream.write(self.masked(text) + "\n")
        self._stream.flush()


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"
    text = str(value)
    return json.dumps(text) if " " in text or not text else text
