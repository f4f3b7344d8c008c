"""Which engine does a stack run on?

The first `up` of a stack decides and records; from then on it is that engine or none: a recorded engine that does not
answer is an error, never another, empty database. Production never falls back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ops.errors import ConfigurationError, EngineUnreachable
from ops.model.engine import EngineInfo, EngineName

Wanted = Literal["auto", "docker", "embedded", "url"]


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """The engine a stack was first started on."""

    engine: EngineName
    endpoint: str
    identity: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine to use and why, in words."""

    engine: EngineName
    reason: str


def choose_engine(
    wanted: Wanted, recorded: EngineRecord | None, *, is_production: bool, does_docker_answer: Callable[[], bool]
) -> EngineChoice:
    """Choose by the record, then by the wish, then by what answers.

    Raises: ConfigurationError where wish and record contradict each other, EngineUnreachable where production has no
    Docker engine.
    """
    if wanted == "url":
        return EngineChoice("url", "OPS_ENGINE=url: a database that somebody else runs")
    if recorded is not None:
        return _recorded(wanted, recorded)
    if wanted != "auto":
        return EngineChoice(wanted, f"OPS_ENGINE={wanted}")
    if does_docker_answer():
        return EngineChoice("docker", "a Docker engine answers")
    if is_production:
        raise EngineUnreachable(
            "production needs a Docker engine and none answers",
            cause="production never falls back to the embedded engine",
            hint="start Docker, or name the engine: export OPS_ENGINE=embedded",
        )
    return EngineChoice("embedded", "no Docker engine answers")


def _recorded(wanted: Wanted, recorded: EngineRecord) -> EngineChoice:
    if wanted in {"auto", recorded.engine}:
        return EngineChoice(recorded.engine, f"this stack was first started on it ({recorded.recorded_at:%Y-%m-%d})")
    raise ConfigurationError(
        f"OPS_ENGINE={wanted}, but this stack runs on the {recorded.engine} engine",
        cause=f"its data is there since {recorded.recorded_at:%Y-%m-%d %H:%M} UTC; another engine would start empty",
        hint="unset OPS_ENGINE; to move the data: inv backup, inv down --forget, then inv up and inv restore there",
    )


def check_identity(info: EngineInfo, recorded: EngineRecord | None) -> None:
    """Refuse an engine that answers at the recorded place but is another one.

    Raises: EngineUnreachable.
    """
    if recorded is None or not recorded.identity or not info.identity or info.identity == recorded.identity:
        return
    raise EngineUnreachable(
        f"the {info.name} engine at {info.endpoint} is not the one this stack was started on",
        cause=f"its identity is {info.identity[:19]}, recorded was {recorded.identity[:19]} at {recorded.endpoint}",
        hint="check DOCKER_HOST and `docker context ls`; for a new engine on purpose: inv down --forget",
    )
