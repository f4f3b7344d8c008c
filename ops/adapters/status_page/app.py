"""Which page, document or number does a request get?

`/` is the status page, `/health` answers 503 when something must be done, `/metrics` is for Prometheus and
`/status.json` is what `inv scheduler --status --json` prints. Nothing can be changed through any of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ops.adapters.metrics import CONTENT_TYPE as METRICS_TYPE
from ops.adapters.metrics import exposition
from ops.adapters.status_page.render import STYLE, page
from ops.errors import OpsError
from ops.model.scheduler_status import SchedulerStatus, status_json

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", _POLICY),
]
_Answer = tuple[str, str, bytes]


def status_app(snapshot: Callable[[], SchedulerStatus]) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    """The WSGI application; `snapshot` is asked anew for each request and may raise OpsError."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ.get("REQUEST_METHOD", "GET")
        status, kind, body = _answer(method, environ.get("PATH_INFO", "/"), snapshot)
        allow = [("Allow", "GET, HEAD")] if status.startswith("405") else []
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *_HEADERS, *allow])
        return [] if method == "HEAD" else [body]

    return answer


def _answer(method: str, path: str, snapshot: Callable[[], SchedulerStatus]) -> _Answer:
    show = _PAGES.get(path)
    if show is None:
        return "404 Not Found", _TEXT, f"not found: there are {', '.join(_PAGES)}\n".encode()
    if method not in {"GET", "HEAD"}:
        return "405 Method Not Allowed", _TEXT, b"only GET and HEAD\n"
    try:
        return show(snapshot())
    except OpsError as exc:
        document = {"status": "failing", "problems": [exc.message], "warnings": []}
        return "503 Service Unavailable", _JSON, _json(document)
    except Exception:  # noqa: BLE001 - a bug of ours must read as unhealthy, not as a closed connection
        traceback.print_exc(file=sys.stderr)
        return "500 Internal Server Error", _TEXT, b"a bug of ours: see the scheduler's log\n"


def _health(status: SchedulerStatus) -> _Answer:
    code = "503 Service Unavailable" if status.state == "failing" else "200 OK"
    document = {"status": status.state, "problems": list(status.problems), "warnings": list(status.warnings)}
    return code, _JSON, _json(document)


def _json(document: object) -> bytes:
    return json.dumps(document, indent=1).encode() + b"\n"


_PAGES: dict[str, Callable[[SchedulerStatus], _Answer]] = {
    "/": lambda status: ("200 OK", "text/html; charset=utf-8", page(status).encode()),
    "/health": _health,
    "/metrics": lambda status: ("200 OK", METRICS_TYPE, exposition(status)),
    "/status.json": lambda status: ("200 OK", _JSON, _json(status_json(status))),
}
