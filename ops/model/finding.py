"""What did a check find, and how bad is it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "critical"]
LEVELS: tuple[Level, ...] = ("ok", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer of `inv check`: `message` says what is, `hint` what to do where something is wrong."""

    name: str
    level: Level
    message: str
    hint: str = ""
    duration_s: float = 0.0
    """How long finding it took; where one look finds several things, the first of them has the seconds of all."""


def worst(findings: Sequence[Finding]) -> Level:
    """The worst level of all; `ok` where there are none."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")
