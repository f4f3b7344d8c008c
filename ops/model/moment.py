"""Which moment does a person mean by `10m`, `26h` or `2026-01-31T02:00:00Z`?"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ops.errors import ConfigurationError

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)")
_ID = re.compile(r"\d{8}T\d{6}Z")


def parse_span(text: str) -> timedelta:
    """A length of time such as `26h`, `1d12h`, `90s`. Raises: ConfigurationError."""
    cleaned = text.strip().lower()
    parts = _SPAN.findall(cleaned)
    if not parts or _SPAN.sub("", cleaned).strip():
        raise ConfigurationError(
            f"{text!r} is not a length of time", cause="numbers with s, m, h, d or w are", hint="such as 26h or 1d12h"
        )
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


def parse_moment(text: str) -> datetime:
    """A point in time in ISO 8601 or as a backup's id; without a zone it is UTC. Raises: ConfigurationError."""
    try:
        if _ID.fullmatch(text.strip()):
            return datetime.strptime(text.strip(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        moment = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise ConfigurationError(
            f"{text!r} is not a point in time", cause="ISO 8601 is", hint="such as 2026-01-31T02:00:00Z"
        ) from exc
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_since(text: str, *, now: datetime) -> datetime:
    """Either a length of time before `now`, or a point in time. Raises: ConfigurationError."""
    return (
        now - parse_span(text) if text.strip()[-1:].isalpha() and not text.strip().endswith("Z") else parse_moment(text)
    )
