"""When does a database without a health check take sessions?

Its container runs long before: the official image makes the data first, and its first server listens to nobody
outside. So for such a service, running is not ready. What `pg_isready` says beside the server, over TCP, is; where
there is no such program, a session over the same way as the other tasks.
"""

from __future__ import annotations

from collections.abc import Callable

from ops.errors import ConfigurationError, DatabaseRefused, EngineUnreachable, ServiceUnhealthy, UnknownService
from ops.ports import Clock, ToolRunner

PAUSE_S = 0.3
_NOT_READY = {1: "the server is not up yet", 2: "nobody listens there yet"}
"""Exit codes of pg_isready."""


def takes_sessions(tools: ToolRunner) -> bool:
    """Whether the server takes sessions, as pg_isready beside it says; False where there is no such program.

    Raises: EngineUnreachable: it does not.
    """
    ended = tools.run(["pg_isready", *tools.connection_arguments("postgres")])
    if why := _NOT_READY.get(ended.exit_code):
        raise EngineUnreachable(why)
    return ended.exit_code == 0


def wait_for_database(
    ask: Callable[[], object], *, service: str, clock: Clock, timeout_s: float, began_s: float | None = None
) -> None:
    """Ask again and again until there is an answer; that it refuses us is one, and another task's to tell.

    Args:
        ask: opens a session and closes it. Raises: EngineUnreachable as long as nobody answers, UnknownService while
            its container does not run: it may be starting again.
        service: whose database it is, for the failure.
        clock: for pauses and the deadline.
        timeout_s: how long in all.
        began_s: the clock's monotonic time that the timeout counts from; None is now.

    Raises: ServiceUnhealthy: it did not answer in time, with what it last said as cause.
    """
    deadline = (clock.monotonic() if began_s is None else began_s) + timeout_s
    while True:
        try:
            ask()
        except (DatabaseRefused, ConfigurationError):
            return
        except (EngineUnreachable, UnknownService) as silence:
            if clock.monotonic() >= deadline:
                raise ServiceUnhealthy(
                    f"{service} was started, but took no session within {timeout_s:g} s",
                    cause=silence.cause or silence.message,
                    hint=f"inv logs --service {service}",
                ) from silence
        else:
            return
        clock.sleep(PAUSE_S)
