"""How many backups of each kind does a stack keep, and is that policy one at all?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, tzinfo
from typing import Final

from ops.errors import ConfigurationError

_MAXIMUM: Final = 100_000


@dataclass(frozen=True, slots=True)
class Policy:
    """How many backups to keep of each kind; `minimum` is a floor of good backups that no rule goes below.

    The calendar rules cut time into hours, days, ISO weeks, months and years of `zone`.
    """

    keep_last: int = 0
    keep_hourly: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0
    minimum: int = 1
    zone: tzinfo = UTC

    @property
    def is_empty(self) -> bool:
        """Whether no rule keeps anything; such a policy is never carried out."""
        return not any(
            (
                self.keep_last,
                self.keep_hourly,
                self.keep_daily,
                self.keep_weekly,
                self.keep_monthly,
                self.keep_yearly,
            )
        )


def parse_policy(values: Mapping[str, object], zone: tzinfo = UTC) -> Policy:
    """Read `[tool.ops.retention]`: `keep-last`, `keep-daily`, ..., `minimum`.

    Raises: ConfigurationError, naming the key: unknown, or not a whole number from 0 on.
    """
    known = {field.name.replace("_", "-"): field.name for field in fields(Policy) if field.name != "zone"}
    counts: dict[str, int] = {}
    for key, value in values.items():
        if key not in known:
            raise ConfigurationError(f"tool.ops.retention.{key} is unknown", cause=f"known are {', '.join(known)}")
        if type(value) is not int or not 0 <= value <= _MAXIMUM:
            raise ConfigurationError(
                f"tool.ops.retention.{key} is {value!r}", cause=f"a whole number from 0 to {_MAXIMUM} is wanted"
            )
        counts[known[key]] = value
    return Policy(**counts, zone=zone)
