"""A real S3 server in a process of its own: moto's, over HTTP on loopback."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

from tests.conftest import free_port


@contextlib.contextmanager
def running_s3() -> Iterator[str]:
    """The server's URL, for as long as the context lasts."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(400):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5):
                break
            time.sleep(0.05)
        else:
            raise RuntimeError("the S3 server did not answer within 20 s")
        yield url
    finally:
        server.terminate()
        server.wait(10)
