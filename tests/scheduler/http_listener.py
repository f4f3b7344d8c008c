"""A real HTTP server on loopback that keeps what it was sent."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    path: str
    body: bytes


class Listener:
    def __init__(self, status: int, then: int | None, *, is_rude: bool, is_mute: bool) -> None:
        self.requests: list[Request] = []
        self.end = threading.Event()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                listener.requests.append(Request(self.path, body))
                if is_mute:
                    listener.end.wait()
                elif is_rude:
                    self.wfile.write(b"what?\r\n")
                else:
                    self.send_response(then if then is not None and len(listener.requests) > 1 else status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port


@contextlib.contextmanager
def listening(
    status: int = 200, *, then: int | None = None, is_rude: bool = False, is_mute: bool = False
) -> Iterator[Listener]:
    """Answers `status` (after the first request `then`), nonsense, or nothing at all."""
    listener = Listener(status, then, is_rude=is_rude, is_mute=is_mute)
    thread = threading.Thread(target=listener.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield listener
    finally:
        listener.end.set()
        listener.server.shutdown()
        thread.join()
        listener.server.server_close()
