"""How do failures reach a person: by which of Apprise's services?

Each URL is a secret (it holds a token or a password), so only its scheme is ever named. Apprise is an optional
extra; URLs without it are a configuration error at the start, never a silence later.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ops.errors import ConfigurationError, Degraded
from ops.model.run_history import NoticeKind
from ops.model.secret import Secret

_TYPES = {"failure": "failure", "silence": "warning", "recovery": "success", "summary": "info", "ping": "info"}
TIMEOUTS = "cto=4&rto=4"
"""Connect and read timeouts in seconds: the scheduler's loop waits for a delivery."""


class AppriseNotifier:
    """The `Notifier` port over Apprise.

    Args:
        urls: such as `mailto://...`, `ntfy://...`, `json://...`; at least one.

    Raises: ConfigurationError (Apprise is not installed; a URL that it does not understand).
    """

    def __init__(self, urls: Sequence[Secret]) -> None:
        try:
            import apprise
        except ImportError as exc:
            raise ConfigurationError(
                f"{len(urls)} notification URLs are configured, but Apprise is not installed",
                cause="it is the optional extra `notify`",
                hint="pip install 'ops-runner[notify]'",
            ) from exc
        # Its log lines hold URLs of answers and hosts; what matters of them is in what `send` raises.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        self._targets: list[tuple[str, Any]] = []
        for number, url in enumerate(urls, 1):
            scheme = url.reveal().partition("://")[0]
            target = apprise.Apprise()
            if not target.add(_with_timeouts(url.reveal())):
                raise ConfigurationError(
                    f"notification URL {number} ({_shown(scheme)}) is not understood",
                    cause="Apprise knows no such service, or the URL is incomplete",
                    hint="apprise --details",
                )
            self._targets.append((_shown(scheme), target))

    def send(self, title: str, body: str, kind: NoticeKind) -> None:
        """Deliver to every URL. Raises: Degraded (some did not take it), naming their schemes."""
        failed = [
            scheme
            for scheme, target in self._targets
            if not target.notify(title=title, body=body, notify_type=_TYPES[kind])
        ]
        if failed:
            raise Degraded(
                f"{len(failed)} of {len(self._targets)} notification services did not take a message",
                cause=f"no good answer from {', '.join(failed)}",
                hint="inv scheduler --status",
            )


def _shown(scheme: str) -> str:
    """A scheme as it may be printed: a mistyped URL could be nothing but its token."""
    return scheme if scheme.isalnum() and len(scheme) <= 12 else "no scheme"


def _with_timeouts(url: str) -> str:
    if "cto=" in url or "rto=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}{TIMEOUTS}"
