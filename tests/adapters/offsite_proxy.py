"""A line between us and an S3 server that fails when a test says so: cut, refused, broken off half-way."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

Fault = Callable[[str, str, int], str]
"""Method, path, how many such requests came before -> "" to pass it on, `cut`, `half`, or a status such as `403`."""

Dislike = Callable[[Mapping[str, str]], str]
"""Headers, their names in lower case -> "", or the code of the error (400) that this store answers them with."""

ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>no</Message></Error>"
HOP = {"content-length", "transfer-encoding", "connection", "date", "server"}


class Proxy:
    """Listens on loopback for as long as its context lasts."""

    def __init__(self, upstream: str, fault: Fault = lambda *_: "", dislikes: Dislike = lambda _: "") -> None:
        self._server = _Server(upstream.removeprefix("http://"), fault, dislikes)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream: str, fault: Fault, dislikes: Dislike) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream, self.fault, self.dislikes = upstream, fault, dislikes
        self.seen: dict[str, int] = {}

    def handle_error(self, *_: object) -> None:
        """A connection that we cut complains; nobody asked."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Silence."""

    def relay(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        key = f"{self.command} {self.path.partition('?')[0]}"
        before = self.server.seen.get(key, 0)
        self.server.seen[key] = before + 1
        verdict = self.server.fault(self.command, self.path, before)
        if verdict == "cut":
            self.rfile.read(min(length, 10_000))
            self.cut()
            return
        body = self.rfile.read(length)
        disliked = self.server.dislikes({name.lower(): value for name, value in self.headers.items()})
        if verdict.isdigit() or disliked:
            said = ERROR.format(disliked or "AccessDenied").encode()
            self.answer(int(verdict or 400), said, {"Content-Type": "application/xml"})
        else:
            self.pass_on(body, is_half=verdict == "half")

    def pass_on(self, body: bytes, *, is_half: bool) -> None:
        line = http.client.HTTPConnection(self.server.upstream)
        line.request(self.command, self.path, body, dict(self.headers))
        reply = line.getresponse()
        content = reply.read()
        headers = {name: value for name, value in reply.getheaders() if name.lower() not in HOP}
        if self.command == "HEAD":
            headers["Content-Length"] = reply.getheader("Content-Length") or "0"
        line.close()
        is_half = is_half and len(content) > 1000
        self.answer(reply.status, content, headers, sent=len(content) // 2 if is_half else None)
        if is_half:
            self.cut()

    def answer(self, status: int, content: bytes, headers: Mapping[str, str], sent: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:sent])

    def cut(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = relay  # noqa: N815 - http.server's names
