"""How does a dead man's switch outside learn that a run started, succeeded or failed?

Plain HTTP as Healthchecks and its kin take it: `URL/start`, `URL` and `URL/fail`, the reason as body. When we die,
no ping comes, and the service outside tells: the one failure that no program can tell of itself.

Source: Healthchecks' pinging API (start, success, fail signals; bodies are kept).
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Literal

from ops.errors import ConfigurationError, Degraded
from ops.model.secret import Secret

BODY_AT_MOST = 10_000
_PATHS = {"start": "/start", "success": "", "fail": "/fail"}


class HttpSwitch:
    """The `DeadMansSwitch` port over HTTP.

    Args:
        url: the check's ping URL; secret, because whoever knows it can silence the alarm.
        timeout_s: for each attempt; the scheduler's loop waits for it.
        attempts: in all, with a short pause between.
        sleep: handed in.

    Raises: ConfigurationError (not an http or https URL).
    """

    def __init__(
        self, url: Secret, *, timeout_s: float = 3.0, attempts: int = 2, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        parts = urllib.parse.urlsplit(url.reveal())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(
                "the dead man's switch needs an http or https URL",
                cause="it has another scheme, or no host",
                hint="copy the ping URL of the check, such as https://HOST/PING-KEY",
            )
        self._parts = parts
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._sleep = sleep

    def ping(self, event: Literal["start", "success", "fail"], message: str = "") -> None:
        """Send one signal. Raises: Degraded (no good answer after all attempts), naming the host only."""
        path = self._parts.path.rstrip("/") + _PATHS[event]
        url = urllib.parse.urlunsplit(self._parts._replace(path=path))
        problem = ""
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(0.5)
            problem = self._post(url, message.encode()[:BODY_AT_MOST])
            if not problem:
                return
        raise Degraded(
            f"the dead man's switch on {self._parts.hostname} did not take `{event}`",
            cause=problem,
            hint="inv scheduler --status",
        )

    def _post(self, url: str, body: bytes) -> str:
        request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310 - scheme checked above
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s):  # noqa: S310
                return ""
        except urllib.error.HTTPError as exc:
            exc.close()
            return f"it answered {exc.code}"
        except urllib.error.URLError as exc:
            return str(exc.reason)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            return type(exc).__name__ if isinstance(exc, http.client.InvalidURL) else str(exc) or type(exc).__name__
